//! Every word of SQL, in one place.
//!
//! Kept to what SQLite and PostgreSQL both understand: parameters `$1`, `$2`… first used in ascending order, no
//! automatic numbering, no functions of one of them. What is SQLite's alone (`PRAGMA`) is in [`WRITER`], [`READER`],
//! [`CHECKER`], [`FOLD`], [`FOLD_ALL`] and the four after `CHECKER`.

mod peers;
mod schema;

pub(crate) use peers::*;
pub(crate) use schema::{CHECKSUMS, LOG_CHECKSUMS, MIGRATIONS};

/// Settings of the writing connection. The log is folded into the database by [`FOLD`] alone, because SQLite's own way
/// to do so hides a failed flush.
pub(crate) const WRITER: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -16384;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA busy_timeout = 10000;";

/// Settings of a reading connection.
pub(crate) const READER: &str = "
    PRAGMA query_only = ON;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA cache_size = -1024;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA busy_timeout = 10000;";

/// Settings of the connection that checks everything.
pub(crate) const CHECKER: &str = "
    PRAGMA query_only = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA temp_store = MEMORY;";
/// All that SQLite has to say of its own file.
pub(crate) const INTEGRITY: &str = "PRAGMA integrity_check";
/// Builds every index anew.
pub(crate) const REINDEX: &str = "REINDEX";
/// Tables and indexes as the database describes them.
pub(crate) const SCHEMA: &str = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name";

/// Moves what the write-ahead log holds into the database file, as far as readers permit.
pub(crate) const FOLD: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Moves all that the write-ahead log holds into the database file and empties it; for a time without readers.
pub(crate) const FOLD_ALL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Begins a look: everything read until [`COMMIT`] is of one moment.
pub(crate) const LOOK: &str = "BEGIN";
pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(crate) const COMMIT: &str = "COMMIT";
pub(crate) const ROLLBACK: &str = "ROLLBACK";
pub(crate) const SAVE: &str = "SAVEPOINT one";
pub(crate) const SAVE_KEEP: &str = "RELEASE SAVEPOINT one";
pub(crate) const SAVE_UNDO: &str = "ROLLBACK TO SAVEPOINT one";

pub(crate) const MIGRATION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS migration (no INTEGER PRIMARY KEY, name TEXT NOT NULL)";
pub(crate) const MIGRATION_LAST: &str = "SELECT COALESCE(MAX(no), 0) FROM migration";
pub(crate) const MIGRATIONS_DONE: &str = "SELECT no, name FROM migration ORDER BY no";
pub(crate) const MIGRATION_DONE: &str = "INSERT INTO migration (no, name) VALUES ($1, $2)";

// The log.

pub(crate) const LOG: &str = "SELECT size, frontier, checkpoint, signed_at FROM log WHERE no = 1";
pub(crate) const LOG_NEW: &str = "INSERT INTO log (no, size, frontier, checkpoint) VALUES (1, 0, $1, NULL) ON CONFLICT (no) DO NOTHING";
pub(crate) const LOG_GROW: &str = "UPDATE log SET size = $1, frontier = $2 WHERE no = 1";
pub(crate) const LOG_SIGNED: &str =
    "UPDATE log SET checkpoint = $1, signed_at = $2, sum = $3 WHERE no = 1";
pub(crate) const LOG_CHECK: &str = "SELECT checkpoint, signed_at, sum FROM log WHERE no = 1";
pub(crate) const LOG_SUM: &str = "UPDATE log SET sum = $1 WHERE no = 1";
pub(crate) const LEAF_PUT: &str = "INSERT INTO leaf (idx, commitment) VALUES ($1, $2)";
pub(crate) const LEAF_COUNT: &str = "SELECT COALESCE(MAX(idx) + 1, 0) FROM leaf";
pub(crate) const LEAVES: &str =
    "SELECT commitment FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx";
pub(crate) const LEAVES_ALL: &str = "SELECT idx, commitment FROM leaf ORDER BY idx";
pub(crate) const LEAVES_CLEAR: &str = "DELETE FROM leaf";
pub(crate) const LEAVES_UNOWNED: &str = "
    SELECT COUNT(*) FROM leaf WHERE idx NOT IN (SELECT leaf FROM statement WHERE leaf IS NOT NULL)";

// Logs of others, and what they cosigned of ours.

pub(crate) const WITNESSED_PUT: &str = "
    INSERT INTO witnessed (origin, size, root, note, at, sum) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note,
        at = excluded.at, sum = excluded.sum WHERE excluded.size >= witnessed.size";
pub(crate) const WITNESSED: &str =
    "SELECT origin, size, root, note, at FROM witnessed WHERE origin = $1";
pub(crate) const WITNESSED_ALL: &str =
    "SELECT origin, size, root, note, at FROM witnessed ORDER BY origin";
pub(crate) const HEARD_PUT: &str = "
    INSERT INTO heard (origin, note, at, sum) VALUES ($1, $2, $3, $4) ON CONFLICT (origin) DO NOTHING";
pub(crate) const HEARD_DROP: &str = "DELETE FROM heard WHERE origin = $1";
pub(crate) const HEARD: &str = "SELECT note FROM heard WHERE origin = $1";
pub(crate) const ALARM_PUT: &str = "
    INSERT INTO alarm (origin, kind, earlier, later, at, sum) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (origin) DO UPDATE SET kind = excluded.kind, earlier = excluded.earlier, later = excluded.later,
        at = excluded.at, sum = excluded.sum WHERE alarm.kind = 'unproved' AND excluded.kind = 'fork'";
pub(crate) const ALARM_CALM: &str = "
    DELETE FROM alarm WHERE origin = $1 AND kind = 'unproved'
        AND NOT EXISTS (SELECT 1 FROM heard WHERE heard.origin = alarm.origin)";
pub(crate) const ALARM: &str =
    "SELECT origin, kind, earlier, later, at FROM alarm WHERE origin = $1";
pub(crate) const ALARMS: &str =
    "SELECT origin, kind, earlier, later, at FROM alarm ORDER BY origin";
pub(crate) const COSIGNED_PUT: &str = "
    INSERT INTO cosigned (witness, size, note, line, at, sum) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (witness) DO UPDATE SET size = excluded.size, note = excluded.note, line = excluded.line,
        at = excluded.at, sum = excluded.sum WHERE excluded.size >= cosigned.size";
pub(crate) const COSIGNED: &str =
    "SELECT witness, size, note, line, at FROM cosigned ORDER BY size DESC, witness";
pub(crate) const WITNESSED_CHECK: &str =
    "SELECT origin, size, root, note, at, sum FROM witnessed ORDER BY origin";
pub(crate) const HEARD_CHECK: &str = "SELECT origin, note, at, sum FROM heard ORDER BY origin";
pub(crate) const ALARM_CHECK: &str =
    "SELECT origin, kind, earlier, later, at, sum FROM alarm ORDER BY origin";
pub(crate) const COSIGNED_CHECK: &str =
    "SELECT witness, size, note, line, at, sum FROM cosigned ORDER BY witness";
pub(crate) const WITNESSED_SUM: &str = "UPDATE witnessed SET sum = $1 WHERE origin = $2";
pub(crate) const HEARD_SUM: &str = "UPDATE heard SET sum = $1 WHERE origin = $2";
pub(crate) const ALARM_SUM: &str = "UPDATE alarm SET sum = $1 WHERE origin = $2";
pub(crate) const COSIGNED_SUM: &str = "UPDATE cosigned SET sum = $1 WHERE witness = $2";
pub(crate) const WITNESSED_REWRITE: &str =
    "UPDATE witnessed SET size = $1, root = $2 WHERE origin = $3";
pub(crate) const COSIGNED_REWRITE: &str =
    "UPDATE cosigned SET size = $1, at = $2, sum = $3 WHERE witness = $4";

// Statements.

pub(crate) const STATEMENT_PUT: &str = "
    INSERT INTO statement (seq, digest, xid, no, kind, issuer, note, at, leaf, r, signatures, sum)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
pub(crate) const STATEMENT_LAST: &str = "SELECT COALESCE(MAX(seq), 0) FROM statement";
/// The newest time of a statement of this authority's own after a number, and the last number.
pub(crate) const STATEMENT_OWN_NEWEST: &str = "
    SELECT COALESCE(MAX(seq), $1), MAX(CASE WHEN leaf IS NOT NULL THEN at END) FROM statement WHERE seq > $1";
/// Every statement of an exchange, for whoever checks it.
pub(crate) const STATEMENTS: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures
    FROM statement WHERE no = (SELECT e.no FROM exchange e WHERE e.xid = $1) OR (no IS NULL AND xid = $1)
    ORDER BY seq";
/// A part of them. Which ones is looked up in the index alone.
pub(crate) const STATEMENTS_PAGE: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures
    FROM statement WHERE seq IN (
        SELECT seq FROM statement WHERE no = $1 AND seq > $2 ORDER BY seq LIMIT $3) ORDER BY seq";
/// The same of an exchange that is not here.
pub(crate) const STATEMENTS_ALONE_PAGE: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures
    FROM statement WHERE no IS NULL AND xid = $1 AND seq > $2 ORDER BY seq LIMIT $3";
/// Those of one kind.
pub(crate) const STATEMENTS_KIND: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures
    FROM statement WHERE no = $1 AND kind = $2 ORDER BY seq";
/// The newest of one kind.
pub(crate) const STATEMENT_NEWEST: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures
    FROM statement WHERE no = $1 AND kind = $2 ORDER BY seq DESC LIMIT 1";
pub(crate) const STATEMENT: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures FROM statement WHERE seq = $1";
/// Those of one kind, by digest and number.
pub(crate) const DIGESTS_KIND: &str =
    "SELECT digest, seq FROM statement WHERE no = $1 AND kind = $2 ORDER BY seq";
/// How many there are of an exchange, the number of the last, and the last leaf that is one of them.
pub(crate) const STATEMENTS_EXTENT: &str = "
    SELECT COUNT(*), COALESCE(MAX(seq), 0), MAX(leaf) FROM statement WHERE no = $1";
pub(crate) const STATEMENT_LIST: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures
    FROM statement WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
/// Wishes for consent; the index holds no others.
pub(crate) const STATEMENTS_ASKED: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures
    FROM statement WHERE kind = 'consent-asked' AND seq < $1 ORDER BY seq DESC LIMIT $2";
/// Selects the statements of passing on; the index holds nothing else.
pub(crate) const STATEMENTS_ONWARD: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures
    FROM statement WHERE kind = 'onward' AND seq < $1 ORDER BY seq DESC LIMIT $2";
/// Among those that are in `found`, by the first bytes of the digest.
pub(crate) const STATEMENT_FOUND: &str = "
    SELECT s.seq, s.xid, s.kind, s.issuer, s.note, s.digest, s.at, s.leaf, s.r, s.signatures
    FROM found f JOIN statement s ON s.seq = f.seq WHERE f.key = $1 AND s.digest = $2";
/// Among those that are not in `found` yet.
pub(crate) const STATEMENT_RECENT: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures
    FROM statement WHERE seq > (SELECT COALESCE(MAX(u.seq), 0) FROM found_until u WHERE u.no = 1) AND digest = $1";
/// Digests of the statements of an exchange.
pub(crate) const STATEMENTS_OF: &str =
    "SELECT digest, seq FROM statement WHERE no = $1 ORDER BY seq";
/// Whether there is this statement of an exchange that is not here.
pub(crate) const STATEMENT_ALONE: &str =
    "SELECT seq FROM statement WHERE no IS NULL AND xid = $1 AND digest = $2";
/// Whether there is this statement that is of no exchange.
pub(crate) const STATEMENT_OWN: &str =
    "SELECT seq FROM statement WHERE no IS NULL AND xid IS NULL AND digest = $1";
/// Statements of an exchange that is not here.
pub(crate) const STATEMENTS_ALONE: &str =
    "SELECT seq FROM statement WHERE no IS NULL AND xid = $1 LIMIT 1";
/// The exchange of these statements is here now.
pub(crate) const STATEMENTS_PLACE: &str =
    "UPDATE statement SET no = $1 WHERE no IS NULL AND xid = $2";
/// Gives every statement the number of its exchange.
pub(crate) const STATEMENTS_NUMBER: &str =
    "UPDATE statement SET no = (SELECT e.no FROM exchange e WHERE e.xid = statement.xid)";
pub(crate) const STATEMENTS_CHECK: &str = "
    SELECT s.seq, s.xid, s.kind, s.issuer, s.note, s.digest, s.at, s.leaf, s.r, s.signatures, s.sum, l.commitment,
        s.no, e.no
    FROM statement s LEFT JOIN leaf l ON l.idx = s.leaf LEFT JOIN exchange e ON e.xid = s.xid ORDER BY s.seq";
pub(crate) const STATEMENTS_OF_KIND: &str =
    "SELECT seq, note FROM statement WHERE kind = $1 ORDER BY seq";
pub(crate) const STATEMENTS_LOGGED: &str =
    "SELECT leaf, r, digest FROM statement WHERE leaf IS NOT NULL ORDER BY leaf";
pub(crate) const STATEMENTS_ORPHANED: &str = "
    SELECT DISTINCT xid FROM statement WHERE xid IS NOT NULL AND xid NOT IN (SELECT xid FROM exchange)";
pub(crate) const STATEMENTS_EARLY: &str = "
    SELECT seq, xid, kind, issuer, note, digest, at, leaf, r, signatures FROM statement WHERE seq > $1
    ORDER BY seq LIMIT 1";
pub(crate) const STATEMENT_SUM: &str = "UPDATE statement SET sum = $1 WHERE seq = $2";

// Openings that are not stated yet.

pub(crate) const OPENING_PUT: &str = "
    INSERT INTO opening (id, xid, began, bound, record, sum) VALUES ($1, $2, $3, $4, $5, $6)";
pub(crate) const OPENING: &str = "SELECT id, xid, began, bound, record FROM opening WHERE id = $1";
pub(crate) const OPENING_RAISE: &str = "UPDATE opening SET bound = $1, sum = $2 WHERE id = $3";
pub(crate) const OPENING_END: &str = "DELETE FROM opening WHERE id = $1";
pub(crate) const OPENINGS: &str =
    "SELECT id, xid, began, bound, record FROM opening ORDER BY began, id";
pub(crate) const OPENINGS_CHECK: &str = "
    SELECT o.id, o.xid, o.began, o.bound, o.record, o.sum, e.phase
    FROM opening o LEFT JOIN exchange e ON e.xid = o.xid ORDER BY o.began, o.id";

// Statements by digest.

pub(crate) const FOUND_UNTIL: &str = "SELECT COALESCE(MAX(seq), 0) FROM found_until WHERE no = 1";
pub(crate) const FOUND_UNTIL_PUT: &str = "
    INSERT INTO found_until (no, seq) VALUES (1, $1) ON CONFLICT (no) DO UPDATE SET seq = excluded.seq";
pub(crate) const FOUND_PUT: &str = "INSERT INTO found (key, seq) VALUES ($1, $2)";
pub(crate) const FOUND_CLEAR: &str = "DELETE FROM found";
pub(crate) const FOUND_COUNT: &str = "SELECT COUNT(*) FROM found";
pub(crate) const FOUND_IS: &str = "SELECT seq FROM found WHERE key = $1 AND seq = $2";
pub(crate) const DIGESTS: &str =
    "SELECT digest, seq FROM statement WHERE seq > $1 AND seq <= $2 ORDER BY seq";

// Exchanges.

pub(crate) const EXCHANGE_LAST: &str = "SELECT COALESCE(MAX(no), 0) FROM exchange";
pub(crate) const EXCHANGE_STATE: &str = "SELECT no, phase, direction FROM exchange WHERE xid = $1";
/// With the statement that has ended it, where one has.
pub(crate) const EXCHANGE_STANDING: &str = "
    SELECT xid, phase, fault_code, fault_text, CASE WHEN phase IN ('rejected', 'failed', 'expired', 'withdrawn')
        THEN CASE WHEN last IS NULL THEN last_note ELSE (SELECT s.note FROM statement s WHERE s.seq = last) END END
    FROM exchange WHERE xid = $1";
pub(crate) const EXCHANGE_NO: &str = "SELECT no FROM exchange WHERE xid = $1";
pub(crate) const EXCHANGE_PUT: &str = "
    INSERT INTO exchange (no, xid, direction, peer, phase, created, updated, body, hdr, len, segments, terms,
        case_ref, request_ref, title, items, disclosures, have, is_inline, attempts, next_try,
        fault_code, fault_text, last_note, steps, sum_open, sum_step, sum_have, sum_try, urgent, last, due)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
        $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)";
pub(crate) const EXCHANGE_PHASE: &str =
    "UPDATE exchange SET phase = $1, updated = $2, sum_step = $3 WHERE no = $4";
pub(crate) const EXCHANGE_STEP: &str = "
    UPDATE exchange SET phase = $1, updated = $2, sum_step = $3, last_note = $4, last = $5, steps = steps + 1,
        due = COALESCE($6, due)
    WHERE no = $7";
pub(crate) const EXCHANGE_HAVE: &str =
    "UPDATE exchange SET have = $1, sum_have = $2 WHERE xid = $3";
pub(crate) const EXCHANGE_RETRY: &str = "
    UPDATE exchange SET attempts = $1, next_try = $2, fault_code = $3, fault_text = $4, sum_try = $5
    WHERE xid = $6";
pub(crate) const EXCHANGE_SUMS: &str = "
    UPDATE exchange SET sum_open = $1, sum_step = $2, sum_have = $3, sum_try = $4 WHERE no = $5";
pub(crate) const EXCHANGE_XIDS: &str = "SELECT xid FROM exchange ORDER BY no";
pub(crate) const EXCHANGE_UNDISCLOSED: &str = "
    UPDATE exchange SET disclosures = '[]', case_ref = NULL, request_ref = NULL, sum_open = $1 WHERE no = $2";

/// The columns of an exchange, in the order that rows are read, before the given rest of a query.
macro_rules! exchanges {
    ($rest:literal) => {
        exchanges!(", urgent", $rest)
    };
    ($more:literal, $rest:literal) => {
        exchanges!(
            "CASE WHEN last IS NULL THEN last_note ELSE (SELECT s.note FROM statement s WHERE s.seq = last) END",
            $more,
            $rest
        )
    };
    ($note:literal, $more:literal, $rest:literal) => {
        concat!(
            "SELECT xid, direction, peer, phase, created, updated, body, hdr, len, segments, terms, case_ref, \
             request_ref, title, items, disclosures, have, is_inline, attempts, next_try, fault_code, fault_text, ",
            $note,
            ", steps",
            $more,
            " FROM exchange ",
            $rest
        )
    };
}

pub(crate) const EXCHANGES_CHECK: &str = exchanges!(
    ", urgent, no, sum_open, sum_step, sum_have, sum_try, due",
    "ORDER BY no"
);
pub(crate) const EXCHANGE_CHECK: &str = exchanges!(
    ", urgent, no, sum_open, sum_step, sum_have, sum_try, due",
    "WHERE no = $1"
);
pub(crate) const EXCHANGE_XID: &str = "SELECT xid FROM exchange WHERE no = $1";
pub(crate) const EXCHANGE_REWRITE: &str = "
    UPDATE exchange SET direction = $1, peer = $2, phase = $3, created = $4, updated = $5, body = $6, hdr = $7,
        len = $8, segments = $9, terms = $10, case_ref = $11, request_ref = $12, title = $13, items = $14,
        disclosures = $15, have = $16, is_inline = $17, attempts = $18, next_try = $19, fault_code = $20,
        fault_text = $21, last_note = $22, last = NULL, steps = $23, urgent = $24, due = $25
    WHERE no = $26";

pub(crate) const EXCHANGE: &str = exchanges!("WHERE xid = $1");
/// Before there were columns for urgent ones and for the last statement.
pub(crate) const EXCHANGE_EARLY: &str = exchanges!("last_note", ", 0", "WHERE xid = $1");
/// Packages here whose day has come; the index holds no others. Direction and phase are asked for in one, because
/// SQLite would rather use another index for each of them, and sort all that is held.
pub(crate) const EXCHANGES_DUE: &str = exchanges!(
    ", urgent, due, no",
    "WHERE direction || ' ' || phase IN ('in handover-signed', 'in held') AND due < $1 AND (due, no) > ($2, $3) \
     ORDER BY due, no LIMIT $4"
);
pub(crate) const EXCHANGES: &str =
    exchanges!(", urgent, no", "WHERE no < $1 ORDER BY no DESC LIMIT $2");
/// Which ones is looked up in the index alone.
pub(crate) const EXCHANGES_WAY: &str = exchanges!(
    ", urgent, no",
    "WHERE no IN (SELECT no FROM exchange WHERE no < $1 AND direction = $2 ORDER BY no DESC LIMIT $3) \
     ORDER BY no DESC"
);
pub(crate) const EXCHANGES_PHASE: &str = exchanges!(
    ", urgent, no",
    "WHERE no < $1 AND phase = $2 ORDER BY no DESC LIMIT $3"
);
pub(crate) const EXCHANGES_WAY_PHASE: &str = exchanges!(
    ", urgent, no",
    "WHERE no IN (SELECT no FROM exchange WHERE no < $1 AND direction = $2 AND phase = $3 \
     ORDER BY no DESC LIMIT $4) ORDER BY no DESC"
);
/// The exchanges to be sent, and those being received.
pub(crate) const UNDER_WAY: &str = exchanges!(
    ", urgent, no",
    "WHERE no IN (SELECT no FROM exchange WHERE \
     (direction = 'out' AND phase IN ('dispatched', 'consigned', 'delivered') \
     OR direction = 'in' AND phase = 'receiving') AND no > $1 ORDER BY no LIMIT $2) ORDER BY no"
);
/// Cases of packages that came, each at its first package.
pub(crate) const CASES: &str = "
    SELECT MIN(no), peer, case_ref, COUNT(*) FROM exchange WHERE direction = 'in' AND case_ref IS NOT NULL
    GROUP BY peer, case_ref HAVING MIN(no) > $1 ORDER BY MIN(no) LIMIT $2";
/// Everything that this authority has ended or said after the handover, and the other has not acknowledged, is still to
/// be told.
pub(crate) const OUTBOX_DUE: &str = exchanges!(
    "WHERE direction = $1 AND phase = $2 AND peer = $3 AND no > $4 AND COALESCE(fault_code, '') <> 'told' \
     AND (next_try IS NULL OR next_try <= $5) ORDER BY no LIMIT $6"
);
/// Packages that are or were held, of which their sender is to be told something; the index holds no others.
pub(crate) const OUTBOX_HELD: &str = exchanges!(
    "WHERE direction = 'in' AND phase IN ('held', 'destroyed') AND next_try IS NOT NULL AND peer = $1 AND next_try <= $2 \
     ORDER BY no LIMIT $3"
);
/// Urgent ones that are to be sent now; the index holds no others.
pub(crate) const OUTBOX_URGENT: &str = exchanges!(
    "WHERE urgent = 1 AND direction = 'out' AND phase IN ('dispatched', 'consigned', 'delivered') AND peer = $1 \
     AND (next_try IS NULL OR next_try <= $2) ORDER BY no LIMIT $3"
);
pub(crate) const OUTBOX_PEERS: &str = "
    SELECT peer, COUNT(*), MIN(COALESCE(next_try, 0)) FROM exchange
    WHERE direction = 'out' AND phase IN ('dispatched', 'consigned', 'delivered', 'restriction-signed')
        OR direction = 'in' AND phase = 'destruction-signed'
        OR direction = 'in' AND phase IN ('held', 'destroyed') AND next_try IS NOT NULL
    GROUP BY peer ORDER BY peer";
/// Packages from or to a peer that bind somebody; and those from it that are held here, or come to be.
pub(crate) const UNSETTLED: &str = "SELECT COUNT(*) FROM exchange WHERE peer = $1 AND phase NOT IN
    ('destroyed', 'rejected', 'refused', 'failed', 'expired', 'withdrawn', 'lapsed')";
pub(crate) const UNSETTLED_HERE: &str =
    "SELECT COUNT(*) FROM exchange WHERE peer = $1 AND direction = 'in'
    AND phase IN ('receiving', 'consigned', 'handover-signed', 'held')";
/// The amount that a peer has brought and nobody has opened: packages and bytes; not what cannot be opened any more.
pub(crate) const UNOPENED: &str = "
    SELECT COUNT(*), COALESCE(SUM(e.len), 0) FROM exchange e
    WHERE e.direction = 'in' AND e.phase IN ('receiving', 'consigned', 'handover-signed', 'held') AND e.peer = $1
    AND (e.phase <> 'held' OR EXISTS (SELECT 1 FROM header h WHERE h.no = e.no))
    AND NOT EXISTS (SELECT 1 FROM statement s WHERE s.no = e.no AND s.kind = 'access')";
pub(crate) const COUNTS: &str =
    "SELECT direction, phase, COUNT(*) FROM exchange GROUP BY direction, phase";
pub(crate) const XIDS: &str = "SELECT xid FROM exchange
     WHERE direction = 'in' AND phase NOT IN ('destruction-signed', 'destroyed', 'refused', 'failed', 'lapsed')
     OR direction = 'out' AND phase NOT IN ('closed', 'restriction-signed', 'destroyed', 'rejected', 'expired',
         'withdrawn', 'failed')";
/// Packages that were received, as far as the journal of destructions is about them.
pub(crate) const RECEIVED: &str = "
    SELECT no, xid, phase FROM exchange WHERE no > $1 AND direction = 'in'
        AND phase IN ('handover-signed', 'held', 'destruction-signed', 'destroyed')
    ORDER BY no LIMIT $2";
/// Held by name alone: there is no key.
pub(crate) const HELD_IN_NAME: &str = "
    SELECT COUNT(*) FROM exchange e WHERE e.direction = 'in' AND e.phase = 'held'
        AND NOT EXISTS (SELECT 1 FROM header h WHERE h.no = e.no)";
pub(crate) const DESTROYED_FIRST: &str =
    "SELECT digest, at FROM statement WHERE no = $1 AND kind = 'destroyed' ORDER BY seq LIMIT 1";
pub(crate) const FIND: &str =
    "SELECT xid FROM exchange WHERE xid >= $1 AND xid <= $2 ORDER BY xid LIMIT $3";

// Payloads and headers.

pub(crate) const PAYLOAD_PUT: &str = "INSERT INTO payload (no, bytes) VALUES ($1, $2)";
pub(crate) const PAYLOAD: &str =
    "SELECT p.bytes FROM payload p JOIN exchange e ON e.no = p.no WHERE e.xid = $1";
pub(crate) const PAYLOAD_DROP: &str = "DELETE FROM payload WHERE no = $1";
pub(crate) const PAYLOADS_ORPHANED: &str =
    "SELECT no FROM payload WHERE no NOT IN (SELECT no FROM exchange)";
pub(crate) const HEADERS_ORPHANED: &str =
    "SELECT no FROM header WHERE no NOT IN (SELECT no FROM exchange)";
pub(crate) const HEADER_PUT: &str = "INSERT INTO header (no, slot, wrapped) VALUES ($1, $2, $3)";
pub(crate) const HEADER: &str =
    "SELECT h.slot, h.wrapped FROM header h JOIN exchange e ON e.no = h.no WHERE e.xid = $1";
pub(crate) const HEADER_DROP: &str = "DELETE FROM header WHERE no = $1 RETURNING slot";
pub(crate) const HEADER_OF_DROP: &str =
    "DELETE FROM header WHERE no = (SELECT no FROM exchange WHERE xid = $1)";
pub(crate) const PAYLOAD_OF_DROP: &str =
    "DELETE FROM payload WHERE no = (SELECT no FROM exchange WHERE xid = $1)";
pub(crate) const HEADER_CLEAR: &str = "DELETE FROM header WHERE no = $1";
pub(crate) const HEADER_SLOTS: &str = "SELECT slot FROM header ORDER BY slot";
pub(crate) const HEADERS_SPENT: &str = "
    DELETE FROM header WHERE no IN
        (SELECT no FROM exchange WHERE direction = 'out' AND phase IN ('delivered', 'closed'))";

// Named values.

pub(crate) const META_PUT: &str = "
    INSERT INTO meta (key, value, sum) VALUES ($1, $2, $3)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum";
pub(crate) const META_SUM: &str = "UPDATE meta SET sum = $1 WHERE key = $2";
pub(crate) const METAS: &str = "SELECT key, value, sum FROM meta ORDER BY key";
pub(crate) const METAS_BETWEEN: &str = "SELECT key, value FROM meta WHERE key >= $1 AND key < $2";
pub(crate) const METAS_NAMED: &str =
    "SELECT key, value FROM meta WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3";
pub(crate) const META: &str = "SELECT value FROM meta WHERE key = $1";

#[cfg(test)]
mod tests {
    /// SQLite numbers `$n` by first use, PostgreSQL by the number: they agree if the first uses ascend.
    #[test]
    fn parameters_are_first_used_in_order() {
        let source = include_str!("sql.rs");
        let source = &source[..source.find("#[cfg(test)]").unwrap()];
        let source = [source, include_str!("sql/peers.rs")].concat();
        for statement in source.split("pub(crate) const").skip(1) {
            let mut next = 1;
            for part in statement.split('$').skip(1) {
                let digits = part.chars().take_while(char::is_ascii_digit).count();
                let Ok(number) = part[..digits].parse::<u32>() else {
                    continue;
                };
                assert!(number <= next, "${number} before ${next} in{statement}");
                next = next.max(number + 1);
            }
        }
    }
}
