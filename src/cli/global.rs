//! Options of every command.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Options of every command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent switches"
)]
pub(crate) struct Global {
    /// The authority's folder: configuration, state and socket [default: /etc, /var/lib and /run/rogatory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The daemon's socket [default: as the configuration says]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Print JSON: results and progress on standard output, errors on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// More detail
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// No colours (as with the variable `NO_COLOR`)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Wait at most so long for the daemon, for example 30s or '5 min'; then exit code 12
    #[arg(long, global = true, value_name = "TIME", value_parser = timeout)]
    pub(crate) timeout: Option<Duration>,
}

/// `30s`, `5 min`, `1h30m`, or a plain number of seconds.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    let fault = || format!("{text:?} is not a time like 30s, '5 min' or 1h30m");
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let span: jiff::SignedDuration = text.parse().map_err(|_| fault())?;
    Duration::try_from(span).map_err(|_| fault())
}
