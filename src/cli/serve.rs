//! `serve`: the daemon.

use tokio::runtime::Builder;

use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::cli::remote;
use crate::config::Config;
use crate::config::Fault;
use crate::daemon::{self, Stop};

pub(super) const EXAMPLES: &str = "\
Examples:
  rogatory serve --home ./ie
  rogatory serve --config /etc/rogatory/rogatory.toml";

/// Threads that run the network and the API; hashing and the disk have their own.
const WORKERS: usize = 2;

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let home = remote::home(global);
    let config =
        Config::load(&home.config, remote::environment()).map_err(|faults| invalid(&faults))?;
    daemon::start_telemetry(&config.telemetry).map_err(|e| {
        Failure::configuration(
            "log-unusable",
            format!("logs cannot be written as configured: {e}"),
        )
    })?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|e| Failure::failed("no-threads", format!("no thread can be started: {e}")))?;
    runtime.block_on(daemon::run(config)).map_err(stopped)
}

#[expect(clippy::needless_pass_by_value, reason = "it is named in map_err")]
fn stopped(stop: Stop) -> Failure {
    if let Stop::Config(faults) = &stop {
        return invalid(faults);
    }
    let mut failure = Failure::failed(stop.code(), stop.to_string());
    failure.code = stop.exit_code();
    failure
}

fn invalid(faults: &[Fault]) -> Failure {
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    Failure::configuration("config-invalid", faults.join("\n")).next("rogatory check config")
}
