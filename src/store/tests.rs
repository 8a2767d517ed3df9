//! The ledger as a whole, on a real disk.

mod due;

mod lists;

mod shredding;

mod reading;

mod disk;

mod restoring;

mod log;

mod tiny;

pub(super) use tiny::{Tiny, fill};

use std::io::{Seek, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::base::{AuthorityId, Cursor, Digest, Page, Ranges, Timestamp, Xid, limits};
use crate::exchange::{Direction, Phase, Step};
use crate::identity::keys::{KeyName, Role, SecretKey};
use crate::receipt::Kind;
use crate::store::{
    CommitFault, Exchange, Ledger, Op, OpeningRow, PeerRow, PeerState, StatementRow, StoreFault,
    StoredFault, durable,
};
use crate::tlog;
use crate::tlog::{Checkpoint, Frontier};

const HEADER: &[u8] = b"age-encryption.org/v1\n-> X25519 SECRET-HEADER-BYTES\n--- mac\n";

fn key() -> SecretKey {
    let name = KeyName::new("mla.example.ie".parse().unwrap(), Role::Log);
    SecretKey::from_seed(name, &[3; 32])
}

/// Opens what has a lock, once no child process of another test has it: such a process inherits it until it is its own
/// program.
pub(crate) fn unlocked<T>(open: impl Fn() -> Result<T, StoreFault>) -> Result<T, StoreFault> {
    loop {
        match open() {
            Err(StoreFault::Locked { .. }) => std::thread::yield_now(),
            opened => return opened,
        }
    }
}

fn open(folder: &Path) -> Ledger {
    unlocked(|| Ledger::open(folder, key())).unwrap()
}

fn peer() -> AuthorityId {
    "mla.example.fr".parse().unwrap()
}

fn xid(number: u8) -> Xid {
    Xid::from_bytes([number; 16])
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn exchange(number: u8, direction: Direction, phase: Phase) -> Exchange {
    Exchange {
        xid: xid(number),
        direction,
        peer: peer(),
        phase,
        created: at(1_000),
        updated: at(2_000),
        body: Digest::of(b"body"),
        hdr: Digest::of(b"hdr"),
        len: 5_000_000,
        segments: 5,
        terms: "{\"instrument\":\"EIO\"}".to_owned(),
        case_ref: Some("IE-2026-1".to_owned()),
        request_ref: None,
        title: Some("Bank \"records\"".to_owned()),
        items: 3,
        disclosures: vec!["WyJhIl0".to_owned(), "WyJiIl0".to_owned()],
        have: Ranges::empty(),
        inline: false,
        attempts: 0,
        next_try: None,
        fault: None,
        last_note: b"dispatch".to_vec(),
        steps: 1,
        urgent: false,
    }
}

fn opened(number: u8, direction: Direction, phase: Phase) -> Op {
    Op::Open(Box::new(exchange(number, direction, phase)))
}

fn statement(number: u8, note: &[u8], logged: bool) -> Op {
    Op::Statement {
        xid: Some(xid(number)),
        kind: "dispatch".to_owned(),
        issuer: peer(),
        note: note.to_vec(),
        at: at(3_000),
        logged,
        signatures: 1,
    }
}

fn advance(number: u8, step: Step, note: Option<&[u8]>) -> Op {
    Op::Advance {
        xid: xid(number),
        step,
        last_note: note.map(<[u8]>::to_vec),
        at: at(4_000),
    }
}

/// The items of a page that is the whole list.
fn items<T>(page: Result<Page<T>, StoreFault>) -> Vec<T> {
    let (all, more) = page.unwrap().into_parts();
    assert_eq!(more, None);
    all
}

async fn all_of(ledger: &Ledger, number: u8) -> Vec<StatementRow> {
    items(ledger.statements(&xid(number), 1_024, None).await)
}

fn header(number: u8) -> Op {
    Op::Header {
        xid: xid(number),
        header: Zeroizing::new(HEADER.to_vec()),
    }
}

#[tokio::test]
async fn what_is_committed_is_read_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut whole = exchange(1, Direction::In, Phase::Receiving);
    whole.next_try = Some(at(9_000));
    whole.fault = Some(StoredFault {
        code: "unreachable".to_owned(),
        text: "no answer".to_owned(),
    });
    whole.have = Ranges::all(3);
    let ops = vec![
        Op::Open(Box::new(whole.clone())),
        Op::Payload {
            xid: xid(1),
            bytes: vec![7; 10_000],
        },
        statement(1, b"note", true),
    ];
    assert_eq!(ledger.commit(ops).await.unwrap().size, 1);
    assert_eq!(ledger.size(), 1);
    assert_eq!(ledger.exchange(&xid(1)).await.unwrap(), Some(whole.clone()));
    assert_eq!(
        ledger.payload(&xid(1)).await.unwrap(),
        Some(vec![7; 10_000])
    );
    let rows = all_of(&ledger, 1).await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].leaf, rows[0].signatures), (Some(0), 1));
    assert_eq!(rows[0].digest, Digest::of(b"note"));
    assert_eq!(items(ledger.statement_list(10, None).await), rows);
    let row = ledger.statement(&Digest::of(b"note")).await.unwrap();
    assert_eq!(row.as_ref(), rows.first());

    let retry = Op::Retry {
        xid: xid(1),
        attempts: 4,
        next_try: None,
        fault: None,
    };
    let have = Op::Have {
        xid: xid(1),
        have: Ranges::all(5),
    };
    let step = advance(1, Step::Signed(Kind::Consigned), Some(b"consigned"));
    ledger.commit(vec![retry, have, step]).await.unwrap();
    (whole.attempts, whole.next_try, whole.fault) = (4, None, None);
    (whole.have, whole.phase) = (Ranges::all(5), Phase::Consigned);
    (whole.last_note, whole.steps) = (b"consigned".to_vec(), 2);
    whole.updated = at(4_000);
    assert_eq!(ledger.exchange(&xid(1)).await.unwrap(), Some(whole));
    assert_eq!(ledger.exchange(&xid(2)).await.unwrap(), None);
    assert_eq!(ledger.payload(&xid(2)).await.unwrap(), None);
}

#[tokio::test]
async fn one_callers_conflict_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut tasks = Vec::new();
    for number in 0..40 {
        let ledger = ledger.clone();
        tasks.push(tokio::spawn(async move {
            let mut ops = vec![
                opened(number, Direction::Out, Phase::Dispatched),
                header(number),
                statement(number, &[number; 100], true),
            ];
            if number % 2 == 1 {
                ops.push(advance(number, Step::Countersigned(Kind::Handover), None));
            }
            ledger.commit(ops).await
        }));
    }
    for (number, task) in (0..40).zip(tasks) {
        let result = task.await.unwrap();
        let kept = ledger.exchange(&xid(number)).await.unwrap().is_some();
        let logged = all_of(&ledger, number).await.len();
        let readable = ledger.header(&xid(number)).await.unwrap().is_some();
        if number % 2 == 0 {
            assert!(result.is_ok());
            assert_eq!((kept, logged, readable), (true, 1, true), "{number}");
        } else {
            let current = Some(Phase::Dispatched);
            assert_eq!(result, Err(CommitFault::Conflict { current }));
            assert_eq!((kept, logged, readable), (false, 0, false), "{number}");
        }
    }
    assert_eq!(ledger.size(), 20);
    let live = live_cells(dir.path());
    assert_eq!(live, 20, "the key of a batch that failed is still there");
}

fn live_cells(folder: &Path) -> usize {
    let slots = std::fs::read(folder.join("slots")).unwrap();
    let cells = slots.chunks(64);
    cells.filter(|cell| cell.iter().any(|&b| b != 0)).count()
}

#[tokio::test]
async fn preconditions() {
    async fn check(ledger: &Ledger, op: Op, expected: Result<(), Option<Phase>>) {
        let named = format!("{op:?}");
        let expected = expected.map_err(|current| CommitFault::Conflict { current });
        let result = ledger.commit(vec![op]).await.map(|_| ());
        assert_eq!(result, expected, "{named}");
    }
    use Phase::{Consigned, Dispatched, Receiving};
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let payload = |number| Op::Payload {
        xid: xid(number),
        bytes: Vec::new(),
    };
    let out = || opened(1, Direction::Out, Dispatched);
    let undisclosed = |number| Op::DropDisclosed { xid: xid(number) };
    check(&ledger, out(), Ok(())).await;
    check(&ledger, out(), Err(Some(Dispatched))).await;
    let early = advance(1, Step::Countersigned(Kind::Handover), None);
    check(&ledger, early, Err(Some(Dispatched))).await;
    let consigned = Step::Countersigned(Kind::Consigned);
    check(&ledger, advance(1, consigned, None), Ok(())).await;
    let again = advance(1, consigned, Some(b"x"));
    check(&ledger, again, Err(Some(Consigned))).await;
    check(&ledger, advance(9, consigned, None), Err(None)).await;
    let shred = |number| Op::Shred { xid: xid(number) };
    for op in [payload(9), header(9), shred(9), undisclosed(9)] {
        check(&ledger, op, Err(None)).await;
    }
    check(&ledger, shred(1), Ok(())).await;
    check(&ledger, opened(2, Direction::In, Receiving), Ok(())).await;
    check(&ledger, payload(2), Ok(())).await;
    check(&ledger, header(2), Ok(())).await;
    check(&ledger, undisclosed(2), Ok(())).await;
    check(&ledger, shred(2), Ok(())).await;
    assert_eq!(ledger.payload(&xid(2)).await.unwrap(), None);
    assert!(ledger.header(&xid(2)).await.unwrap().is_none());
    assert_eq!(live_cells(dir.path()), 0);
    let seen = Op::PeerSeen {
        id: peer(),
        at: at(1),
    };
    check(&ledger, seen, Err(None)).await;
}

/// A waiter looks, then listens: what was settled after that look must be heard, and only once it is committed.
#[tokio::test]
async fn a_delivery_is_heard_of_once_it_is_settled() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut settlements = ledger.settlements();
    let out = |number| opened(number, Direction::Out, Phase::Dispatched);
    ledger.commit((1..=3).map(out).collect()).await.unwrap();
    for (number, step) in [
        (1, Step::Countersigned(Kind::Consigned)),
        (2, Step::Signed(Kind::Rejected)),
        (3, Step::Countersigned(Kind::Handover)),
        (1, Step::Countersigned(Kind::Handover)),
    ] {
        // The third is refused: it was not consigned.
        let committed = ledger.commit(vec![advance(number, step, None)]).await;
        assert_eq!(committed.is_err(), number == 3);
    }
    for settled in [2, 1] {
        assert_eq!(settlements.try_recv(), Ok(xid(settled)));
        let standings = ledger.standings(vec![xid(settled)]).await.unwrap();
        assert!(standings[0].phase.is_settled());
    }
    assert!(settlements.try_recv().is_err());
    ledger.close().await;
}

#[tokio::test]
async fn what_exceeds_its_limit_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let long = statement(1, &vec![0; limits::STATEMENT_BYTES_MAX + 1], true);
    let mut wide = exchange(1, Direction::In, Phase::Receiving);
    wide.len = u64::MAX;
    for op in [long, Op::Open(Box::new(wide))] {
        let fault = ledger.commit(vec![op]).await.unwrap_err();
        assert!(matches!(fault, CommitFault::Unfit(_)), "{fault}");
    }
    let kept = ledger.commit(vec![statement(1, b"note", true)]).await;
    assert_eq!(kept.unwrap().size, 1);
}

#[tokio::test]
async fn an_opening_begins_and_ends_once() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let row = OpeningRow {
        id: [5; 16],
        xid: xid(1),
        began: at(7),
        bound: 10,
        record: b"why".to_vec(),
    };
    let begin = || Op::OpeningBegin(Box::new(row.clone()));
    let raise = |bound| Op::OpeningRaise { id: row.id, bound };
    let end = || Op::OpeningEnd { id: row.id };
    let over = CommitFault::Conflict { current: None };
    for op in [raise(1), end()] {
        assert_eq!(ledger.commit(vec![op]).await, Err(over.clone()));
    }
    ledger.commit(vec![begin()]).await.unwrap();
    assert!(ledger.commit(vec![begin()]).await.is_err());
    ledger.commit(vec![raise(30), raise(20)]).await.unwrap();
    ledger.close().await;
    drop(ledger);
    let ledger = open(dir.path());
    let raised = OpeningRow {
        bound: 30,
        ..row.clone()
    };
    assert_eq!(ledger.openings().await.unwrap(), [raised]);
    ledger.commit(vec![end()]).await.unwrap();
    assert_eq!(ledger.openings().await.unwrap(), []);
    for op in [raise(40), end()] {
        assert_eq!(ledger.commit(vec![op]).await, Err(over.clone()));
    }
}

#[tokio::test]
async fn the_same_statement_is_one_statement() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    for _ in 0..3 {
        let ops = vec![statement(1, b"one", true), statement(1, b"one", false)];
        assert_eq!(ledger.commit(ops).await.unwrap().size, 1);
    }
    let ops = vec![statement(1, b"two", false), statement(1, b"three", true)];
    assert_eq!(ledger.commit(ops).await.unwrap().size, 2);
    let rows = all_of(&ledger, 1).await;
    let leaves: Vec<_> = rows.iter().map(|row| row.leaf).collect();
    assert_eq!(leaves, [Some(0), None, Some(1)]);
    assert_eq!(rows[1].r, None);
    let page = ledger.statement_list(1, Some(Cursor::at(rows[2].seq)));
    let (page, more) = page.await.unwrap().into_parts();
    assert_eq!(page, [rows[1].clone()]);
    assert_eq!(more, Some(Cursor::at(rows[1].seq)));
}

/// More of them than are put into the index together.
#[tokio::test]
async fn a_statement_is_found_by_its_digest() {
    const COUNT: u32 = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    for first in (0..COUNT).step_by(500) {
        let notes = (first..first + 500).map(u32::to_be_bytes);
        let ops = notes.map(|note| statement(note[3] % 9, &note, note[3] % 2 == 0));
        ledger.commit(ops.collect()).await.unwrap();
    }
    for is_reopened in [false, true] {
        for number in [0, 1, 4_095, 4_096, 4_097, COUNT - 1] {
            let digest = Digest::of(&u32::to_be_bytes(number));
            let found = ledger.statement(&digest).await.unwrap().unwrap();
            assert_eq!(found.note, u32::to_be_bytes(number), "{is_reopened}");
        }
        let other = ledger.statement(&Digest::of(b"other")).await.unwrap();
        assert_eq!(other, None);
        ledger.close().await;
        let db = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
        let entries = db.query_row("SELECT COUNT(*) FROM found", [], |row| row.get::<_, u32>(0));
        assert!((4_096..=COUNT).contains(&entries.unwrap()));
        drop(db);
        ledger = open(dir.path());
    }
}

#[tokio::test]
async fn a_note_is_kept_once_and_what_is_offered_again_finds_its_statements() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    let receiving = || opened(1, Direction::In, Phase::Receiving);
    let dispatch = || statement(1, b"dispatch", false);
    ledger.commit(vec![dispatch()]).await.unwrap();
    assert_eq!(all_of(&ledger, 1).await.len(), 1);
    let (first, next) = (
        Step::Signed(Kind::Consigned),
        Step::Countersigned(Kind::Consigned),
    );
    for (is_reopened, note, step) in [(false, b"one", first), (true, b"two", next)] {
        let mut ops = Vec::new();
        if !is_reopened {
            ops = vec![receiving(), dispatch()];
        }
        ops.push(statement(1, note, true));
        ops.push(advance(1, step, Some(note)));
        ledger.commit(ops).await.unwrap();
        let row = ledger.exchange(&xid(1)).await.unwrap().unwrap();
        assert_eq!(
            (row.last_note.as_slice(), row.phase),
            (note.as_slice(), Phase::Consigned)
        );
        assert_eq!(row.steps, 2 + u32::from(is_reopened));
        ledger.close().await;
        ledger = open(dir.path());
    }
    let kept: Vec<_> = all_of(&ledger, 1).await;
    let kept: Vec<_> = kept.iter().map(|row| row.note.as_slice()).collect();
    assert_eq!(kept, [b"dispatch".as_slice(), b"one", b"two"]);
    let column = || -> Vec<u8> {
        let db = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
        let column = db.query_row("SELECT last_note FROM exchange", [], |row| row.get(0));
        column.unwrap()
    };
    let nothing: Vec<u8> = Vec::new();
    assert_eq!(column(), nothing);
    // What is among no statements is kept in the row.
    let unstated = advance(1, Step::Signed(Kind::Expired), Some(b"unstated"));
    ledger.commit(vec![unstated]).await.unwrap();
    let row = ledger.exchange(&xid(1)).await.unwrap().unwrap();
    assert_eq!(row.last_note, b"unstated");
    assert_eq!(column(), b"unstated");
}
