//! Where the daemon is between start and end.

use tokio::sync::watch;

/// Where the daemon is between start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunState {
    Running,
    Draining,
}

impl RunState {
    pub(crate) fn is_draining(self) -> bool {
        self == Self::Draining
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Draining => "draining",
        }
    }
}

/// Resolves when the daemon drains.
pub(crate) async fn draining(phase: &mut watch::Receiver<RunState>) {
    // A daemon that is gone altogether drains too.
    drop(phase.wait_for(|phase| phase.is_draining()).await);
}
