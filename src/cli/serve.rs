//! `serve`: the daemon.

use tokio::runtime::Builder;

use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::{check, remote};
use crate::config::Config;
use crate::daemon::{self, Given, Stop};
use crate::net::quic::sockets::Handed;

pub(super) const EXAMPLES: &str = "\
Examples:
  rogatory serve --home ./ie
  rogatory serve --config /etc/rogatory/rogatory.toml";

/// Threads that run the network and the API; hashing and the disk have their own.
const WORKERS: usize = 2;

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let handed = handed()?;
    let home = remote::home(global);
    let config = Config::load(&home.config, remote::environment())
        .map_err(|faults| check::invalid(&home, &faults))?;
    daemon::start_telemetry(&config.telemetry).map_err(|e| {
        Failure::configuration(
            "log-unusable",
            format!("logs cannot be written as configured: {e}"),
        )
    })?;
    let failure = |stop: Stop| match &stop {
        Stop::Config(faults) => check::invalid(&home, faults),
        Stop::Identity(_) | Stop::Policy(_) | Stop::Listen(_) | Stop::Store(_) => stopped(&stop),
    };
    let sandbox = daemon::confined(&config).map_err(failure)?;
    let again = home.clone();
    let given = Given {
        handed,
        sandbox,
        judge: Box::new(move || check::judge(&again, remote::environment())),
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|e| Failure::failed("no-threads", format!("no thread can be started: {e}")))?;
    runtime
        .block_on(daemon::run(config, given))
        .map_err(failure)
}

/// The sockets that the supervisor hands over. Before the first thread.
pub(super) fn handed() -> Result<Handed, Failure> {
    let names = std::env::var_os("LISTEN_FDNAMES");
    let names = names.as_deref().and_then(std::ffi::OsStr::to_str);
    Handed::take(names).map_err(|e| Failure::failed("handed-over", e.to_string()))
}

fn stopped(stop: &Stop) -> Failure {
    let mut failure = Failure::failed(stop.code(), stop.to_string());
    failure.code = stop.exit_code();
    failure
}
