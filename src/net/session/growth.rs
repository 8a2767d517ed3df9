//! Growth that one peer causes here for good: bytes of the ledger and leaves of the log. Payloads are not counted here,
//! but by [`crate::net::session::quota`]: they go when they are destroyed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::base::bucket::Bucket;
use crate::base::{AuthorityId, Timestamp, len_u64};
use crate::store::{self, Exchange, Op};

/// Bytes of a leaf besides its statement: its hash in the ledger, in the tiles and in the levels above, and its entry.
const LEAF_BYTES: u64 = 512;
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// The part of the account that may be used before its use is noted in the ledger.
const NOTED_PARTS: u64 = 64;

/// One peer's account: a day's worth at once, and as much again within each day. It goes on after a restart from what
/// was noted with what was committed.
#[derive(Debug)]
pub(crate) struct Growth(Mutex<Account>);

/// The used part of an account, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    bytes: u64,
    at: Timestamp,
}

#[derive(Debug)]
struct Account {
    bucket: Bucket,
    per_day: u64,
    /// The used part when it was last noted; none before what an earlier process noted was read.
    noted: Option<u64>,
    grown: Grown,
    /// How often a peer was put off, for there was nothing left.
    late: u64,
}

/// The growth that a peer has caused since the daemon started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grown {
    /// Bytes of the ledger.
    pub bytes: u64,
    /// Leaves of the log.
    pub leaves: u64,
    /// How often the peer was put off.
    pub late: u64,
}

impl Growth {
    /// At most so many bytes a day.
    pub(crate) fn new(per_day: u64) -> Self {
        let bucket = Bucket::new(per_day / DAY_SECONDS, per_day);
        Self(Mutex::new(Account {
            bucket,
            per_day,
            noted: None,
            grown: Grown::default(),
            late: 0,
        }))
    }

    /// Goes on from what an earlier process noted, if it did; once.
    pub(crate) fn resume(&self, now_us: u64, clock: Timestamp, noted: Option<&[u8]>) {
        let mut account = self.account();
        if account.noted.is_some() {
            return;
        }
        let used = noted.and_then(|noted| serde_json::from_slice::<Used>(noted).ok());
        let still = used.map_or(0, |used| {
            let seconds = clock.millis().saturating_sub(used.at.millis()).max(0) / 1_000;
            let seconds = seconds.unsigned_abs();
            let gained = (account.per_day / DAY_SECONDS).saturating_mul(seconds);
            used.bytes.saturating_sub(gained)
        });
        account.noted = Some(still);
        account.bucket.charge(now_us, still);
    }

    /// The change that notes the account in the ledger, so that a restart makes no new one: now and then, not each
    /// time.
    pub(crate) fn note(&self, peer: &AuthorityId, now_us: u64, clock: Timestamp) -> Option<Op> {
        let mut account = self.account();
        let bytes = account.bucket.missing(now_us);
        let step = account.per_day / NOTED_PARTS;
        if account
            .noted
            .is_none_or(|noted| bytes.abs_diff(noted) <= step)
        {
            return None;
        }
        let value = serde_json::to_vec(&Used { bytes, at: clock }).ok()?;
        account.noted = Some(bytes);
        let key = store::growth_key(peer);
        Some(Op::Meta { key, value })
    }

    /// Takes what an offer will be recorded with, if anything is left; at 0, only looks.
    ///
    /// # Errors
    /// In how many microseconds something is left again.
    pub(crate) fn take(&self, now_us: u64, bytes: u64) -> Result<(), u64> {
        let mut account = self.account();
        let taken = account.bucket.take(now_us, bytes);
        if taken.is_ok() {
            account.grown.bytes = account.grown.bytes.saturating_add(bytes);
        } else {
            account.late = account.late.saturating_add(1);
        }
        taken
    }

    /// Counts what is committed because of the peer, whether or not anything is left: what was begun is brought to its
    /// end.
    pub(crate) fn charge(&self, now_us: u64, ops: &[Op]) {
        let (bytes, leaves) = (
            ops.iter().map(of).sum(),
            ops.iter().filter(|op| is_leaf(op)),
        );
        let leaves = len_u64(leaves.count());
        let mut account = self.account();
        account.bucket.charge(now_us, bytes);
        account.grown.bytes = account.grown.bytes.saturating_add(bytes);
        account.grown.leaves = account.grown.leaves.saturating_add(leaves);
    }

    /// Whether nothing is left at this moment.
    pub(crate) fn is_spent(&self, now_us: u64) -> bool {
        self.account().bucket.take(now_us, 0).is_err()
    }

    pub(crate) fn grown(&self) -> Grown {
        let account = self.account();
        Grown {
            late: account.late,
            ..account.grown
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the row of an offer.
pub(crate) fn of_row(row: &Exchange) -> u64 {
    len_u64(row.weight())
}

const fn is_leaf(op: &Op) -> bool {
    matches!(op, Op::Statement { logged: true, .. })
}

/// Bytes that a change leaves for good. The row of an exchange was taken before it was admitted; payloads, headers and
/// progress go, and a revocation list takes the place of another.
fn of(op: &Op) -> u64 {
    let leaves_nothing = matches!(
        op,
        Op::Open(_)
            | Op::Payload { .. }
            | Op::Header { .. }
            | Op::Have { .. }
            | Op::Retry { .. }
            | Op::CrlPut(_)
    );
    if leaves_nothing {
        return 0;
    }
    len_u64(op.weight()).saturating_add(if is_leaf(op) { LEAF_BYTES } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_s_worth_and_then_as_much_a_day() {
        const HOUR_US: u64 = 60 * 60 * 1_000_000;
        let growth = Growth::new(86_400_000);
        let statement = |logged| Op::Statement {
            xid: None,
            kind: "order".to_owned(),
            issuer: "ie.example".parse().unwrap(),
            note: vec![0; 1_000],
            at: Timestamp::from_millis(0),
            logged,
            signatures: 1,
        };
        let payload = Op::Payload {
            xid: crate::base::Xid::from_bytes([0; 16]),
            bytes: vec![0; 5_000],
        };
        growth.charge(0, &[statement(true), statement(false), payload]);
        let one = growth.grown();
        assert_eq!((one.leaves, one.late), (1, 0));
        assert!((2_500..4_000).contains(&one.bytes), "{}", one.bytes);
        assert_eq!(growth.take(0, 86_400_000), Ok(()), "something is left");
        let wait = growth.take(0, 1).unwrap_err();
        assert!(wait > 0 && wait < HOUR_US, "{wait}");
        assert_eq!(growth.take(HOUR_US, 3_600_000), Ok(()));
        // What was begun goes on, and is paid for later.
        growth.charge(HOUR_US, &[statement(true)]);
        assert!(growth.take(HOUR_US, 1).is_err());
        assert_eq!(growth.grown().late, 2);
        // A restart goes on from what was noted, and what has come back since.
        let (peer, clock) = ("de.example".parse().unwrap(), Timestamp::from_millis);
        let growth = Growth::new(86_400_000);
        growth.resume(0, clock(0), None);
        assert!(growth.note(&peer, 0, clock(0)).is_none());
        growth.take(0, 10_000_000).unwrap();
        let Some(Op::Meta { key, value }) = growth.note(&peer, 0, clock(0)) else {
            panic!("nothing is noted");
        };
        assert_eq!(key, "growth/de.example");
        assert!(growth.note(&peer, 0, clock(0)).is_none(), "once");
        let next = Growth::new(86_400_000);
        next.resume(0, clock(1_000_000), Some(&value));
        assert_eq!(next.account().bucket.missing(0), 9_000_000);
        next.resume(0, clock(1_000_000), Some(&value));
        assert_eq!(next.account().bucket.missing(0), 9_000_000, "once");
        let later = Growth::new(86_400_000);
        later.resume(0, clock(86_400_000), Some(&value));
        assert_eq!(later.account().bucket.missing(0), 0);
        // What is committed uses the account up by itself.
        let growth = Growth::new(1_000_000);
        assert!(!growth.is_spent(0));
        let many: Vec<_> = (0..1_000).map(|_| statement(true)).collect();
        growth.charge(0, &many);
        assert!(growth.is_spent(0));
    }
}
