use super::*;
use crate::store::tests::unlocked;

fn authority() -> AuthorityId {
    "bfj.example.de".parse().unwrap()
}

fn entry(number: u32) -> JournalEntry {
    let mut xid = [0; 16];
    xid[12..].copy_from_slice(&number.to_be_bytes());
    JournalEntry {
        xid: Xid::from_bytes(xid),
        statement: Digest::of(&number.to_be_bytes()),
        at: Timestamp::from_millis(1_795_424_400_000 + i64::from(number)),
    }
}

fn entries(count: u32) -> Vec<JournalEntry> {
    (0..count).map(entry).collect()
}

/// A journal in a folder of its own that is made for it, with so many entries, two at a time.
fn written(count: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state-destroyed/journal");
    prepare(&path).unwrap();
    let mut journal = Journal::open(&path, &authority()).unwrap();
    assert!(journal.is_new());
    for pair in entries(count).chunks(2) {
        journal.room(pair.len()).unwrap();
        journal.append(pair).unwrap();
    }
    (dir, path)
}

fn opened(path: &Path, authority: &AuthorityId) -> Result<Journal, StoreFault> {
    unlocked(|| Journal::open(path, authority))
}

fn all(journal: &Journal) -> Vec<JournalEntry> {
    let mut all = Vec::new();
    journal.each(|entry| all.push(*entry)).unwrap();
    all
}

#[test]
fn a_line_is_what_the_manual_says() {
    let (_dir, path) = written(1);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "rogatory destroyed 1 bfj.example.de");
    let digest = Digest::of(&[0; 4]);
    let entry = format!("{} {digest} 2026-11-23T09:00:00.000Z ", "0".repeat(32));
    assert!(lines[1].starts_with(&entry), "{text}");
    // By hand, from the words at the top of the module.
    let before = Digest::of(b"rogatory destroyed 1 bfj.example.de\n");
    let over = [LABEL, &before.as_bytes()[..16], entry.as_bytes()].concat();
    let check = hex::encode(&Digest::of(&over).as_bytes()[..16]);
    assert_eq!(lines[1], format!("{entry}{check}"));
    assert_eq!((lines.len(), lines[1].len() + 1), (2, LINE_BYTES));
}

#[test]
fn entries_are_there_after_they_were_written() {
    for count in [0, 1, 2, 5] {
        let (_dir, path) = written(count);
        let mut journal = opened(&path, &authority()).unwrap();
        assert_eq!(all(&journal), entries(count));
        assert!(!journal.is_new());
        // The same once more is no fault, and the chain goes on.
        journal.append(&[entry(7), entry(7)]).unwrap();
        drop(journal);
        let journal = opened(&path, &authority()).unwrap();
        assert_eq!(all(&journal), [entries(count), vec![entry(7); 2]].concat());
    }
}

#[test]
fn a_line_that_was_cut_short_is_taken_away_and_the_rest_stays() {
    let (_dir, path) = written(3);
    let whole = std::fs::read(&path).unwrap();
    let first = first_line(&authority()).len();
    for zeros in [0, 7, 10_000] {
        for cut in 0..whole.len() {
            let mut torn = whole[..cut].to_vec();
            torn.resize(cut + zeros, 0);
            std::fs::write(&path, &torn).unwrap();
            let left = cut.saturating_sub(first) / LINE_BYTES;
            let journal = opened(&path, &authority()).unwrap();
            assert_eq!(
                all(&journal),
                entries(3)[..left],
                "cut at {cut}, {zeros} zeros"
            );
            let mended = std::fs::read(&path).unwrap();
            assert_eq!(mended, whole[..first + left * LINE_BYTES], "cut at {cut}");
        }
    }
}

#[test]
fn whatever_else_was_changed_is_damage_and_stays_as_it_is() {
    let (_dir, path) = written(4);
    let whole = std::fs::read(&path).unwrap();
    let first = first_line(&authority()).len();
    let line = |number: usize| first + number * LINE_BYTES;
    let check = |what: &str, bytes: &[u8], says: &str| {
        std::fs::write(&path, bytes).unwrap();
        let fault = opened(&path, &authority()).unwrap_err().to_string();
        assert!(fault.contains(says), "{what}: {fault}");
        assert!(fault.contains("move it away"), "{what}: {fault}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{what}");
    };
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let says = match at.checked_sub(first) {
            None => "does not begin with".to_owned(),
            Some(at) => format!("line {} ", at / LINE_BYTES + 2),
        };
        check(&format!("byte {at}"), &changed, &says);
    }
    let without = [&whole[..line(1)], &whole[line(2)..]].concat();
    check("a line was removed", &without, "line 3 ");
    let twice = [&whole[..line(2)], &whole[line(1)..]].concat();
    check("a line is there twice", &twice, "line 4 ");
    let swapped = [
        &whole[..line(1)],
        &whole[line(2)..line(3)],
        &whole[line(1)..line(2)],
        &whole[line(3)..],
    ];
    check("two lines changed places", &swapped.concat(), "line 3 ");
    let mut blank = whole.clone();
    blank[line(1)..line(2)].fill(0);
    check("a line is blank", &blank, "line 3 ");
    check(
        "words at the end",
        &[&whole[..], b"gone\n"].concat(),
        "line 6 ",
    );
    check("words alone", b"hello", "does not begin with");
}

#[test]
fn the_journal_of_another_authority_is_none() {
    let (_dir, path) = written(1);
    let other = "mla.example.ie".parse().unwrap();
    let fault = opened(&path, &other).unwrap_err().to_string();
    assert!(fault.contains("of another authority"), "{fault}");
}

#[test]
fn one_process_at_a_time_writes_it() {
    let (_dir, path) = written(1);
    let _first = opened(&path, &authority()).unwrap();
    let second = Journal::open(&path, &authority()).unwrap_err();
    assert!(matches!(second, StoreFault::Locked { .. }), "{second}");
}

#[test]
fn a_large_one_is_read_in_little_memory_and_written_with_few_flushes() {
    const MANY: u32 = 50_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    prepare(&path).unwrap();
    let mut journal = opened(&path, &authority()).unwrap();
    for thousand in entries(MANY).chunks(1_000) {
        journal.append(thousand).unwrap();
    }
    drop(journal);
    let mut next = 0;
    let sound = read(File::open(&path).unwrap(), &authority(), |found| {
        assert_eq!(*found, entry(next));
        next += 1;
    });
    let sound = sound.unwrap();
    assert_eq!((sound.entries, next), (u64::from(MANY), MANY));
    assert_eq!(sound.bytes, path.metadata().unwrap().len());
    assert_eq!(sound.last, Some(entry(MANY - 1).at));
}

#[test]
fn space_is_taken_ahead_and_a_full_disk_is_met_before_anything_is_written() {
    let Some(tiny) = crate::store::tests::Tiny::mount("1m") else {
        return;
    };
    let path = tiny.path().join("journal");
    prepare(&path).unwrap();
    let mut journal = opened(&path, &authority()).unwrap();
    journal.room(1).unwrap();
    crate::store::tests::fill(tiny.path());
    journal.append(&[entry(1)]).unwrap();
    let full = journal.room(10_000).unwrap_err();
    assert!(matches!(full, DiskFault::Full { .. }), "{full}");
    journal.room(1).unwrap();
    journal.append(&[entry(2)]).unwrap();
    assert_eq!(all(&journal), [entry(1), entry(2)]);
}
