//! `fsck` against the state directories of two real daemons: every bit that rots and every cell that is edited is
//! found, or makes no difference to anything that the daemon would say or serve.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rogatory::base::{Digest, Timestamp, Xid};
use rogatory::identity::card::Card;
use rogatory::identity::keys::{KeyName, Role, SecretKey};
use rogatory::store::check::{Report, check, repair};
use rogatory::store::{AlarmKind, AlarmRow, Blobs, Ledger, Op, StoreFault};
use rogatory::tlog::Checkpoint;
use rusqlite::types::Value;

use crate::stage;
use crate::stage::Authority;

/// Bits that are flipped, one at a time: every second one within the database.
const FLIPS: u64 = 1_000;
/// Space for the ledger on a full disk, 4 MiB of nothing: left out, or most places would be in it.
const RESERVE: &str = "reserve";
const SEED: u64 = 0x2026_1123_0003;

/// A copy of an authority's state, and what belongs to it.
struct State {
    dir: tempfile::TempDir,
    folder: PathBuf,
    card: Card,
    key: PathBuf,
}

impl State {
    fn of(authority: &Authority) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("state");
        copy(&authority.home.join("state"), &folder);
        let journal = dir.path().join("state-destroyed");
        let kept = authority.home.join("state-destroyed");
        // Where no daemon ran, there is none.
        if kept.exists() {
            copy(&kept, &journal);
        }
        let note =
            fs::read(authority.home.join(format!("{}.card", authority.alias))).expect("card");
        let (card, _) = Card::open(&note).expect("a good card");
        let key = authority.home.join("keys/log.key");
        Self {
            dir,
            folder,
            card,
            key,
        }
    }

    fn check(&self) -> Result<Report, StoreFault> {
        check(&self.folder, &self.journal(), &self.card)
    }

    /// Where the journal of destructions is by default.
    fn journal(&self) -> PathBuf {
        self.folder
            .with_file_name("state-destroyed")
            .join("journal")
    }

    fn is_found(&self) -> bool {
        loop {
            match self.check() {
                Ok(report) => return report.is_damaged(),
                // A child process of another test has inherited the lock, until it is its own program.
                Err(StoreFault::Locked { .. }) => std::thread::yield_now(),
                Err(_) => return true,
            }
        }
    }

    fn copied(&self) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("state");
        copy(&self.folder, &folder);
        let journal = dir.path().join("state-destroyed");
        copy(&self.folder.with_file_name("state-destroyed"), &journal);
        let (card, key) = (self.card.clone(), self.key.clone());
        Self {
            dir,
            folder,
            card,
            key,
        }
    }

    /// All that a daemon reads from this state, as text; a state that does not open says so.
    fn served(&self) -> String {
        let state = self.copied();
        let key = log_key(&state.card, &state.key);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("runtime");
        let told = runtime.block_on(async {
            let ledger = Ledger::open(&state.folder, key)?;
            let told = read(&ledger, &state.folder).await;
            ledger.close().await;
            told
        });
        drop(state.dir);
        told.unwrap_or_else(|fault| format!("does not open: {fault}"))
    }
}

fn log_key(card: &Card, path: &Path) -> SecretKey {
    let name = KeyName::new(card.id.clone(), Role::Log);
    let pem = fs::read_to_string(path).expect("log key");
    SecretKey::from_pkcs8_pem(name, &pem).expect("log key")
}

/// The records that a log which forks leaves with its watcher: two heads of it, one more that waits for its proof; and
/// an alarm about the other peer, which has not proved a head.
fn watched(authority: &Authority, other: &Authority, forked: &Authority) {
    let [own, other, forked] = [authority, other, forked].map(|authority| {
        let state = State::of(authority);
        (state.card.id.clone(), log_key(&state.card, &state.key))
    });
    let note = |of: &(_, SecretKey), size: u64, root: &str| {
        let head = Checkpoint {
            origin: format!("{}/log", of.0),
            size,
            root: Digest::of(root.as_bytes()),
        };
        head.sign(&of.1)
    };
    let at = Timestamp::from_millis(1_795_424_400_000);
    let heads = |kind, earlier: Vec<u8>, later: Vec<u8>| {
        let of = match kind {
            AlarmKind::Fork => forked.0.clone(),
            AlarmKind::Unproved => other.0.clone(),
        };
        Op::Alarm(Box::new(AlarmRow {
            of,
            kind,
            earlier,
            later,
            at,
        }))
    };
    let ops = vec![
        Op::Heard {
            of: forked.0.clone(),
            note: Some(note(&forked, 7, "seven")),
            at,
        },
        heads(
            AlarmKind::Fork,
            note(&forked, 9, "one"),
            note(&forked, 9, "two"),
        ),
        heads(
            AlarmKind::Unproved,
            Vec::new(),
            note(&other, 1_000, "never"),
        ),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let ledger = Ledger::open(&authority.home.join("state"), own.1).expect("a ledger");
        ledger.commit(ops).await.expect("a commit");
        ledger.close().await;
    });
}

async fn read(ledger: &Ledger, folder: &Path) -> Result<String, StoreFault> {
    let mut told = String::new();
    let mut add = |what: &dyn std::fmt::Debug| writeln!(told, "{what:?}").expect("text");
    add(&(ledger.size(), ledger.head(), ledger.last_checkpoint()));
    add(&ledger.checkpoint_at());
    add(&(ledger.witnessed_all().await?, ledger.cosigned().await?));
    add(&ledger.alarms().await?);
    add(&ledger.recompute(ledger.size()).await?);
    for peer in ledger.peers().await? {
        add(&ledger.heard(&peer.id).await?);
        add(&peer);
    }
    add(&ledger.counts().await?);
    add(&ledger.waiting().await?);
    add(&ledger.under_way(1_000, None).await?);
    let mut known = ledger.xids().await?;
    known.sort();
    add(&known);
    let blobs = Blobs::open(folder, 0).map_err(|e| StoreFault::Damaged(e.to_string()))?;
    for exchange in ledger
        .exchanges(None, None, 1_000, None)
        .await?
        .into_parts()
        .0
    {
        add(&exchange);
        let xid: Xid = exchange.xid;
        add(&ledger.statements(&xid, 1_000, None).await?);
        add(&ledger.payload(&xid).await?);
        add(&ledger.header(&xid).await?);
        for file in [blobs.payload(&xid), blobs.list(&xid)] {
            let bytes = file.and_then(|mut file| {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut file, &mut bytes).map(|_| bytes)
            });
            add(&bytes.map(|bytes| Digest::of(&bytes)).map_err(|e| e.kind()));
        }
        add(&ledger.find(&xid.to_string()[..8]).await?);
    }
    for statement in ledger.statement_list(1_000, None).await?.into_parts().0 {
        add(&statement);
        add(&ledger.statement(&statement.digest).await?);
        add(&ledger
            .meta(&format!("disclosures/{}", statement.digest))
            .await?);
    }
    Ok(told)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_name() != RESERVE {
            fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}

fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let about = entry.metadata().expect("about");
        if about.is_dir() {
            found.extend(files(&entry.path()));
        } else if about.len() > 0 && entry.file_name() != RESERVE {
            found.push((entry.path(), about.len()));
        }
    }
    found.sort();
    found
}

/// xorshift64*: the same places on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit
    }
}

fn flip(path: &Path, bit: u64) {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).expect("a byte");
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit / 8).expect("a byte");
}

/// Flips so many bits of a state, one at a time, and says how many were found, harmless and neither.
fn flips(state: &State, count: u64, random: &mut Random) -> (u64, u64, Vec<String>) {
    let served = state.served();
    let all = files(&state.folder);
    let bytes: u64 = all.iter().map(|(_, length)| length).sum();
    let database = state.folder.join("ledger.db");
    let (mut found, mut harmless, mut missed) = (0, 0, Vec::new());
    for number in 0..count {
        let mut at = random.below(bytes * 8);
        let (path, bit) = if number % 2 == 0 {
            let at_file = all.iter().find(|(_, length)| {
                let here = at < length * 8;
                if !here {
                    at -= length * 8;
                }
                here
            });
            (at_file.expect("within the files").0.clone(), at)
        } else {
            let length = fs::metadata(&database).expect("a database").len();
            (database.clone(), random.below(length * 8))
        };
        flip(&path, bit);
        match state.check() {
            Err(_) => found += 1,
            Ok(report) if report.is_damaged() => found += 1,
            Ok(_) if state.served() == served => harmless += 1,
            Ok(_) => missed.push(format!("{} bit {bit}", path.display())),
        }
        flip(&path, bit);
    }
    (found, harmless, missed)
}

/// Every value of every row of every table, changed one at a time by somebody with a database tool: how many were
/// found, made no difference, neither.
fn edits(state: &State) -> (u64, u64, Vec<String>) {
    let served = state.served();
    let (mut found, mut harmless, mut missed) = (0, 0, Vec::new());
    let tables = [
        "exchange",
        "statement",
        "payload",
        "header",
        "leaf",
        "log",
        "peer",
        "meta",
        "migration",
        "witnessed",
        "heard",
        "alarm",
        "cosigned",
    ];
    for table in tables {
        let (columns, rows) = shape(&state.folder, table);
        for column in columns {
            for row in &rows {
                let edited = state.copied();
                if !edit(&edited.folder, table, &column, *row) {
                    continue;
                }
                if edited.is_found() {
                    found += 1;
                } else if edited.served() == served {
                    harmless += 1;
                } else {
                    missed.push(format!("{table}.{column} of row {row}"));
                }
            }
        }
    }
    (found, harmless, missed)
}

fn shape(folder: &Path, table: &str) -> (Vec<String>, Vec<i64>) {
    let db = rusqlite::Connection::open(folder.join("ledger.db")).expect("a database");
    let list = |query: String| -> Vec<String> {
        let mut query = db.prepare(&query).expect("a query");
        let rows = query.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|row| row.expect("a row")).collect()
    };
    let columns = list(format!("SELECT name FROM pragma_table_info('{table}')"));
    let rows = list(format!("SELECT CAST(rowid AS TEXT) FROM {table}"));
    (
        columns,
        rows.iter()
            .map(|row| row.parse().expect("a number"))
            .collect(),
    )
}

/// Whether the value was changed: the database itself refuses some, the key of another row for example.
fn edit(folder: &Path, table: &str, column: &str, row: i64) -> bool {
    let db = rusqlite::Connection::open(folder.join("ledger.db")).expect("a database");
    let old: Value = db
        .query_row(
            &format!("SELECT {column} FROM {table} WHERE rowid = $1"),
            [row],
            |row| row.get(0),
        )
        .expect("a value");
    let new = match old {
        Value::Null => Value::Integer(7),
        Value::Integer(number) => Value::Integer(number ^ 64),
        Value::Real(number) => Value::Real(number + 1.0),
        Value::Text(text) => Value::Text(text + "x"),
        Value::Blob(mut bytes) => {
            match bytes.last_mut() {
                Some(last) => *last ^= 1,
                None => bytes.push(1),
            }
            Value::Blob(bytes)
        }
    };
    db.execute(
        &format!("UPDATE {table} SET {column} = $1 WHERE rowid = $2"),
        (new, row),
    )
    .is_ok()
}

#[test]
fn what_rots_or_is_edited_is_found_or_harmless() {
    let stage = stage::two_authorities();
    stage.exchanges();
    let fr = stage.third();
    stage.ie.wait_cosigned();
    stage.de.wait_cosigned();
    assert!(
        matches!(
            check(
                &stage.ie.home.join("state"),
                &stage.ie.home.join("state-destroyed/journal"),
                &State::of(&stage.ie).card
            ),
            Err(StoreFault::Locked { .. })
        ),
        "a running daemon keeps its state to itself"
    );
    let stage = stage.stopped();
    watched(&stage.ie, &stage.de, &fr);
    watched(&stage.de, &stage.ie, &fr);
    let told: Vec<String> = std::thread::scope(|scope| {
        let both = [&stage.ie, &stage.de].map(|authority| scope.spawn(|| judged(authority)));
        both.map(|one| one.join().expect("no panic")).into()
    });
    println!("{}", told.concat());
}

/// The state of one of them: clean as it is, and whatever is changed in it found or harmless.
fn judged(authority: &Authority) -> String {
    let kept = State::of(authority);
    let report = kept.check().expect("a state that can be read");
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert_eq!(report.unverified, 0);
    for table in ["witnessed", "heard", "alarm", "cosigned"] {
        assert!(!shape(&kept.folder, table).1.is_empty(), "{table} is empty");
    }
    assert!(
        report.payloads >= 2 && report.headers >= 1 && report.statements >= 10,
        "{report:?}"
    );
    let (alias, count) = (authority.alias, FLIPS / 2);
    let seed = alias
        .bytes()
        .fold(SEED, |seed, byte| seed * 31 + u64::from(byte));
    let (found, harmless, missed) = flips(&kept, count, &mut Random(seed));
    assert!(missed.is_empty(), "{missed:#?}");
    let mut told = format!(
        "fsck, {alias}: {count} bits flipped (seed {seed:#x}): {found} found, {harmless} harmless, 0 missed\n"
    );
    let (found, harmless, missed) = edits(&kept);
    assert!(missed.is_empty() && found > 400, "{missed:#?}");
    writeln!(
        told,
        "fsck, {alias}: values edited: {found} found, {harmless} harmless, 0 missed"
    )
    .expect("text");
    repaired(&kept);
    told
}

/// Rows that statements determine are written anew, byte for byte as they were for any reader.
fn repaired(state: &State) {
    let served = state.served();
    for sql in [
        "UPDATE exchange SET steps = steps + 1",
        "UPDATE exchange SET last_note = x'00', terms = '{}', peer = 'mla.example.fr'",
        "UPDATE exchange SET hdr = zeroblob(32), body = zeroblob(32), len = len + 1",
        "UPDATE exchange SET last = NULL",
        "UPDATE statement SET no = COALESCE(no, 0) + 1",
        "INSERT INTO found (key, seq) VALUES (1, 2)",
        "UPDATE found_until SET seq = 5",
        "UPDATE leaf SET commitment = zeroblob(32) WHERE idx = 2",
        "DELETE FROM leaf WHERE idx >= 1",
        "UPDATE log SET frontier = zeroblob(32)",
        "UPDATE witnessed SET size = size + 1, root = zeroblob(32)",
        "UPDATE cosigned SET size = size + 1, at = 3, sum = 4",
    ] {
        let broken = state.copied();
        let db = rusqlite::Connection::open(broken.folder.join("ledger.db")).expect("a database");
        db.execute_batch(sql).expect(sql);
        drop(db);
        let (before, after) =
            repair(&broken.folder, &broken.journal(), &broken.card).expect("a repair");
        assert!(before.is_damaged(), "{sql}");
        // Times and titles share a checksum with some of what was changed; their values were not touched.
        assert!(!after.is_damaged(), "{sql}: {:#?}", after.findings);
        if !sql.contains("hdr =") && !sql.contains("peer =") {
            assert_eq!(broken.served(), served, "{sql}");
        }
    }
    let broken = state.copied();
    for (path, _) in files(&broken.folder.join("blobs")) {
        if path.extension().is_some_and(|ending| ending == "list") {
            fs::write(&path, b"nothing of use").expect("a list");
        }
    }
    let (before, after) =
        repair(&broken.folder, &broken.journal(), &broken.card).expect("a repair");
    assert!(
        before.is_damaged() && !after.is_damaged(),
        "{:#?}",
        after.findings
    );
    assert_eq!(broken.served(), served);
    for sql in [
        "UPDATE statement SET note = x'00' WHERE seq = 3",
        "UPDATE witnessed SET note = (SELECT note FROM heard)",
        "UPDATE witnessed SET size = 1, at = 0",
        "UPDATE heard SET at = at + 1",
        "UPDATE alarm SET kind = 'fork'",
        "UPDATE alarm SET later = earlier WHERE kind = 'fork'",
        "UPDATE cosigned SET line = replace(line, 'A', 'B')",
        "UPDATE log SET signed_at = NULL",
    ] {
        let broken = state.copied();
        let db = rusqlite::Connection::open(broken.folder.join("ledger.db")).expect("a database");
        db.execute_batch(sql).expect(sql);
        drop(db);
        let (_, after) = repair(&broken.folder, &broken.journal(), &broken.card).expect("a repair");
        assert!(
            after.is_damaged(),
            "{sql}: what somebody stated is never made up"
        );
    }
}
