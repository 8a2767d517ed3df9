//! Signals that end a command: heard while something that was begun is to be cleaned up. A person who gives a second
//! one ends it at once.

use std::fs;
use std::future::Future;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::client::{CallFault, StopSign};
use crate::cli::failure::Failure;
use crate::cli::remote::Remote;

const SIGNALS: [(Signal, &str); 3] = [
    (Signal::HUP, "SIGHUP"),
    (Signal::INT, "SIGINT"),
    (Signal::TERM, "SIGTERM"),
];

/// At the end of a session several signals come at once, and are one.
const TOGETHER: Duration = Duration::from_secs(1);

/// The signals that this process was started to ignore, as the kernel has them: bit n − 1 for signal n. To be asked
/// before a sandbox hides it.
pub(crate) fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    line.and_then(|it| u64::from_str_radix(it.trim(), 16).ok())
        .unwrap_or(0)
}

/// Ends the process as the second signal asks, whatever it still does.
#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "main may be waiting for what does not end"
)]
fn end_at_once(number: i32) {
    std::process::exit(128 + number);
}

/// The signals heard since a command began.
pub(crate) struct Interrupts {
    seen: Arc<AtomicI32>,
    stop: StopSign,
}

impl Interrupts {
    /// Hears of them from now on, but for those that are ignored.
    pub(crate) fn hear(remote: &Remote, ignored: u64) -> Result<Self, Failure> {
        let _runtime = remote.runtime().enter();
        let (say, stop) = StopSign::new();
        let seen = Arc::new(AtomicI32::new(0));
        let first = Arc::new(OnceLock::new());
        let say = Arc::new(say);
        for (kind, _) in SIGNALS {
            let number = kind.as_raw();
            if ignored >> (number - 1) & 1 == 1 {
                continue;
            }
            let mut heard = signal(SignalKind::from_raw(number)).map_err(|e| {
                Failure::failed("no-signals", format!("signals cannot be heard: {e}"))
            })?;
            let (seen, say) = (Arc::clone(&seen), Arc::<watch::Sender<bool>>::clone(&say));
            let first = Arc::clone(&first);
            remote.runtime().spawn(async move {
                while heard.recv().await.is_some() {
                    let first = *first.get_or_init(Instant::now);
                    if first.elapsed() > TOGETHER && kind != Signal::HUP {
                        end_at_once(number);
                    }
                    seen.store(number, Ordering::Release);
                    say.send_replace(true);
                }
            });
        }
        Ok(Self { seen, stop })
    }

    /// Returns the `StopSign` that ends reading.
    pub(crate) fn stop(&self) -> StopSign {
        self.stop.clone()
    }

    /// One call, unless a signal comes first.
    pub(crate) fn call<T>(
        &self,
        remote: &Remote,
        call: impl Future<Output = Result<T, CallFault>>,
    ) -> Result<T, Failure> {
        let stop = self.stop();
        let raced = async move {
            tokio::select! {
                answer = call => answer.map(Some),
                () = stop.asked() => Ok(None),
            }
        };
        remote.call(raced)?.ok_or_else(|| {
            let text = "the daemon was not waited for any more".to_owned();
            self.failure(&text)
                .unwrap_or_else(|| Failure::failed("interrupted", "interrupted"))
        })
    }

    /// Whether one came.
    pub(crate) fn is_heard(&self) -> bool {
        self.seen.load(Ordering::Acquire) != 0
    }

    /// The failure of a command that a signal has ended; none if none came.
    pub(crate) fn failure(&self, what: &str) -> Option<Failure> {
        let number = self.seen.load(Ordering::Acquire);
        let (_, name) = SIGNALS.iter().find(|(kind, _)| kind.as_raw() == number)?;
        let mut failure = Failure::failed("interrupted", format!("ended by {name}: {what}"));
        failure.code = u8::try_from(128 + number).unwrap_or(1);
        Some(failure)
    }
}
