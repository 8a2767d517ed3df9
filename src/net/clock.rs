//! The machine's clock, as far as it can be believed ([`crate::base::clock`]).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::clock::{Change, Doubt, Judge, Reading, Witness};
use crate::base::{AuthorityId, Instant, Timestamp, limits};

/// systemd-timesyncd touches this file whenever it has compared the clock with its servers. The kernel's own word,
/// adjtimex(2), is among the calls that the sandbox refuses.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// The service asks its servers at least so often, in milliseconds: 2,048 s, and time for an answer.
const SYNCHRONISED_EVERY_MS: i64 = 3_600_000;
/// Files are dated by a tick that may be a little ahead of a reading.
const TICK_MS: i64 = 1_000;

/// The clock. Clones share it.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    judge: Mutex<Judge>,
    asked: Mutex<Asked>,
    began: std::time::Instant,
}

/// The peers whose clocks were compared during a doubt. One that is asked again could try one time after the other.
#[derive(Default)]
struct Asked {
    doubt: Option<Doubt>,
    /// How far the machine's clock was ahead of the monotonic one then, in milliseconds.
    ahead_ms: i64,
    peers: BTreeSet<AuthorityId>,
}

impl Asked {
    /// Whether this peer is asked for the first time in this doubt, of a clock that nobody has set since.
    fn is_first(&mut self, doubt: Doubt, ahead_ms: i64, peer: &AuthorityId) -> bool {
        let moved = ahead_ms.abs_diff(self.ahead_ms) > limits::CLOCK_SKEW_MS_MAX;
        if self.doubt != Some(doubt) || moved {
            *self = Self {
                doubt: Some(doubt),
                ahead_ms,
                peers: BTreeSet::new(),
            };
        }
        self.peers.insert(peer.clone())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "the shell reads the clock")]
    pub fn start(judge: Judge) -> Self {
        Self(Arc::new(Inner {
            judge: Mutex::new(judge),
            asked: Mutex::default(),
            began: std::time::Instant::now(),
        }))
    }

    fn judge(&self) -> MutexGuard<'_, Judge> {
        self.0.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> Instant {
        Instant(u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Tells the time, and how sure it is.
    pub fn now(&self) -> Reading {
        let mut judge = self.judge();
        judge.read(civil(), self.elapsed())
    }

    /// A peer's clock said this just now. If that is what a doubtful clock says, too, the clock is right: the peer was
    /// told the carried time, so one that repeats what it hears confirms nothing, and each is heard once in a doubt.
    pub(crate) fn compare(&self, theirs: Timestamp, peer: &AuthorityId) {
        let Reading {
            at, read, doubt, ..
        } = self.now();
        let Some(doubt) = doubt else { return };
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = i64::try_from(self.elapsed().0).unwrap_or(i64::MAX);
        let ahead_ms = read.millis().saturating_sub(elapsed);
        let is_first = asked.is_first(doubt, ahead_ms, peer);
        let apart = theirs.distance_ms(read);
        let agrees = apart <= limits::CLOCK_SKEW_MS_MAX && apart < theirs.distance_ms(at);
        if is_first && agrees {
            self.confirm(&Witness::Peer(peer.clone()));
        }
    }

    /// Asks the machine's time service, if the clock is in doubt.
    pub fn ask_system(&self) {
        let Reading { read, doubt, .. } = self.now();
        let Some(doubt) = doubt else { return };
        let since = if doubt.at_start {
            read.plus_millis(-SYNCHRONISED_EVERY_MS)
        } else {
            doubt.read
        };
        let until = read.plus_millis(TICK_MS);
        if synchronised_at().is_some_and(|at| (since..=until).contains(&at)) {
            self.confirm(&Witness::System);
        }
    }

    /// Believes the machine's clock from now on, if it was in doubt. Says whether it was.
    pub fn confirm(&self, by: &Witness) -> bool {
        let mut judge = self.judge();
        judge.confirm(civil(), self.elapsed(), by)
    }

    /// The changes that are not kept yet, the oldest first, and the doubt that there is after them.
    pub fn changes(&self) -> (Vec<Change>, Option<Doubt>) {
        self.judge().changes()
    }

    /// So many of them are durable now.
    pub fn kept(&self, count: usize) {
        self.judge().kept(count);
    }
}

/// When the time service last compared the clock, by the clock that the file system has.
fn synchronised_at() -> Option<Timestamp> {
    let found = rustix::fs::stat(SYNCHRONISED).ok()?;
    Some(Timestamp::from_millis(found.st_mtime.saturating_mul(1_000)))
}

/// The reading of the machine's clock, believed or not.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock")]
pub fn civil() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_asked_once_until_the_clock_is_set() {
        let doubt = Doubt {
            since: Timestamp::from_millis(0),
            read: Timestamp::from_millis(9),
            at_start: true,
        };
        let [ie, de] = ["mla.example.ie", "bfj.example.de"].map(|id| id.parse().unwrap());
        let mut asked = Asked::default();
        assert!(asked.is_first(doubt, 5, &ie) && asked.is_first(doubt, 6, &de));
        assert!(!asked.is_first(doubt, 7, &ie) && !asked.is_first(doubt, 299_000, &de));
        assert!(asked.is_first(doubt, 900_000, &ie) && !asked.is_first(doubt, 900_001, &ie));
        let later = Doubt {
            at_start: false,
            ..doubt
        };
        assert!(asked.is_first(later, 900_000, &ie));
    }
}
