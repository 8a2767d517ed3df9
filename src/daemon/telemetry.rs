//! Logs: text on a terminal, JSON or journald by choice. No case reference, name of a person or title is ever logged.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Telemetry};

/// Starts logging as configured. A second call changes nothing.
///
/// # Errors
/// When journald was asked for and does not answer.
pub fn start(telemetry: &Telemetry) -> std::io::Result<()> {
    let filter = EnvFilter::new(format!(
        "{},quinn=warn,rustls=error,hyper=warn",
        telemetry.level.as_str()
    ));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match telemetry.log {
        LogFormat::Text => {
            let text = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_target(false);
            registry
                .with(text.with_ansi(std::io::stderr().is_terminal()))
                .try_init()
        }
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        LogFormat::Journald => registry.with(tracing_journald::layer()?).try_init(),
    };
    // Another subscriber is in place already: its choice stands.
    drop(started);
    Ok(())
}
