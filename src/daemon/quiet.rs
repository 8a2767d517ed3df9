//! Lines of the log that a peer, or a library on its behalf, can cause in any number: some of them a second, and how many were
//! left out. One place for all of them, so that no line has to be thought of where it is written.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
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

/// Writes so many lines about each peer, and no more. Each level has its own, so that a flood of one hides nothing of another.
#[derive(Debug)]
pub(crate) struct Quiet {
    began: Instant,
    about: Mutex<HashMap<(String, Level), Lines>>,
}

#[derive(Debug)]
struct Lines {
    bucket: Bucket,
    unsaid: u64,
}

impl Quiet {
    #[expect(clippy::disallowed_methods, reason = "the shell reads the clock")]
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            about: Mutex::default(),
        }
    }

    /// Whether a line about this peer may be written, and how many were not since the last.
    fn may_say(&self, (peer, level): (&str, Level), count: u64, now_us: u64) -> Option<u64> {
        let mut about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = about.contains_key(&(peer.to_owned(), level));
        let peer = if is_known || about.len() < PEERS_MAX {
            peer
        } else {
            ""
        };
        let fresh = || Lines {
            bucket: Bucket::new(PER_SECOND, BURST),
            unsaid: 0,
        };
        let lines = about.entry((peer.to_owned(), level)).or_insert_with(fresh);
        if lines.bucket.take(now_us, count).is_err() {
            lines.unsaid = lines.unsaid.saturating_add(1);
            return None;
        }
        Some(std::mem::take(&mut lines.unsaid))
    }
}

impl<S: Subscriber> Layer<S> for Quiet {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let at = event.metadata();
        let is_ours = at.target().starts_with(env!("CARGO_PKG_NAME"));
        let mut about = About {
            peer: (!is_ours).then(|| LIBRARIES.to_owned()),
            characters: 0,
        };
        event.record(&mut about);
        let Some(peer) = about.peer else {
            return true;
        };
        let count = about.characters / LINE_CHARACTERS + 1;
        let now_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let said = self.may_say((&peer, *at.level()), count, now_us);
        if let Some(unsaid) = said.filter(|unsaid| *unsaid > 0) {
            // Not a field named `peer`: this line is about lines.
            tracing::warn!(about = %peer, level = %at.level(), unsaid, "lines were left out, there were too many");
        }
        said.is_some()
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

/// Whatever is no letter of ASCII may become an escape.
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
                .filter(|us| quiet.may_say((peer, level), 1, *us).is_some())
                .count()
        };
        assert_eq!(said("de", Level::INFO, 0, 10_000), 200);
        assert_eq!(said("de", Level::ERROR, 10_000, 10_010), 10);
        assert_eq!(said("fr", Level::INFO, 10_000, 10_010), 10);
        assert_eq!(
            quiet.may_say(("de", Level::INFO), 1, 1_000_000),
            Some(9_800)
        );
        for peer in 0..2 * PEERS_MAX {
            quiet.may_say((&peer.to_string(), Level::INFO), 1, 1_000_000);
        }
        assert_eq!(quiet.about.lock().unwrap().len(), PEERS_MAX + 1);
    }

    /// What a subscriber behind it has seen.
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
            }
        });
        let seen = seen.lock().unwrap();
        let count = |peer: Option<&str>| seen.iter().filter(|at| at.as_deref() == peer).count();
        let (of_peer, others) = (count(Some("de")), count(None));
        assert!((200..210).contains(&of_peer), "{of_peer}");
        let long = seen.iter().flatten().filter(|peer| *peer == "fr").count();
        assert!((10..20).contains(&long), "{long}: each counts as many");
        // All about nobody, some of the library, and a few lines about lines.
        assert!((1_200..1_230).contains(&others), "{others}");
    }
}
