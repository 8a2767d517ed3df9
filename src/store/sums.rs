//! Checksums of the columns that no statement can give back: times, counts, faults, decisions about peers.
//!
//! SQLite keeps no checksums of its pages. What a statement says can be computed anew from it; of the rest only a
//! number written together with it shows that it is still what was written. Columns that are written together have one
//! such number: the first 8 bytes of SHA-256 over a label, what the row is about, and the values. They show rot and
//! mistakes, not a forger, who can compute them too.

use rusqlite::{Connection, params};

use crate::base::{AuthorityId, Digest, Hasher, Ranges, Timestamp, Xid, json, len_u64};
use crate::exchange::Phase;
use crate::store::rows::{
    AlarmRow, CardRow, CosignedRow, CrlRow, Exchange, OpeningRow, PeerRow, StoredFault,
    WitnessedRow,
};
use crate::store::{digests, reader, sql};

/// A checksum in the making: every value with its length, so that no two rows give the same bytes.
struct Sum(Hasher);

impl Sum {
    fn of(label: &str) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(b"rogatory/row/v1\0");
        Self(hasher).bytes(label.as_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&len_u64(bytes.len()).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn number(self, number: impl Into<i128>) -> Self {
        self.bytes(&number.into().to_be_bytes())
    }

    fn time(self, time: Timestamp) -> Self {
        self.number(time.millis())
    }

    fn maybe<T>(self, value: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            None => self.number(0),
            Some(value) => add(self.number(1), value),
        }
    }

    fn fault(self, fault: Option<&StoredFault>) -> Self {
        self.maybe(fault, |sum, fault| {
            sum.bytes(fault.code.as_bytes())
                .bytes(fault.text.as_bytes())
        })
    }

    fn finish(self) -> i64 {
        digests::key(&self.0.finish())
    }
}

/// Of what never changes in the row of an exchange, and its number in the ledger.
pub(crate) fn opened(no: i64, row: &Exchange) -> i64 {
    let text = |sum: Sum, text: &str| sum.bytes(text.as_bytes());
    let sum = Sum::of("exchange")
        .number(no)
        .bytes(row.xid.as_bytes())
        .bytes(row.direction.as_str().as_bytes())
        .bytes(row.peer.as_str().as_bytes())
        .time(row.created)
        .bytes(row.body.as_bytes())
        .bytes(row.hdr.as_bytes())
        .number(row.len)
        .number(row.segments)
        .bytes(row.terms.as_bytes())
        .maybe(row.case_ref.as_deref(), text)
        .maybe(row.request_ref.as_deref(), text)
        .maybe(row.title.as_deref(), text)
        .number(row.items)
        .bytes(&json::canonical(&row.disclosures))
        .number(u8::from(row.inline));
    // Rows from before there were urgent ones keep theirs.
    let sum = if row.urgent { sum.number(1) } else { sum };
    sum.finish()
}

/// Of how far an exchange has come.
pub(crate) fn stepped(xid: &Xid, phase: Phase, updated: Timestamp) -> i64 {
    Sum::of("exchange step")
        .bytes(xid.as_bytes())
        .bytes(phase.as_str().as_bytes())
        .time(updated)
        .finish()
}

/// Of the segments that are durable.
pub(crate) fn had(xid: &Xid, have: &Ranges) -> i64 {
    Sum::of("exchange have")
        .bytes(xid.as_bytes())
        .bytes(&json::canonical(have))
        .finish()
}

/// Of the attempts.
pub(crate) fn tried(
    xid: &Xid,
    attempts: u32,
    next_try: Option<Timestamp>,
    fault: Option<&StoredFault>,
) -> i64 {
    Sum::of("exchange try")
        .bytes(xid.as_bytes())
        .number(attempts)
        .maybe(next_try, Sum::time)
        .fault(fault)
        .finish()
}

/// Of what the ledger adds to a statement.
pub(crate) fn kept(
    seq: i64,
    digest: &Digest,
    at: Timestamp,
    leaf: Option<u64>,
    r: Option<&[u8; 32]>,
) -> i64 {
    Sum::of("statement")
        .number(seq)
        .bytes(digest.as_bytes())
        .time(at)
        .maybe(leaf, Sum::number)
        .maybe(r, |sum, r| sum.bytes(r))
        .finish()
}

/// Of all that is known of a peer.
pub(crate) fn peer(row: &PeerRow) -> i64 {
    Sum::of("peer")
        .bytes(row.id.as_str().as_bytes())
        .bytes(row.alias.as_str().as_bytes())
        .bytes(&row.card)
        .number(row.number)
        .bytes(row.state.as_str().as_bytes())
        .number(u8::from(row.classic))
        .time(row.added)
        .maybe(row.accepted, Sum::time)
        .maybe(row.last_seen, Sum::time)
        .maybe(row.head.as_deref(), Sum::bytes)
        .fault(row.fault.as_ref())
        .finish()
}

/// Of a revocation list.
pub(crate) fn crl(row: &CrlRow) -> i64 {
    Sum::of("crl")
        .bytes(row.authority.as_str().as_bytes())
        .bytes(row.ca.as_bytes())
        .number(row.number)
        .bytes(&row.list)
        .time(row.came)
        .finish()
}

/// Of a card.
pub(crate) fn card(row: &CardRow) -> i64 {
    Sum::of("card")
        .bytes(row.authority.as_str().as_bytes())
        .bytes(row.digest.as_bytes())
        .number(row.number)
        .bytes(&row.note)
        .time(row.came)
        .maybe(row.adopted, Sum::time)
        .finish()
}

/// Of a named value.
pub(crate) fn named(key: &str, value: &[u8]) -> i64 {
    Sum::of("meta").bytes(key.as_bytes()).bytes(value).finish()
}

/// Of the own log's last checkpoint and when it was signed; none before the first.
pub(crate) fn signed(note: Option<&[u8]>, at: Option<Timestamp>) -> Option<i64> {
    if note.is_none() && at.is_none() {
        return None;
    }
    let sum = Sum::of("log").maybe(note, Sum::bytes);
    Some(sum.maybe(at, Sum::time).finish())
}

/// Of an opening that is not stated yet.
pub(crate) fn opening(row: &OpeningRow) -> i64 {
    Sum::of("opening")
        .bytes(&row.id)
        .bytes(row.xid.as_bytes())
        .time(row.began)
        .number(row.bound)
        .bytes(&row.record)
        .finish()
}

/// Of a head of another authority's log that was cosigned here.
pub(crate) fn witnessed(row: &WitnessedRow) -> i64 {
    Sum::of("witnessed")
        .bytes(row.of.as_str().as_bytes())
        .number(row.size)
        .bytes(row.root.as_bytes())
        .bytes(&row.note)
        .time(row.at)
        .finish()
}

/// Of a head that was heard of.
pub(crate) fn heard(of: &AuthorityId, note: &[u8], at: Timestamp) -> i64 {
    let sum = Sum::of("heard").bytes(of.as_str().as_bytes());
    sum.bytes(note).time(at).finish()
}

/// Of two heads that do not go together.
pub(crate) fn alarm(row: &AlarmRow) -> i64 {
    Sum::of("alarm")
        .bytes(row.of.as_str().as_bytes())
        .bytes(row.kind.as_str().as_bytes())
        .bytes(&row.earlier)
        .bytes(&row.later)
        .time(row.at)
        .finish()
}

/// Of a cosignature on the own log.
pub(crate) fn cosigned(row: &CosignedRow) -> i64 {
    Sum::of("cosigned")
        .bytes(row.by.as_str().as_bytes())
        .number(row.size)
        .bytes(&row.note)
        .bytes(row.line.as_bytes())
        .time(row.at)
        .finish()
}

/// Gives what is known of logs its checksums in a ledger that had none of these, inside the transaction that adds the
/// columns.
pub(crate) fn fill_logs(db: &Connection) -> rusqlite::Result<()> {
    let (note, at) = reader::row(db, sql::LOG_CHECK, [], reader::signed)?.unwrap_or_default();
    db.execute(sql::LOG_SUM, [signed(note.as_deref(), at)])?;
    let put = |update: &'static str, sum: i64, of: &AuthorityId| {
        db.prepare_cached(update)?
            .execute(params![sum, of.as_str()])
            .map(|_| ())
    };
    for row in reader::rows(db, sql::WITNESSED_CHECK, [], reader::witnessed)? {
        put(sql::WITNESSED_SUM, witnessed(&row), &row.of)?;
    }
    for (of, note, at) in reader::rows(db, sql::HEARD_CHECK, [], reader::heard)? {
        put(sql::HEARD_SUM, heard(&of, &note, at), &of)?;
    }
    for row in reader::rows(db, sql::ALARM_CHECK, [], reader::alarm)? {
        put(sql::ALARM_SUM, alarm(&row), &row.of)?;
    }
    for row in reader::rows(db, sql::COSIGNED_CHECK, [], reader::cosigned)? {
        put(sql::COSIGNED_SUM, cosigned(&row), &row.by)?;
    }
    Ok(())
}

/// Gives every row of a ledger that had no checksums its own, inside the transaction that adds the columns.
pub(crate) fn fill(db: &Connection) -> rusqlite::Result<()> {
    let xids = reader::rows(db, sql::EXCHANGE_XIDS, [], |row| reader::xid(row, 0))?;
    for xid in xids {
        let no = db
            .prepare_cached(sql::EXCHANGE_NO)?
            .query_row([xid.as_bytes()], |row| row.get(0))?;
        let found = reader::row(db, sql::EXCHANGE_EARLY, [xid.as_bytes()], reader::exchange)?;
        if let Some(row) = found {
            exchange(db, no, &row)?;
        }
    }
    let mut before = 0;
    while let Some(row) = reader::row(db, sql::STATEMENTS_EARLY, [before], reader::statement)? {
        let sum = kept(row.seq, &row.digest, row.at, row.leaf, row.r.as_ref());
        db.prepare_cached(sql::STATEMENT_SUM)?
            .execute(params![sum, row.seq])?;
        before = row.seq;
    }
    for row in reader::rows(db, sql::PEERS, [], reader::peer)? {
        db.prepare_cached(sql::PEER_SUM)?
            .execute(params![peer(&row), row.id.as_str()])?;
    }
    let named_rows = reader::rows(db, sql::METAS, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (key, value) in named_rows {
        let (key, value): (String, Vec<u8>) = (key, value);
        db.prepare_cached(sql::META_SUM)?
            .execute(params![named(&key, &value), key])?;
    }
    Ok(())
}

/// Writes the checksums of an exchange's row as it stands.
pub(crate) fn exchange(db: &Connection, no: i64, row: &Exchange) -> rusqlite::Result<()> {
    db.prepare_cached(sql::EXCHANGE_SUMS)?.execute(params![
        opened(no, row),
        stepped(&row.xid, row.phase, row.updated),
        had(&row.xid, &row.have),
        tried(&row.xid, row.attempts, row.next_try, row.fault.as_ref()),
        no
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::opening;

    #[test]
    fn rows_of_an_older_ledger_get_their_checksums() {
        let db = Connection::open_in_memory().unwrap();
        db.execute(sql::MIGRATION_TABLE, []).unwrap();
        let (name, steps) = sql::MIGRATIONS[0];
        db.execute_batch(steps).unwrap();
        db.execute(sql::MIGRATION_DONE, params![1, name]).unwrap();
        db.execute_batch(
            "INSERT INTO meta (key, value) VALUES ('a', x'01');
            INSERT INTO statement (seq, digest, kind, issuer, note, at, signatures)
            VALUES (7, zeroblob(32), 'dispatch', 'mla.example.ie', x'00', 5, 1);
            INSERT INTO peer (id, alias, card, number, state, classic, added)
            VALUES ('mla.example.fr', 'fr', x'00', 3, 'accepted', 0, 9);
            INSERT INTO exchange VALUES (4, zeroblob(16), 'in', 'mla.example.fr', 'held', 1, 2, zeroblob(32),
                zeroblob(32), 10, 1, '{}', NULL, NULL, NULL, 0, '[]', '[]', 1, 0, NULL, NULL, NULL, x'00', 1);",
        )
        .unwrap();
        opening::migrate(&db).unwrap();
        let number = |query: &str| -> i64 { db.query_row(query, [], |row| row.get(0)).unwrap() };
        assert_eq!(number("SELECT sum FROM meta"), named("a", &[1]));
        let zeros = Digest::from_bytes([0; 32]);
        let at = Timestamp::from_millis(5);
        assert_eq!(
            number("SELECT sum FROM statement"),
            kept(7, &zeros, at, None, None)
        );
        let xid = Xid::from_bytes([0; 16]);
        let updated = Timestamp::from_millis(2);
        assert_eq!(
            number("SELECT sum_step FROM exchange"),
            stepped(&xid, Phase::Held, updated)
        );
        for query in [
            "SELECT COUNT(*) FROM peer WHERE sum IS NULL",
            "SELECT COUNT(*) FROM exchange WHERE sum_open IS NULL OR sum_have IS NULL OR sum_try IS NULL",
        ] {
            assert_eq!(number(query), 0, "{query}");
        }
    }

    #[test]
    fn what_an_older_ledger_knows_of_logs_gets_its_checksums() {
        let db = Connection::open_in_memory().unwrap();
        db.execute(sql::MIGRATION_TABLE, []).unwrap();
        for (no, (name, steps)) in (1_i64..).zip(sql::MIGRATIONS) {
            if *name == sql::LOG_CHECKSUMS {
                break;
            }
            db.execute_batch(steps).unwrap();
            db.execute(sql::MIGRATION_DONE, params![no, name]).unwrap();
        }
        db.execute_batch(
            "INSERT INTO log (no, size, frontier, checkpoint, signed_at) VALUES (1, 0, x'', x'01', 4);
            INSERT INTO witnessed VALUES ('mla.example.fr', 3, zeroblob(32), x'02', 5);
            INSERT INTO heard VALUES ('mla.example.fr', x'03', 6);
            INSERT INTO alarm VALUES ('mla.example.fr', 'fork', x'04', x'05', 7);
            INSERT INTO cosigned VALUES ('mla.example.fr', 3, x'06', 'line', 8);",
        )
        .unwrap();
        opening::migrate(&db).unwrap();
        let of: AuthorityId = "mla.example.fr".parse().unwrap();
        let at = Timestamp::from_millis;
        let witnessed = witnessed(&WitnessedRow {
            of: of.clone(),
            size: 3,
            root: Digest::from_bytes([0; 32]),
            note: vec![2],
            at: at(5),
        });
        let alarm = alarm(&AlarmRow {
            of: of.clone(),
            kind: crate::store::AlarmKind::Fork,
            earlier: vec![4],
            later: vec![5],
            at: at(7),
        });
        let cosigned = cosigned(&CosignedRow {
            by: of.clone(),
            size: 3,
            note: vec![6],
            line: "line".to_owned(),
            at: at(8),
        });
        for (table, wanted) in [
            ("log", signed(Some(&[1]), Some(at(4))).unwrap()),
            ("witnessed", witnessed),
            ("heard", heard(&of, &[3], at(6))),
            ("alarm", alarm),
            ("cosigned", cosigned),
        ] {
            let query = format!("SELECT sum FROM {table}");
            let found: i64 = db.query_row(&query, [], |row| row.get(0)).unwrap();
            assert_eq!(found, wanted, "{table}");
        }
        assert_eq!(signed(None, None), None, "nothing is signed yet");
    }

    #[test]
    fn where_a_value_ends_counts() {
        let sum = |parts: &[&[u8]]| {
            let sum = parts.iter().fold(Sum::of("x"), |sum, part| sum.bytes(part));
            sum.finish()
        };
        assert_eq!(sum(&[b"ab", b"c"]), sum(&[b"ab", b"c"]));
        assert_ne!(sum(&[b"ab", b"c"]), sum(&[b"a", b"bc"]));
        assert_ne!(sum(&[b"", b"abc"]), sum(&[b"abc"]));
        let maybe = |value: Option<&[u8]>| Sum::of("x").maybe(value, Sum::bytes).finish();
        assert_ne!(maybe(None), maybe(Some(b"")));
        assert_ne!(Sum::of("x").finish(), Sum::of("y").finish());
    }
}
