//! The fetcher: a process without keys that resolves peers' names for a daemon without a network.
//!
//! It answers those users only whom it is told of (`SO_PEERCRED`), takes only endpoints as a card may have them, only
//! the hosts that it is told of where it is told any, and only so many new names in a time: a daemon that was taken
//! over cannot carry much away in names. It caches nothing: how long an answer holds is the resolver's business.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::base::limits;
use crate::identity::card;
use crate::net::fetcher::resolve::{line, look_up, send};
use crate::wire::fetch::{FetchAnswer, FetchQuestion};

/// Whom it answers, and what.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// User ids of callers.
    pub callers: BTreeSet<u32>,
    /// Hosts without their ports; empty: every host that a card may name.
    pub hosts: BTreeSet<String>,
}

/// Names that were resolved before, and how many new ones may still be.
#[derive(Debug)]
struct Names {
    known: BTreeSet<String>,
    fresh: u64,
    counted: Instant,
}

#[derive(Debug)]
struct Desk {
    allowed: Allowed,
    names: Mutex<Names>,
}

/// A new name may be asked for this often once the first are spent.
const NEW_NAME_EVERY: Duration = Duration::from_mins(1);

/// Serves until `stop` resolves.
pub async fn serve(listener: UnixListener, allowed: Allowed, stop: impl Future<Output = ()>) {
    let desk = Arc::new(Desk {
        allowed,
        names: Mutex::new(Names {
            known: BTreeSet::new(),
            fresh: limits::FETCH_NEW_NAMES_BURST,
            counted: Instant::now(),
        }),
    });
    let places = Arc::new(Semaphore::new(limits::FETCH_CALLERS_MAX));
    let serving = async {
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let desk = Arc::clone(&desk);
                    tokio::spawn(async move {
                        desk.answer(stream).await;
                        drop(place);
                    });
                }
                Err(e) => {
                    tracing::error!("cannot accept a caller: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = serving => {}
        () = stop => {}
    }
}

impl Desk {
    async fn answer(&self, mut stream: UnixStream) {
        let uid = stream.peer_cred().map(|who| who.uid()).ok();
        if !uid.is_some_and(|uid| self.allowed.callers.contains(&uid)) {
            tracing::warn!(?uid, "a caller was turned away");
            let who = uid.map_or_else(|| "unknown".to_owned(), |uid| uid.to_string());
            let text = format!("user id {who} may not ask");
            return said(send(&mut stream, &FetchAnswer::refused("caller-refused", &text)).await);
        }
        let limit = Duration::from_millis(limits::FETCH_QUESTION_MS_MAX);
        let asked = line(&mut stream, limits::FETCH_QUESTION_BYTES_MAX);
        let Ok(asked) = tokio::time::timeout(limit, asked).await else {
            return tracing::warn!("a caller put no question in time");
        };
        let answer = match asked.and_then(|line| FetchQuestion::read(&line)) {
            Err(why) => FetchAnswer::refused("bad-question", &why),
            Ok(endpoint) => match self.admit(&endpoint, Instant::now()) {
                Err(refused) => refused,
                Ok(()) => resolved(&endpoint).await,
            },
        };
        let outcome = answer.error.as_deref().unwrap_or("resolved");
        tracing::debug!(outcome, "asked");
        let answered = tokio::time::timeout(limit, send(&mut stream, &answer)).await;
        said(answered.unwrap_or_else(|_| Err("it does not read".to_owned())));
    }

    /// Whether this endpoint may be asked for now.
    fn admit(&self, endpoint: &str, now: Instant) -> Result<(), FetchAnswer> {
        if let Some(why) = card::endpoint_fault(endpoint) {
            return Err(FetchAnswer::refused("name-refused", why));
        }
        let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
        let hosts = &self.allowed.hosts;
        if !hosts.is_empty() && !hosts.contains(host) {
            let text = "the host is not among those that --allow names";
            return Err(FetchAnswer::refused("name-refused", text));
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.refill(now);
        if names.known.contains(host) {
            return Ok(());
        }
        let left = names.fresh.checked_sub(1);
        names.fresh = left.ok_or_else(|| {
            FetchAnswer::refused("too-many-names", "too many new names; try again later")
        })?;
        if names.known.len() < limits::FETCH_NAMES_MAX {
            names.known.insert(host.to_owned());
        }
        Ok(())
    }
}

impl Names {
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted).as_secs();
        let every = NEW_NAME_EVERY.as_secs();
        let earned = passed.checked_div(every).unwrap_or_default();
        let fresh = self.fresh.saturating_add(earned);
        self.fresh = fresh.min(limits::FETCH_NEW_NAMES_BURST);
        let counted = Duration::from_secs(earned.saturating_mul(every));
        self.counted = self.counted.checked_add(counted).unwrap_or(now);
    }
}

async fn resolved(endpoint: &str) -> FetchAnswer {
    match look_up(endpoint).await {
        Ok(addresses) if !addresses.is_empty() => FetchAnswer::found(addresses),
        Ok(_) => FetchAnswer::refused("unresolved", "the name has no address"),
        Err(why) => FetchAnswer::refused("unresolved", &why),
    }
}

fn said(result: Result<(), String>) {
    if let Err(e) = result {
        tracing::debug!("the caller did not take the answer: {e}");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn me() -> BTreeSet<u32> {
        BTreeSet::from([rustix::process::getuid().as_raw()])
    }

    /// The answers of a fetcher with these rights to each line.
    async fn answers(allowed: Allowed, lines: &[Vec<u8>]) -> Vec<FetchAnswer> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = tokio::spawn(serve(listener, allowed, std::future::pending()));
        let mut answers = Vec::new();
        for asked in lines {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            // One who is turned away unheard may find the other end closed.
            drop(stream.write_all(asked).await);
            let answer = line(&mut stream, limits::FETCH_ANSWER_BYTES_MAX).await;
            answers.push(serde_json::from_slice(&answer.unwrap()).unwrap());
        }
        serving.abort();
        answers
    }

    async fn check(allowed: Allowed, asked: &str, error: Option<&str>) {
        let found = answers(allowed, &[format!("{asked}\n").into_bytes()]).await;
        assert_eq!(found[0].error.as_deref(), error, "{asked}: {found:?}");
        assert_eq!(found[0].addresses.is_empty(), error.is_some(), "{asked}");
    }

    #[tokio::test]
    async fn only_endpoints_of_allowed_hosts_for_allowed_callers() {
        let anybody = || Allowed {
            callers: me(),
            hosts: BTreeSet::new(),
        };
        let only = |host: &str| Allowed {
            callers: me(),
            hosts: BTreeSet::from([host.to_owned()]),
        };
        let local = r#"{"v":1,"resolve":"localhost:7443"}"#;
        check(anybody(), local, None).await;
        check(only("localhost"), local, None).await;
        check(only("a.example"), local, Some("name-refused")).await;
        check(Allowed::default(), local, Some("caller-refused")).await;
        for bad in [
            "localhost",
            "LOCALHOST:1",
            "a b:1",
            "localhost:0",
            "../x:1",
            "",
        ] {
            let asked = format!(r#"{{"v":1,"resolve":"{bad}"}}"#);
            check(anybody(), &asked, Some("name-refused")).await;
        }
        let long = format!(r#"{{"v":1,"resolve":"{}:1"}}"#, "a".repeat(600));
        for bad in [
            "",
            "x",
            "{}",
            r#"{"v":2,"resolve":"a:1"}"#,
            r#"{"v":1,"resolve":"a:1","x":1}"#,
            &long,
        ] {
            check(anybody(), bad, Some("bad-question")).await;
        }
        let none = r#"{"v":1,"resolve":"does-not-exist.invalid:7"}"#;
        check(anybody(), none, Some("unresolved")).await;
    }

    #[test]
    fn new_names_are_counted_and_earned_back() {
        let start = Instant::now();
        let desk = Desk {
            allowed: Allowed::default(),
            names: Mutex::new(Names {
                known: BTreeSet::new(),
                fresh: limits::FETCH_NEW_NAMES_BURST,
                counted: start,
            }),
        };
        let code = |n: u64, now| desk.admit(&format!("h{n}.example:7"), now).err()?.error;
        for n in 0..limits::FETCH_NEW_NAMES_BURST {
            assert_eq!(code(n, start), None);
        }
        assert_eq!(code(1_000, start).as_deref(), Some("too-many-names"));
        assert_eq!(code(3, start), None, "a known name costs nothing");
        let later = start + NEW_NAME_EVERY;
        assert_eq!(code(1_000, later), None);
        assert_eq!(code(1_001, later).as_deref(), Some("too-many-names"));
    }
}
