//! Lines of the log that a peer, or a library on its behalf, can cause in any number: some of them a second, and how
//! many were left out. One place for all of them, so that no line has to be thought of where it is written.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::base::bucket::Bucket;

/// A line, for this purpose, in characters: a longer one counts as several.
const LINE_CHARACTERS: u64 = 256;
/// Lines of one level about one peer that may be written at once, and in a second after that.
const BURST: u64 = 200;
const PER_SECOND: u64 = 2;
/// Peers that are told apart; all others share one allowance.
const PEERS_MAX: usize = 1_024;
/// Whose lines the libraries' are.
const LIBRARIES: &str = "libraries";
/// Where lines are written about what others say: those that name no peer share one allowance.
const NET: &str = concat!(env!("CARGO_PKG_NAME"), "::net");
/// How often it is said at most how many lines were left out, in microseconds.
const SUM_EVERY_US: u64 = 10_000_000;

/// The target of a line that is never written: it only lets sums be said.
pub(crate) const SUMS: &str = concat!(env!("CARGO_PKG_NAME"), "::sums");

/// The target of lines about what a person or this daemon has decided about a peer: none of them is ever left out.
pub(crate) const DECISION: &str = concat!(env!("CARGO_PKG_NAME"), "::decision");

/// Writes so many lines about each peer, and no more. Each level has its own, so that a flood of one hides nothing of
/// another.
#[derive(Debug)]
pub(crate) struct Quiet {
    began: Instant,
    about: Mutex<Allowances>,
}

#[derive(Debug, Default)]
struct Allowances {
    of: HashMap<(String, Level), Lines>,
    /// When sums were last said, in microseconds.
    summed_us: u64,
}

#[derive(Debug)]
struct Lines {
    bucket: Bucket,
    unsaid: u64,
}

impl Lines {
    fn new() -> Self {
        Self {
            bucket: Bucket::new(PER_SECOND, BURST),
            unsaid: 0,
        }
    }
}

impl Quiet {
    #[expect(clippy::disallowed_methods, reason = "the shell reads the clock")]
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            about: Mutex::default(),
        }
    }

    /// Whether a line about this peer, as long as `count` lines, may be written.
    fn may_say(&self, peer: &str, level: Level, count: u64, now_us: u64) -> bool {
        let mut about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = about.of.contains_key(&(peer.to_owned(), level));
        let is_told_apart = is_known || about.of.len() < PEERS_MAX;
        let peer = if is_told_apart { peer } else { "" };
        let lines = about.of.entry((peer.to_owned(), level));
        let lines = lines.or_insert_with(Lines::new);
        let may = lines.bucket.take(now_us, count).is_ok();
        lines.unsaid = lines.unsaid.saturating_add(u64::from(!may));
        may
    }

    /// How many lines were left out since this was last said, if that is long ago.
    fn sums(&self, now_us: u64) -> Vec<(String, Level, u64)> {
        let mut about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        if now_us.saturating_sub(about.summed_us) < SUM_EVERY_US {
            return Vec::new();
        }
        about.summed_us = now_us;
        let left_out = about.of.iter_mut().filter(|(_, lines)| lines.unsaid > 0);
        left_out
            .map(|((peer, level), lines)| (peer.clone(), *level, std::mem::take(&mut lines.unsaid)))
            .collect()
    }
}

impl<S: Subscriber> Layer<S> for Quiet {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        let now_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        for (peer, level, lines) in self.sums(now_us) {
            // Not a field named `peer`: this line is about lines.
            tracing::warn!(about = %peer, %level, lines, "lines were left out, there were too many");
        }
        let mut about = About::default();
        event.record(&mut about);
        let peer = match about.peer {
            _ if target == DECISION => return true,
            _ if target == SUMS => return false,
            _ if !target.starts_with(env!("CARGO_PKG_NAME")) => LIBRARIES.to_owned(),
            Some(peer) => peer,
            None if target.starts_with(NET) => String::new(),
            None => return true,
        };
        self.may_say(&peer, level, about.characters / LINE_CHARACTERS + 1, now_us)
    }
}

/// The value of the field `peer`, and how long all fields are when they are written.
#[derive(Default)]
struct About {
    peer: Option<String>,
    characters: u64,
}

impl Visit for About {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        self.characters = value
            .chars()
            .map(width)
            .fold(self.characters, u64::saturating_add);
        if field.name() == "peer" {
            self.peer = Some(value);
        }
    }
}

/// Any other character than a letter of ASCII may become an escape.
const fn width(letter: char) -> u64 {
    if letter.is_ascii_graphic() || letter == ' ' {
        1
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_flood_about_one_peer_hides_nothing_of_others() {
        let quiet = Quiet::new();
        let said = |peer: &str, level, from: u64, to: u64| {
            (from..to)
                .filter(|us| quiet.may_say(peer, level, 1, *us))
                .count()
        };
        assert_eq!(said("de", Level::INFO, 0, 10_000), 200);
        assert_eq!(said("de", Level::ERROR, 10_000, 10_010), 10);
        assert_eq!(said("fr", Level::INFO, 10_000, 10_010), 10);
        assert_eq!(quiet.sums(SUM_EVERY_US - 1), []);
        let left_out = [("de".to_owned(), Level::INFO, 9_800)];
        assert_eq!(quiet.sums(SUM_EVERY_US), left_out);
        assert_eq!(quiet.sums(2 * SUM_EVERY_US), [], "once");
        for peer in 0..2 * PEERS_MAX {
            quiet.may_say(&peer.to_string(), Level::INFO, 1, 1_000_000);
        }
        assert_eq!(quiet.about.lock().unwrap().of.len(), PEERS_MAX + 1);
    }

    /// The peers that a subscriber behind it has seen.
    struct Seen(Arc<Mutex<Vec<Option<String>>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut about = About::default();
            event.record(&mut about);
            self.0.lock().unwrap().push(about.peer);
        }
    }

    #[test]
    fn lines_are_told_apart_by_the_peer_that_they_name() {
        let seen = Arc::new(Mutex::default());
        let subscriber = tracing_subscriber::registry()
            .with(Seen(Arc::clone(&seen)))
            .with(Quiet::new());
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..1_000 {
                tracing::info!(peer = %"de", "it said something");
                tracing::info!("about nobody");
                tracing::info!(peer = %"fr", text = %"\u{202e}".repeat(600), "it said much");
                tracing::info!(target: "quinn_proto", "about a packet");
                tracing::info!(target: NET, named = "nobody", "about a peer that is not named");
                tracing::info!(target: DECISION, peer = %"ie", "decided about a peer");
            }
        });
        let seen = seen.lock().unwrap();
        let count = |peer: Option<&str>| seen.iter().filter(|at| at.as_deref() == peer).count();
        let (of_peer, others) = (count(Some("de")), count(None));
        assert!((200..210).contains(&of_peer), "{of_peer}");
        let long = seen.iter().flatten().filter(|peer| *peer == "fr").count();
        assert!((10..20).contains(&long), "{long}: each counts as many");
        // All about nobody, some of the library, some of net that name no peer, and a few lines about lines.
        assert!((1_400..1_440).contains(&others), "{others}");
        assert_eq!(count(Some("ie")), 1_000, "decisions");
    }
}
