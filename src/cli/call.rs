//! A command that talks to the daemon.

use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::remote::Remote;
use crate::cli::terminal::Terminal;

/// The means of a command that talks to the daemon: whom it asks, and where it says the answer.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) remote: Remote,
    pub(crate) terminal: Terminal,
}

impl Call {
    pub(crate) fn new(global: &Global, terminal: Terminal) -> Result<Self, Failure> {
        Self::confined(global, terminal, || Ok(()))
    }

    /// As [`Call::new`], with `confine` run before the first thread starts.
    pub(crate) fn confined(
        global: &Global,
        terminal: Terminal,
        confine: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let remote = Remote::confined(global, confine)?;
        terminal.detail(&format!("socket {}", remote.client().socket().display()));
        Ok(Self { remote, terminal })
    }
}
