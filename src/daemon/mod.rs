//! The daemon: composition of everything above.
//!
//! Tasks: *acceptor* (one), a *session* for each connection, a *courier* for each peer, the *sweeper*, the local API.
//! The ledger's writer thread is the sequencer, the only one who appends to the log. Each thing that changes has one
//! owner.

mod failure;
mod logs;
mod packages;
mod page;
mod peers;
mod people;
pub mod process;
mod routes;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::base::{AuthorityId, Timestamp};
use crate::config::Config;
use crate::daemon::packages::examinations::Examinations;
use crate::daemon::packages::grants::Seals;
use crate::daemon::packages::openings::Openings;
use crate::daemon::packages::retention::Retention;
use crate::daemon::peers::mailbox::Mailbox;
use crate::daemon::peers::roster::Roster;
use crate::daemon::process::clock_memory::ClockMemory;
use crate::daemon::process::confine::Applied;
use crate::daemon::process::credentials::OwnPapers;
use crate::daemon::process::run_state::RunState;
use crate::identity::card::Card;
use crate::net::connection::control::News;
use crate::net::fetcher::resolve::Resolver;
use crate::net::session::station::Station;
use crate::net::{Endpoint, session};

pub use process::confine;
pub(crate) use process::credentials::early_papers;
pub use process::start::{Given, confined, run};
pub use process::stop::Stop;
pub use process::supervisor::{ReadConfig, say_ready, say_stopping};
pub use process::telemetry::start as start_telemetry;

/// The state that all tasks share.
pub(crate) struct Daemon {
    pub(crate) config: Config,
    pub(crate) card: Card,
    pub(crate) station: Arc<Station>,
    pub(crate) roster: Roster,
    pub(crate) endpoint: Endpoint,
    pub(crate) resolver: Resolver,
    pub(crate) sandbox: Applied,
    pub(crate) papers: OwnPapers,
    pub(crate) seals: Seals,
    pub(crate) openings: Openings,
    pub(crate) examinations: Examinations,
    pub(crate) started: Timestamp,
    pub(crate) retention: Retention,
    /// The facts remembered of the clock.
    pub(crate) timekeeping: tokio::sync::Mutex<ClockMemory>,
    /// One statement about what was handed over at a time, so that their chain does not fork.
    pub(crate) access: tokio::sync::Mutex<()>,
    /// One report of use at a time, so that none lists what another does.
    pub(crate) reports: tokio::sync::Mutex<()>,
    /// One change of what is decided about peers at a time, from reading to committing.
    pub(crate) peers: tokio::sync::Mutex<()>,
    /// Wakes the duties that follow from passing on.
    pub(crate) onward: Notify,
    /// One decision of a second person at a time.
    pub(crate) approvals: tokio::sync::Mutex<()>,
    /// The text of the policy that is configured, as it was last read; another one may be in force.
    pub(crate) configured: Mutex<String>,
    pub(crate) judge: ReadConfig,
    pub(crate) phase: watch::Sender<RunState>,
    pub(crate) broken: mpsc::Sender<String>,
    pub(crate) bells: Mutex<HashMap<AuthorityId, Arc<Mailbox>>>,
    pub(crate) couriers: Mutex<JoinSet<()>>,
    pub(crate) news: mpsc::Sender<News>,
    pub(crate) ended: mpsc::Sender<session::Ended>,
    pub(crate) spread: AtomicU64,
}

impl Daemon {
    pub(crate) fn phase(&self) -> watch::Receiver<RunState> {
        self.phase.subscribe()
    }

    /// The store can no longer be trusted: the daemon ends, and starts again.
    pub(crate) fn fail(&self, why: String) {
        tracing::error!("the store cannot be trusted any more: {why}");
        // If one failure is already on its way, this one adds nothing.
        drop(self.broken.try_send(why));
    }

    /// A number that differs from call to call, for spreading retries.
    pub(crate) fn spread(&self) -> u8 {
        // A Weyl sequence: no secret, only not the same for everybody.
        let step = self
            .spread
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        step.to_be_bytes()[0]
    }
}
