//! `fetcher`: the process that resolves names for a daemon without a network.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use tokio::net::UnixListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::accounts::{self, Accounts, Asked};
use crate::api::server;
use crate::base::limits;
use crate::cli::failure::Failure;
use crate::cli::serve;
use crate::config::{LogFormat, LogLevel, Telemetry};
use crate::daemon;
use crate::daemon::process::confine::{Rights, confine};
use crate::net::fetcher::server::{Allowed, serve as answer};

pub(super) const EXAMPLES: &str = "\
Examples:
  rogatory fetcher --listen /run/rogatory-fetcher.sock --caller rogatory
  rogatory fetcher --caller rogatory --allow bepi.justice.example.fr,bfj.example.de";

/// Options of the fetcher.
#[derive(Debug, Args)]
pub(super) struct FetcherArgs {
    /// The Unix socket to listen on [default: the one that systemd hands over]
    #[arg(long, value_name = "PATH")]
    listen: Option<PathBuf>,
    /// Users that may ask: login names or numbers [default: the user that it runs as]
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    caller: Vec<String>,
    /// Hosts that may be asked for [default: every host that a card may name]
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    allow: Vec<String>,
}

impl FetcherArgs {
    /// Answers until SIGTERM or SIGINT.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let handed = serve::handed()?;
        if handed.quic.is_some() {
            let text = "a UDP socket was handed over; the fetcher has a Unix socket only";
            return Err(Failure::failed("handed-over", text));
        }
        let telemetry = Telemetry {
            log: LogFormat::Text,
            level: LogLevel::Info,
        };
        daemon::start_telemetry(&telemetry)
            .map_err(|e| Failure::configuration("log-unusable", e.to_string()))?;
        let allowed = Allowed {
            callers: self.callers()?,
            hosts: self.allow.iter().cloned().collect(),
        };
        let sockets = self.listen.as_deref().and_then(std::path::Path::parent);
        let sandbox = confine(&Rights {
            sockets: sockets.map(std::path::Path::to_owned).into_iter().collect(),
            names: true,
            udp: true,
            ..Rights::default()
        });
        let (landlock, seccomp) = (&sandbox.landlock, &sandbox.seccomp);
        tracing::info!(%landlock, %seccomp, callers = ?allowed.callers, hosts = allowed.hosts.len(), "resolving names");
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(limits::FETCH_CALLERS_MAX)
            .enable_all()
            .build()
            .map_err(|e| Failure::failed("no-threads", format!("no thread can be started: {e}")))?;
        let served = runtime.block_on(async {
            let listener = match (handed.unix, &self.listen) {
                (Some(unix), _) => UnixListener::from_std(unix),
                (None, Some(path)) => server::bind(path),
                (None, None) => return Err(no_socket()),
            };
            let listener = listener
                .map_err(|e| Failure::failed("cannot-listen", format!("the socket: {e}")))?;
            let mut term = signal(SignalKind::terminate()).map_err(|e| no_signals(&e))?;
            let mut int = signal(SignalKind::interrupt()).map_err(|e| no_signals(&e))?;
            daemon::say_ready("resolving names");
            answer(listener, allowed, async {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
            })
            .await;
            daemon::say_stopping();
            Ok(())
        });
        // A lookup that hangs in the C library must not keep the process.
        runtime.shutdown_background();
        served
    }

    fn callers(&self) -> Result<BTreeSet<u32>, Failure> {
        if self.caller.is_empty() {
            return Ok(BTreeSet::from([rustix::process::getuid().as_raw()]));
        }
        let accounts = Accounts::read(&Asked {
            users: self.caller.iter().cloned().collect(),
            groups: BTreeSet::new(),
        });
        let nobody = accounts::unnumbered();
        let callers = self.caller.iter().map(|name| {
            let uid = name.parse().ok().or_else(|| accounts.uid(name));
            let uid = uid.ok_or_else(|| {
                Failure::usage("no-such-user", format!("there is no user {name:?}"))
            })?;
            if uid == nobody {
                let text =
                    format!("user id {uid} stands for everybody who has none: it may not ask");
                return Err(Failure::usage("no-such-user", text));
            }
            Ok(uid)
        });
        callers.collect()
    }
}

fn no_socket() -> Failure {
    Failure::usage("no-socket", "no socket was handed over and none is named")
        .next("rogatory fetcher --listen PATH")
}

fn no_signals(error: &std::io::Error) -> Failure {
    Failure::failed(
        "no-signals",
        format!("signals cannot be listened to: {error}"),
    )
}
