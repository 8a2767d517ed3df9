//! Whether the machine's clock can be believed.
//!
//! A time that was sure is carried on, for a day, by a clock that nobody can set, the monotonic one. The machine's
//! clock is followed while it agrees with the carried time to [`limits::CLOCK_SKEW_MS_MAX`], so that it cannot creep
//! away in small steps either. At a start nobody knows how long the daemon was down, so the clock may also be ahead of
//! the last run by [`limits::CLOCK_PAUSE_MS_MAX`]. A clock that does not agree is in doubt: the carried time goes on in
//! its place, until the clock agrees again or somebody confirms it. So a statement is never dated by a clock in doubt,
//! and time never falls behind the newest own statement.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::ids::AuthorityId;
use crate::base::limits;
use crate::base::time::{Instant, Timestamp};

/// Changes that wait to be kept or stated at most. A clock that jumps more often is broken, and the first ones tell it.
pub const CHANGES_MAX: usize = 16;

/// So long a sure time is carried on before the clock, which still agrees with it, gives another one, in milliseconds.
const CARRIED_MS: u64 = 24 * 3_600_000;

/// A moment by a clock that is not in doubt. Whatever cannot be taken back asks for one: destroying, expiring,
/// renewing. Only [`Reading::sure`] makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SureTime(Timestamp);

impl SureTime {
    /// The moment.
    pub const fn at(self) -> Timestamp {
        self.0
    }
}

/// Why a clock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The carried time when the doubt began.
    pub since: Timestamp,
    /// The machine's clock at that moment.
    pub read: Timestamp,
    /// Whether it began with the process: the clock disagrees with the last run. Otherwise it jumped while the process
    /// ran.
    pub at_start: bool,
}

impl Doubt {
    /// Stable kebab-case word.
    pub fn code(&self) -> &'static str {
        if self.read < self.since {
            "clock-behind"
        } else {
            "clock-ahead"
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (since, read) = (self.since, self.read);
        if self.at_start {
            let last = "the last run";
            write!(
                f,
                "it said {read} at the start, and {last} leads to {since}"
            )
        } else {
            write!(f, "it jumped to {read} at {since}")
        }
    }
}

/// Who ended a doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// The clock itself: it agrees with the carried time again.
    Clock,
    /// A peer, whose clock said the same in its `hello`.
    Peer(AuthorityId),
    /// The machine's time service: it synchronised the clock after the doubt began.
    System,
    /// A person.
    Operator(String),
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clock => f.write_str("the clock agrees again"),
            Self::Peer(id) => write!(f, "peer {id}"),
            Self::System => f.write_str("the system's time service"),
            Self::Operator(actor) => write!(f, "operator {actor}"),
        }
    }
}

/// A doubt that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The doubt.
    pub doubt: Doubt,
    /// The daemon's time after it.
    pub ended: Timestamp,
    /// Who ended it.
    pub by: String,
}

/// A change that is to be kept and stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A doubt began.
    Began(Doubt),
    /// A doubt is over.
    Ended(Past),
}

impl Change {
    /// The doubt that is over with it.
    pub fn past(&self) -> Option<&Past> {
        match self {
            Self::Began(_) => None,
            Self::Ended(past) => Some(past),
        }
    }
}

/// One reading of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time to go by.
    pub at: Timestamp,
    /// The reading of the machine's clock.
    pub read: Timestamp,
    /// Why that is not believed, if it is not.
    pub doubt: Option<Doubt>,
    /// Whether every change so far is durable.
    is_kept: bool,
}

impl Reading {
    /// The moment, where the clock is not in doubt and no change of it can be forgotten any more.
    pub fn sure(&self) -> Option<SureTime> {
        (self.doubt.is_none() && self.is_kept).then_some(SureTime(self.at))
    }

    /// The latest that it can be. After a pause of unknown length nobody can exclude that the clock is right.
    pub fn latest(&self) -> Timestamp {
        let may_be = self.doubt.is_some_and(|doubt| doubt.at_start);
        if may_be {
            self.at.max(self.read)
        } else {
            self.at
        }
    }
}

/// Judges the machine's clock, reading after reading.
#[derive(Debug)]
pub struct Judge {
    /// A sure time, and the monotonic moment of it; none before the first reading of a new authority.
    sure: Option<(Timestamp, Instant)>,
    /// How far the clock may be ahead of that.
    ahead_ms: u64,
    /// The newest time that was told.
    told: Timestamp,
    /// Whether the clock was believed since the start.
    was_sure: bool,
    doubt: Option<Doubt>,
    changes: VecDeque<Change>,
}

impl Judge {
    /// A judge that starts now, at monotonic zero. `last` is the newest time of which the last run was sure; `doubt`
    /// the one that it ended in.
    pub fn new(last: Option<Timestamp>, doubt: Option<Doubt>) -> Self {
        Self {
            sure: last.map(|last| (last, Instant(0))),
            ahead_ms: limits::CLOCK_PAUSE_MS_MAX,
            told: last.unwrap_or_else(|| Timestamp::from_millis(i64::MIN)),
            was_sure: false,
            doubt: doubt.map(|doubt| Doubt {
                at_start: true,
                ..doubt
            }),
            changes: VecDeque::new(),
        }
    }

    /// Tells the time, when the machine's clock says `read` and the monotonic one `now`.
    pub fn read(&mut self, read: Timestamp, now: Instant) -> Reading {
        match self.expected(now).filter(|it| !self.agrees(read, *it)) {
            None => self.follow(read, now, &Witness::Clock),
            Some(expected) => {
                self.told = self.told.max(expected);
                if self.doubt.is_none() {
                    let doubt = Doubt {
                        since: self.told,
                        read,
                        at_start: !self.was_sure,
                    };
                    self.doubt = Some(doubt);
                    self.note(Change::Began(doubt));
                }
            }
        }
        Reading {
            at: self.told,
            read,
            doubt: self.doubt,
            is_kept: self.changes.is_empty(),
        }
    }

    /// Believes the machine's clock from now on, if it was in doubt. Says whether it was.
    pub fn confirm(&mut self, read: Timestamp, now: Instant, by: &Witness) -> bool {
        self.read(read, now);
        let was_doubtful = self.doubt.is_some();
        if was_doubtful {
            self.told = read;
            self.follow(read, now, by);
        }
        was_doubtful
    }

    /// The changes that are not kept yet, the oldest first, and the doubt that there is after them.
    pub fn changes(&self) -> (Vec<Change>, Option<Doubt>) {
        (self.changes.iter().cloned().collect(), self.doubt)
    }

    /// So many of them are durable now.
    pub fn kept(&mut self, count: usize) {
        self.changes.drain(..count.min(self.changes.len()));
    }

    /// The carried time.
    fn expected(&self, now: Instant) -> Option<Timestamp> {
        let (at, since) = self.sure?;
        let elapsed = now.0.saturating_sub(since.0);
        Some(at.plus_millis(i64::try_from(elapsed).unwrap_or(i64::MAX)))
    }

    fn agrees(&self, read: Timestamp, expected: Timestamp) -> bool {
        let apart = read.distance_ms(expected);
        if read < expected {
            apart <= limits::CLOCK_SKEW_MS_MAX
        } else {
            apart <= self.ahead_ms
        }
    }

    fn follow(&mut self, read: Timestamp, now: Instant, by: &Witness) {
        let is_old = |(_, since): (_, Instant)| now.0.saturating_sub(since.0) >= CARRIED_MS;
        // A clock that comes back by itself is compared with the same time as before, however often it does.
        if !self.was_sure || *by != Witness::Clock || self.sure.is_none_or(is_old) {
            self.sure = Some((read, now));
        }
        self.ahead_ms = limits::CLOCK_SKEW_MS_MAX;
        self.told = self.told.max(read);
        self.was_sure = true;
        if let Some(doubt) = self.doubt.take() {
            self.note(Change::Ended(Past {
                doubt,
                ended: self.told,
                by: by.to_string(),
            }));
        }
    }

    fn note(&mut self, change: Change) {
        if self.changes.len() < CHANGES_MAX {
            self.changes.push_back(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60 * MINUTE;

    fn base() -> Timestamp {
        "2026-11-23T09:00:00.000Z".parse().unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        base().plus_millis(millis)
    }

    fn kept(judge: &mut Judge) -> Vec<Change> {
        let (all, _) = judge.changes();
        judge.kept(all.len());
        all
    }

    /// A first reading so long after the last run: is it in doubt, and what time is it?
    #[test]
    fn a_start_is_compared_with_the_last_run() {
        for (what, since_last, doubtful, told) in [
            ("at once", 0, None, 0),
            ("a night later", 10 * 60 * MINUTE, None, 10 * 60 * MINUTE),
            ("a day later", DAY, None, DAY),
            ("more than a day later", DAY + 1, Some("clock-ahead"), 0),
            ("2,000 days ahead", 2_000 * DAY, Some("clock-ahead"), 0),
            ("a little behind", -5 * MINUTE, None, 0),
            ("behind", -5 * MINUTE - 1, Some("clock-behind"), 0),
            ("400 days behind", -400 * DAY, Some("clock-behind"), 0),
            ("1970", -base().millis(), Some("clock-behind"), 0),
        ] {
            let mut judge = Judge::new(Some(base()), None);
            let reading = judge.read(at(since_last), Instant(0));
            assert_eq!(reading.doubt.map(|it| it.code()), doubtful, "{what}");
            assert_eq!(reading.at, at(told), "{what}");
            assert_eq!(reading.sure().is_some(), doubtful.is_none(), "{what}");
            assert_eq!(reading.latest(), at(since_last.max(0)), "{what}");
        }
    }

    #[test]
    fn a_new_authority_has_nothing_to_compare_with() {
        let reading = Judge::new(None, None).read(base(), Instant(5));
        assert_eq!(reading.sure().map(SureTime::at), Some(base()));
    }

    /// Readings while the process runs, each so long after the one before by both clocks.
    #[test]
    fn a_running_clock_is_compared_with_the_monotonic_one() {
        for (what, civil, monotonic, doubtful) in [
            ("both go on", MINUTE, MINUTE, None),
            ("both go on for a year", 365 * DAY, 365 * DAY, None),
            ("a small step ahead", 6 * MINUTE, MINUTE, None),
            ("a step ahead", 6 * MINUTE + 1, MINUTE, Some("clock-ahead")),
            ("a small step back", -4 * MINUTE, MINUTE, None),
            ("a step back", -4 * MINUTE - 1, MINUTE, Some("clock-behind")),
            ("half a day ahead", DAY / 2, 0, Some("clock-ahead")),
            ("far ahead", 2_000 * DAY, 1_000, Some("clock-ahead")),
            ("far back", -400 * DAY, 1_000, Some("clock-behind")),
        ] {
            let mut judge = Judge::new(Some(base()), None);
            assert!(judge.read(at(0), Instant(0)).sure().is_some());
            let now = Instant(u64::try_from(monotonic).unwrap());
            let reading = judge.read(at(civil), now);
            assert_eq!(reading.doubt.map(|it| it.code()), doubtful, "{what}");
            let told = if doubtful.is_some() {
                monotonic
            } else {
                civil.max(0)
            };
            assert_eq!(reading.at, at(told), "{what}");
            assert_eq!(reading.latest(), reading.at, "{what}");
        }
    }

    #[test]
    fn a_clock_that_comes_back_is_believed_again_once_that_is_kept() {
        let mut judge = Judge::new(Some(base()), None);
        judge.read(at(0), Instant(0));
        judge.read(at(2_000 * DAY), Instant(1_000));
        let doubt = Doubt {
            since: at(1_000),
            read: at(2_000 * DAY),
            at_start: false,
        };
        // Ten seconds later.
        assert_eq!(judge.read(at(2_000 * DAY), Instant(11_000)).at, at(11_000));
        let back = judge.read(at(12_000), Instant(12_000));
        assert_eq!((back.at, back.doubt, back.sure()), (at(12_000), None, None));
        let ended = Past {
            doubt,
            ended: at(12_000),
            by: "the clock agrees again".to_owned(),
        };
        assert_eq!(
            kept(&mut judge),
            [Change::Began(doubt), Change::Ended(ended)]
        );
        assert!(judge.read(at(12_000), Instant(12_000)).sure().is_some());
    }

    #[test]
    fn a_confirmed_clock_is_believed_in_both_directions() {
        for jump in [2_000 * DAY, -400 * DAY] {
            let mut judge = Judge::new(Some(base()), None);
            judge.read(at(0), Instant(0));
            let operator = Witness::Operator("anna".to_owned());
            assert!(!judge.confirm(at(1), Instant(1), &operator));
            judge.read(at(jump), Instant(1_000));
            assert!(judge.confirm(at(jump), Instant(1_000), &operator));
            assert!(
                judge.read(at(jump), Instant(1_000)).sure().is_none(),
                "not kept yet"
            );
            assert_eq!(kept(&mut judge).len(), 2);
            let reading = judge.read(at(jump + 7), Instant(1_007));
            assert_eq!(reading.sure().map(SureTime::at), Some(at(jump + 7)));
        }
    }

    #[test]
    fn a_doubt_outlives_the_process_and_a_broken_clock_fills_no_memory() {
        let doubt = Doubt {
            since: at(0),
            read: at(400 * DAY),
            at_start: false,
        };
        let mut judge = Judge::new(Some(at(5)), Some(doubt));
        assert_eq!(judge.read(at(400 * DAY), Instant(3)).at, at(8));
        assert_eq!(judge.changes().0, [], "it was kept when it began");
        let back = judge.read(at(9), Instant(9));
        assert_eq!((back.doubt, back.sure()), (None, None));
        assert!(matches!(kept(&mut judge)[..], [Change::Ended(_)]));
        for turn in 0..100 {
            judge.read(at(9 + (turn % 2) * 400 * DAY), Instant(9));
        }
        assert_eq!(kept(&mut judge).len(), CHANGES_MAX);
    }

    #[test]
    fn a_clock_that_creeps_away_is_noticed() {
        for step in [4 * MINUTE, -4 * MINUTE] {
            let mut judge = Judge::new(Some(base()), None);
            let mut read = |turn: i64| {
                let reading = judge.read(at(turn * step), Instant(turn.unsigned_abs()));
                reading.doubt.is_some()
            };
            assert_eq!([read(0), read(1), read(2)], [false, false, true], "{step}");
        }
        // Nor by jumping further, and back to what just agrees.
        let mut judge = Judge::new(Some(base()), None);
        let mut read = |minutes: i64, now| {
            let reading = judge.read(at(minutes * MINUTE), Instant(now));
            reading.doubt.is_some()
        };
        let doubts = [read(0, 0), read(6, 1), read(5, 2), read(11, 3), read(10, 4)];
        assert_eq!(doubts, [false, true, false, true, true]);
        // Such a step a day is within what clocks do.
        let mut judge = Judge::new(Some(base()), None);
        for day in 0..100 {
            let now = Instant(u64::try_from(day * DAY).unwrap());
            let reading = judge.read(at(day * (DAY + MINUTE)), now);
            assert_eq!(reading.doubt, None, "day {day}");
        }
    }

    #[test]
    fn time_does_not_fall_while_the_clock_is_believed() {
        let mut judge = Judge::new(Some(base()), None);
        judge.read(at(10 * MINUTE), Instant(0));
        assert_eq!(judge.read(at(8 * MINUTE), Instant(1)).at, at(10 * MINUTE));
        assert_eq!(judge.read(at(11 * MINUTE), Instant(2)).at, at(11 * MINUTE));
    }
}
