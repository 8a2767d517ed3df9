//! The tables, as the steps that lead to them.
//!
//! Types translate one to one: INTEGER is BIGINT, BLOB is BYTEA.

/// The schema, as the steps that lead to it; each is carried out once, in its own transaction, and never edited.
pub(crate) const MIGRATIONS: &[(&str, &str)] = &[
    (
        "exchanges, statements, log, peers",
        "
    CREATE TABLE exchange (
        no INTEGER PRIMARY KEY,
        xid BLOB NOT NULL UNIQUE,
        direction TEXT NOT NULL,
        peer TEXT NOT NULL,
        phase TEXT NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        body BLOB NOT NULL,
        hdr BLOB NOT NULL,
        len INTEGER NOT NULL,
        segments INTEGER NOT NULL,
        terms TEXT NOT NULL,
        case_ref TEXT,
        request_ref TEXT,
        title TEXT,
        items INTEGER NOT NULL,
        disclosures TEXT NOT NULL,
        have TEXT NOT NULL,
        is_inline INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        next_try INTEGER,
        fault_code TEXT,
        fault_text TEXT,
        last_note BLOB NOT NULL,
        steps INTEGER NOT NULL
    );
    CREATE INDEX exchange_phase ON exchange (direction, phase, peer, no);
    CREATE TABLE statement (
        seq INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        xid BLOB,
        kind TEXT NOT NULL,
        issuer TEXT NOT NULL,
        note BLOB NOT NULL,
        at INTEGER NOT NULL,
        leaf INTEGER,
        r BLOB,
        signatures INTEGER NOT NULL
    );
    CREATE INDEX statement_xid ON statement (xid, seq);
    CREATE TABLE payload (no INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
    CREATE TABLE header (
        no INTEGER PRIMARY KEY,
        slot INTEGER NOT NULL UNIQUE,
        wrapped BLOB NOT NULL
    );
    CREATE TABLE leaf (idx INTEGER PRIMARY KEY, commitment BLOB NOT NULL);
    CREATE TABLE log (
        no INTEGER PRIMARY KEY,
        size INTEGER NOT NULL,
        frontier BLOB NOT NULL,
        checkpoint BLOB
    );
    CREATE TABLE peer (
        id TEXT NOT NULL PRIMARY KEY,
        alias TEXT NOT NULL UNIQUE,
        card BLOB NOT NULL,
        number INTEGER NOT NULL,
        state TEXT NOT NULL,
        classic INTEGER NOT NULL,
        added INTEGER NOT NULL,
        accepted INTEGER,
        last_seen INTEGER,
        head BLOB,
        fault_code TEXT,
        fault_text TEXT
    );
    CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL);
    ",
    ),
    (
        CHECKSUMS,
        "
    ALTER TABLE exchange ADD COLUMN sum_open INTEGER;
    ALTER TABLE exchange ADD COLUMN sum_step INTEGER;
    ALTER TABLE exchange ADD COLUMN sum_have INTEGER;
    ALTER TABLE exchange ADD COLUMN sum_try INTEGER;
    ALTER TABLE statement ADD COLUMN sum INTEGER;
    ALTER TABLE peer ADD COLUMN sum INTEGER;
    ALTER TABLE meta ADD COLUMN sum INTEGER;
    ",
    ),
    ("logs of others, cosignatures", WITNESS),
    (
        "urgent packages",
        "
    ALTER TABLE exchange ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX exchange_urgent ON exchange (peer, no)
        WHERE urgent = 1 AND direction = 'out' AND phase IN ('dispatched', 'consigned', 'delivered');
    ",
    ),
    (
        LOG_CHECKSUMS,
        "
    ALTER TABLE log ADD COLUMN sum INTEGER;
    ALTER TABLE witnessed ADD COLUMN sum INTEGER;
    ALTER TABLE heard ADD COLUMN sum INTEGER;
    ALTER TABLE alarm ADD COLUMN sum INTEGER;
    ALTER TABLE cosigned ADD COLUMN sum INTEGER;
    ",
    ),
    ("statements by the number of their exchange", NUMBERED),
    (
        "what is to be told of held packages",
        "CREATE INDEX exchange_telling ON exchange (peer, no)
            WHERE direction = 'in' AND phase = 'held' AND next_try IS NOT NULL;",
    ),
    (
        "wishes for consent",
        "CREATE INDEX statement_asked ON statement (seq) WHERE kind = 'consent-asked';",
    ),
    (
        "packages that were passed on",
        "
    CREATE INDEX statement_onward ON statement (seq) WHERE kind = 'onward';
    DROP INDEX exchange_telling;
    CREATE INDEX exchange_telling ON exchange (peer, no)
        WHERE direction = 'in' AND phase IN ('held', 'destroyed') AND next_try IS NOT NULL;
    ",
    ),
    (
        "days on which packages are looked at",
        "
    ALTER TABLE exchange ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX exchange_due ON exchange (due, no)
        WHERE direction || ' ' || phase IN ('in handover-signed', 'in held');
    CREATE INDEX exchange_page ON exchange (direction, phase, no);
    ",
    ),
    (
        "openings that are not stated yet",
        "
    CREATE TABLE opening (
        id BLOB NOT NULL PRIMARY KEY,
        xid BLOB NOT NULL,
        began INTEGER NOT NULL,
        bound INTEGER NOT NULL,
        record BLOB NOT NULL,
        sum INTEGER NOT NULL
    );
    ",
    ),
    (
        "every card of an authority",
        "
    CREATE TABLE card (
        authority TEXT NOT NULL,
        digest BLOB NOT NULL,
        number INTEGER NOT NULL,
        note BLOB NOT NULL,
        came INTEGER NOT NULL,
        adopted INTEGER,
        sum INTEGER NOT NULL,
        PRIMARY KEY (authority, digest)
    );
    ",
    ),
    (
        "a revocation list of each CA",
        "
    CREATE TABLE crl (
        authority TEXT NOT NULL,
        ca BLOB NOT NULL,
        number INTEGER NOT NULL,
        list BLOB NOT NULL,
        came INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (authority, ca)
    );
    ",
    ),
];

/// Nothing that grows at its end alone is indexed by what is random, and no note is kept twice: each page that a
/// package touches is written twice, to the log and to the database. `found` is filled in large parts, see
/// [`crate::store::digests`]. Where `last` is not NULL, it is the statement that `last_note` would repeat. `WITHOUT
/// ROWID` is SQLite's alone.
const NUMBERED: &str = "
    ALTER TABLE exchange ADD COLUMN last INTEGER;
    CREATE TABLE numbered (
        seq INTEGER PRIMARY KEY,
        digest BLOB NOT NULL,
        xid BLOB,
        no INTEGER,
        kind TEXT NOT NULL,
        issuer TEXT NOT NULL,
        note BLOB NOT NULL,
        at INTEGER NOT NULL,
        leaf INTEGER,
        r BLOB,
        signatures INTEGER NOT NULL,
        sum INTEGER
    );
    INSERT INTO numbered (seq, digest, xid, no, kind, issuer, note, at, leaf, r, signatures, sum)
        SELECT s.seq, s.digest, s.xid, e.no, s.kind, s.issuer, s.note, s.at, s.leaf, s.r, s.signatures, s.sum
        FROM statement s LEFT JOIN exchange e ON e.xid = s.xid;
    DROP TABLE statement;
    ALTER TABLE numbered RENAME TO statement;
    CREATE INDEX statement_kind ON statement (no, kind, seq) WHERE no IS NOT NULL;
    CREATE INDEX statement_alone ON statement (xid, seq) WHERE no IS NULL;
    CREATE INDEX exchange_case ON exchange (direction, peer, case_ref)
        WHERE direction = 'in' AND case_ref IS NOT NULL;
    CREATE TABLE found (key INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, seq)) WITHOUT ROWID;
    CREATE TABLE found_until (no INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
    INSERT INTO found_until (no, seq) VALUES (1, 0);";

const WITNESS: &str = "
    ALTER TABLE log ADD COLUMN signed_at INTEGER;
    CREATE TABLE witnessed (
        origin TEXT NOT NULL PRIMARY KEY,
        size INTEGER NOT NULL,
        root BLOB NOT NULL,
        note BLOB NOT NULL,
        at INTEGER NOT NULL
    );
    CREATE TABLE heard (origin TEXT NOT NULL PRIMARY KEY, note BLOB NOT NULL, at INTEGER NOT NULL);
    CREATE TABLE alarm (
        origin TEXT NOT NULL PRIMARY KEY,
        kind TEXT NOT NULL,
        earlier BLOB NOT NULL,
        later BLOB NOT NULL,
        at INTEGER NOT NULL
    );
    CREATE TABLE cosigned (
        witness TEXT NOT NULL PRIMARY KEY,
        size INTEGER NOT NULL,
        note BLOB NOT NULL,
        line TEXT NOT NULL,
        at INTEGER NOT NULL
    );";

/// The step after which [`crate::store::sums::fill`] is carried out.
pub(crate) const CHECKSUMS: &str = "checksums of rows";
/// The step after which [`crate::store::sums::fill_logs`] is carried out.
pub(crate) const LOG_CHECKSUMS: &str = "checksums of what is known of logs";
