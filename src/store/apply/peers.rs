//! How what is known of peers, and the cards of authorities, become rows.

use rusqlite::params;

use crate::base::{AuthorityId, Digest, Timestamp};
use crate::store::apply::{CommitGroup, GroupStop, UNKNOWN, parts};
use crate::store::op::Op;
use crate::store::rows::{CardRow, CrlRow, PeerRow, PeerState};
use crate::store::{reader, sql, sums};

impl CommitGroup<'_> {
    /// A change of what is known of a peer, and the checksum of its row as it is then.
    pub(super) fn of_peer(&self, id: &AuthorityId, op: &Op) -> Result<(), GroupStop> {
        if let Op::PeerState { state, at, .. } = op {
            match state {
                PeerState::Accepted => {
                    self.one(sql::PEER_ACCEPTED, params![at.millis(), id.as_str()])?;
                }
                PeerState::Added | PeerState::Paused | PeerState::Revoked => {
                    self.one(sql::PEER_STATE, params![state.as_str(), id.as_str()])?;
                }
            }
        } else if let Op::PeerSeen { at, .. } = op {
            self.one(sql::PEER_SEEN, params![at.millis(), id.as_str()])?;
        } else if let Op::PeerHead { head, .. } = op {
            self.one(sql::PEER_HEAD, params![head, id.as_str()])?;
        } else if let Op::PeerFault { fault, .. } = op {
            let (code, text) = parts(fault.as_ref());
            self.one(sql::PEER_FAULT, params![code, text, id.as_str()])?;
        }
        self.peer_sum(id)
    }

    pub(super) fn peer(&self, peer: &PeerRow) -> Result<(), GroupStop> {
        let (code, text) = parts(peer.fault.as_ref());
        self.one(
            sql::PEER_PUT,
            params![
                peer.id.as_str(),
                peer.alias.as_str(),
                peer.card,
                peer.number,
                peer.state.as_str(),
                i64::from(peer.classic),
                peer.added.millis(),
                peer.accepted.map(Timestamp::millis),
                peer.last_seen.map(Timestamp::millis),
                peer.head,
                code,
                text
            ],
        )?;
        self.peer_sum(&peer.id)
    }

    /// Forgets a peer and its revocation lists; its cards stay, for what was signed under them.
    pub(super) fn peer_drop(&self, id: &AuthorityId) -> Result<(), GroupStop> {
        self.run(sql::CRLS_DROP, [id.as_str()])?;
        self.one(sql::PEER_DROP, [id.as_str()])
    }

    pub(super) fn crl(&self, crl: &CrlRow) -> Result<(), GroupStop> {
        self.run(
            sql::CRL_PUT,
            params![
                crl.authority.as_str(),
                crl.ca.as_bytes(),
                crl.number,
                crl.list,
                crl.came.millis(),
                sums::crl(crl)
            ],
        )?;
        Ok(())
    }

    pub(super) fn crl_drop(&self, authority: &AuthorityId, ca: &Digest) -> Result<(), GroupStop> {
        self.run(sql::CRL_DROP, params![authority.as_str(), ca.as_bytes()])?;
        Ok(())
    }

    fn peer_sum(&self, id: &AuthorityId) -> Result<(), GroupStop> {
        let row = reader::row(self.db, sql::PEER, [id.as_str()], reader::peer)?.ok_or(UNKNOWN)?;
        self.one(sql::PEER_SUM, params![sums::peer(&row), id.as_str()])
    }

    pub(super) fn card(&self, card: &CardRow) -> Result<(), GroupStop> {
        self.one(
            sql::CARD_PUT,
            params![
                card.authority.as_str(),
                card.digest.as_bytes(),
                card.number,
                card.note,
                card.came.millis(),
                card.adopted.map(Timestamp::millis),
                sums::card(card)
            ],
        )
    }

    pub(super) fn card_drop(
        &self,
        authority: &AuthorityId,
        digest: &Digest,
    ) -> Result<(), GroupStop> {
        self.one(
            sql::CARD_DROP,
            params![authority.as_str(), digest.as_bytes()],
        )
    }
}
