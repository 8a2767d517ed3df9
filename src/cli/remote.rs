//! The daemon, as a command sees it: calls with a time limit, and their faults as failures.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::api::client::{CallFault, Client};
use crate::api::types::{ApiError, DenialView};
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::hint::quoted;
use crate::config::Home;

/// The daemon behind the socket that the global options name.
#[derive(Debug)]
pub(crate) struct Remote {
    runtime: Runtime,
    client: Client,
    timeout: Option<Duration>,
    start_hint: String,
}

impl Remote {
    /// Nothing is connected yet. `confine` is run after the last file is read and before the first thread starts,
    /// so that what it forbids is forbidden to every thread.
    pub(crate) fn confined(
        global: &Global,
        confine: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let client = Client::new(socket(global));
        confine()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|e| Failure::failed("no-threads", format!("no thread can be started: {e}")))?;
        Ok(Self {
            runtime,
            client,
            timeout: global.timeout,
            start_hint: start_hint(global),
        })
    }

    /// The same daemon for a thread of its own: its calls run on that thread alone, on a connection of their own.
    pub(crate) fn lane(&self) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::failed("no-threads", format!("no thread can be started: {e}")))?;
        Ok(Self {
            runtime,
            client: Client::new(self.client.socket()),
            timeout: self.timeout,
            start_hint: self.start_hint.clone(),
        })
    }

    /// The client, for calls of a thread that has the [`Remote::runtime`].
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// The runtime that the calls run on.
    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// The limit that `--timeout` sets.
    pub(crate) const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// One call, within `--timeout`.
    pub(crate) fn call<T>(
        &self,
        call: impl Future<Output = Result<T, CallFault>>,
    ) -> Result<T, Failure> {
        let Some(limit) = self.timeout else {
            return self.call_unlimited(call);
        };
        let limited = async { tokio::time::timeout(limit, call).await };
        match self.runtime.block_on(limited) {
            Ok(result) => result.map_err(|fault| self.failure(fault)),
            Err(_) => Err(timed_out(limit, "no answer from the daemon")),
        }
    }

    /// One call that may take as long as its bytes take.
    pub(crate) fn call_unlimited<T>(
        &self,
        call: impl Future<Output = Result<T, CallFault>>,
    ) -> Result<T, Failure> {
        self.runtime
            .block_on(call)
            .map_err(|fault| self.failure(fault))
    }

    /// The failure that a fault of a call is.
    pub(crate) fn failure(&self, fault: CallFault) -> Failure {
        let text = fault.to_string();
        match fault {
            CallFault::NoDaemon { .. } => {
                Failure::not_running("daemon-not-running", text).next(self.start_hint.clone())
            }
            CallFault::NotAllowed { socket } => Failure::failed("socket-not-allowed", text).next(
                format!("run it as the user or group that owns {}", socket.display()),
            ),
            CallFault::Refused(error) => refused(*error),
            CallFault::Broken(_) => Failure::not_running("daemon-stopped", text)
                .next(format!("see its log; then {}", self.start_hint)),
            CallFault::Unreadable { .. } => Failure::failed("unreadable-answer", text).next(
                "rogatory status --json shows the daemon's version; rogatory --version this one's",
            ),
        }
    }
}

/// The wait ended before its event came.
pub(crate) fn timed_out(limit: Duration, what: &str) -> Failure {
    let seconds = limit.as_secs_f64();
    Failure::waiting("timed-out", format!("{what} within {seconds} s"))
}

fn refused(error: ApiError) -> Failure {
    let ApiError {
        code,
        error,
        message,
        next,
        denial,
    } = error;
    let mut failure = Failure::failed(error, message);
    failure.code = if (1..=12).contains(&code) { code } else { 1 };
    failure.next = next;
    failure.details = denial.as_ref().map(denial_json).map(Box::new);
    failure
}

fn denial_json(denial: &DenialView) -> serde_json::Value {
    serde_json::to_value(denial).expect("four texts are JSON")
}

/// `--socket`, else what the configuration names, else the default of the home.
fn socket(global: &Global) -> PathBuf {
    match &global.socket {
        Some(socket) => socket.clone(),
        None => home(global).socket(environment()),
    }
}

/// The home that the global options name.
pub(crate) fn home(global: &Global) -> Home {
    Home::chosen(global.home.as_deref(), global.config.as_deref())
}

/// The environment's variables that are text.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

fn start_hint(global: &Global) -> String {
    let option = |name: &str, path: &Path| format!("rogatory serve --{name} {}", quoted(path));
    let command = match (&global.config, &global.home) {
        (Some(config), _) => option("config", config),
        (None, Some(home)) => option("home", home),
        (None, None) => "systemctl start rogatoryd, or rogatory serve".to_owned(),
    };
    format!("start it: {command}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> Remote {
        let global = Global {
            home: Some(PathBuf::from("/nonexistent/ie")),
            timeout: Some(Duration::from_millis(20)),
            ..Global::default()
        };
        Remote::confined(&global, || Ok(())).unwrap()
    }

    #[test]
    fn no_daemon_is_exit_code_10_and_says_how_to_start_one() {
        let remote = remote();
        let failure = remote.call(remote.client().status()).unwrap_err();
        assert_eq!(
            (failure.code, failure.error.as_str()),
            (10, "daemon-not-running")
        );
        assert!(
            failure.message.contains("/nonexistent/ie/api.sock"),
            "{failure}"
        );
        assert_eq!(
            failure.next.as_deref(),
            Some("start it: rogatory serve --home /nonexistent/ie")
        );
    }

    #[test]
    fn a_call_that_takes_too_long_is_exit_code_12() {
        let never = std::future::pending::<Result<(), CallFault>>();
        let failure = remote().call(never).unwrap_err();
        assert_eq!((failure.code, failure.error.as_str()), (12, "timed-out"));
    }

    #[test]
    fn what_the_daemon_refuses_keeps_its_code_and_denial() {
        let error = ApiError {
            code: 4,
            error: "purpose-not-permitted".to_owned(),
            message: "permitted use is prosecution".to_owned(),
            next: Some("ask".to_owned()),
            denial: Some(DenialView {
                rule: "purpose".to_owned(),
                term: "purposes: prosecution".to_owned(),
                reason: "purpose-not-permitted".to_owned(),
                clause: "art. 9".to_owned(),
            }),
        };
        let failure = remote().failure(CallFault::Refused(Box::new(error)));
        assert_eq!(failure.code, 4);
        assert_eq!(failure.to_json()["denial"]["rule"], "purpose");
        assert_eq!(failure.to_json()["next"], "ask");
    }
}
