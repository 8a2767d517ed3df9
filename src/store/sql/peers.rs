//! Peers, the cards of authorities, and the revocation lists of their CAs.

pub(crate) const PEER_PUT: &str = "
    INSERT INTO peer (id, alias, card, number, state, classic, added, accepted, last_seen, head, fault_code, fault_text)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (id) DO UPDATE SET alias = excluded.alias, card = excluded.card, number = excluded.number,
        state = excluded.state, classic = excluded.classic,
        added = excluded.added, accepted = excluded.accepted, last_seen = excluded.last_seen,
        head = COALESCE(excluded.head, peer.head), fault_code = excluded.fault_code,
        fault_text = excluded.fault_text";
pub(crate) const PEER_STATE: &str = "UPDATE peer SET state = $1 WHERE id = $2";
pub(crate) const PEER_ACCEPTED: &str =
    "UPDATE peer SET state = 'accepted', accepted = $1 WHERE id = $2";
pub(crate) const PEER_SEEN: &str =
    "UPDATE peer SET last_seen = $1, fault_code = NULL, fault_text = NULL WHERE id = $2";
pub(crate) const PEER_HEAD: &str = "UPDATE peer SET head = $1 WHERE id = $2";
pub(crate) const PEER_FAULT: &str =
    "UPDATE peer SET fault_code = $1, fault_text = $2 WHERE id = $3";
pub(crate) const PEER_SUM: &str = "UPDATE peer SET sum = $1 WHERE id = $2";

/// The columns of a peer, in the order that rows are read, before the given rest of a query.
macro_rules! peers {
    ($rest:literal) => {
        peers!("", $rest)
    };
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT id, alias, card, number, state, classic, added, accepted, last_seen, head, \
             fault_code, fault_text",
            $more,
            " FROM peer ",
            $rest
        )
    };
}

pub(crate) const PEER: &str = peers!("WHERE id = $1");
pub(crate) const PEERS_CHECK: &str = peers!(", sum", "ORDER BY alias");
pub(crate) const PEERS: &str = peers!("ORDER BY alias");
pub(crate) const PEER_DROP: &str = "DELETE FROM peer WHERE id = $1";
pub(crate) const CARD_PUT: &str = "
    INSERT INTO card (authority, digest, number, note, came, adopted, sum) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (authority, digest) DO UPDATE SET came = excluded.came, adopted = excluded.adopted,
        sum = excluded.sum";
pub(crate) const CARD_DROP: &str =
    "DELETE FROM card WHERE authority = $1 AND digest = $2 AND adopted IS NULL";
/// All cards, each authority's oldest first.
pub(crate) const CARDS: &str = "
    SELECT authority, digest, number, note, came, adopted, sum FROM card ORDER BY authority, number, came, digest";
pub(crate) const CARDS_OF: &str = "SELECT authority, digest, number, note, came, adopted FROM card WHERE authority = $1 ORDER BY number, came, digest";
pub(crate) const CRL_PUT: &str = "
    INSERT INTO crl (authority, ca, number, list, came, sum) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (authority, ca) DO UPDATE SET number = excluded.number, list = excluded.list, came = excluded.came,
        sum = excluded.sum";
pub(crate) const CRL_DROP: &str = "DELETE FROM crl WHERE authority = $1 AND ca = $2";
pub(crate) const CRLS_DROP: &str = "DELETE FROM crl WHERE authority = $1";
pub(crate) const CRLS: &str =
    "SELECT authority, ca, number, list, came, sum FROM crl ORDER BY authority, ca";
