//! The daemon: composition of everything above.
//!
//! Tasks: *acceptor* (one), a *session* for each connection, a *courier* for each peer, the *sweeper*, the local API.
//! The ledger's writer thread is the sequencer, the only one who appends to the log. Each thing that changes has one
//! owner.

mod acceptor;
mod adopted;
mod approvals;
mod blanked;
mod bundle;
mod callback;
mod cards;
mod cases;
mod chain;
pub mod confine;
mod consents;
mod content;
mod courier;
mod decisions;
mod examinations;
mod following;
mod grounds;
mod holds;
mod logs;
mod mailbox;
mod news;
mod notices;
mod onward;
mod openings;
mod orders;
mod papers;
mod peers;
mod people;
mod pieces;
mod publisher;
mod quiet;
mod releases;
mod reports;
mod restored;
mod restrictions;
mod retention;
mod reviews;
mod revocation_lists;
mod roster;
mod routes;
mod sealed;
mod seals;
mod soundness;
mod start;
mod statements;
mod stop;
mod supervisor;
mod sweeper;
mod telemetry;
mod timekeeping;
mod views;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::base::AuthorityId;
use crate::base::Timestamp;
use crate::config::Config;
use crate::daemon::confine::Applied;
use crate::daemon::courier::Courier;
use crate::daemon::examinations::Examinations;
use crate::daemon::mailbox::Mailbox;
use crate::daemon::openings::Openings;
use crate::daemon::papers::Papers;
use crate::daemon::retention::Retention;
use crate::daemon::roster::Roster;
use crate::daemon::seals::Seals;
use crate::identity::card::Card;
use crate::net::DialFault;
use crate::net::Endpoint;
use crate::net::control::News;
use crate::net::resolve::Resolver;
use crate::net::session;
use crate::net::session::Session;
use crate::net::station::Station;
use crate::store::Exchange;
use crate::store::Fault;
use crate::store::Op;
use crate::store::Outgoing;
use crate::store::PeerState;
use crate::store::StoreFault;

pub(crate) use papers::early_papers;
pub use start::{Given, confined, run};
pub use stop::Stop;
pub use supervisor::{Judge, say_ready, say_stopping};
pub use telemetry::start as start_telemetry;

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

/// The state that all tasks share.
pub(crate) struct Daemon {
    pub(crate) config: Config,
    pub(crate) card: Card,
    pub(crate) station: Arc<Station>,
    pub(crate) roster: Roster,
    pub(crate) endpoint: Endpoint,
    pub(crate) resolver: Resolver,
    pub(crate) sandbox: Applied,
    pub(crate) papers: Papers,
    pub(crate) seals: Seals,
    pub(crate) openings: Openings,
    pub(crate) examinations: Examinations,
    pub(crate) started: Timestamp,
    pub(crate) retention: Retention,
    /// The facts remembered of the clock.
    pub(crate) timekeeping: tokio::sync::Mutex<timekeeping::Kept>,
    /// One statement about what was handed over at a time, so that their chain does not fork.
    pub(crate) access: tokio::sync::Mutex<()>,
    /// One change of what is decided about peers at a time, from reading to committing.
    pub(crate) peers: tokio::sync::Mutex<()>,
    /// Wakes the duties that follow from passing on.
    pub(crate) onward: following::Following,
    /// One decision of a second person at a time.
    pub(crate) approvals: tokio::sync::Mutex<()>,
    /// The text of the policy that is configured, as it was last read; another one may be in force.
    pub(crate) configured: Mutex<String>,
    pub(crate) judge: Judge,
    phase: watch::Sender<RunState>,
    broken: mpsc::Sender<String>,
    bells: Mutex<HashMap<AuthorityId, Arc<Mailbox>>>,
    couriers: Mutex<JoinSet<()>>,
    news: mpsc::Sender<News>,
    ended: mpsc::Sender<session::Ended>,
    spread: AtomicU64,
}

/// Why a peer could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DialProblem {
    pub(crate) code: String,
    pub(crate) text: String,
    /// Whether trust is the matter, on either side.
    pub(crate) trust: bool,
}

/// Resolves when the daemon drains.
pub(crate) async fn draining(phase: &mut watch::Receiver<RunState>) {
    // A daemon that is gone altogether drains too.
    drop(phase.wait_for(|phase| phase.is_draining()).await);
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

    /// There may be mail for this peer, or a way to it.
    pub(crate) fn ring(&self, peer: &AuthorityId) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = bells.get(peer) {
            mailbox.bell.notify_one();
        }
    }

    /// There is a new package for this peer.
    pub(crate) fn post(&self, outgoing: Outgoing) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = bells.get(&outgoing.exchange.peer) {
            mailbox.put(outgoing);
        }
    }

    /// Reads the peers again: whom to trust, whom to serve with a courier; connections of others are cut.
    pub(crate) async fn reload_peers(self: &Arc<Self>) -> Result<(), StoreFault> {
        // What was read last is what holds.
        let _one_at_a_time = self.roster.reloading.lock().await;
        let trust = self
            .roster
            .reload(
                &self.station.ledger,
                &self.config.classic,
                self.station.clock(),
            )
            .await?;
        self.station.watch.set_known(self.roster.log_keys());
        let trust = Arc::new(trust);
        self.endpoint.set_trust(Arc::clone(&trust));
        self.roster.recheck(&trust, self.station.clock());
        for known in self.roster.all() {
            if known.row.state == PeerState::Accepted {
                let literal = |at: &String| at.parse::<std::net::SocketAddr>().ok();
                for address in known.card.endpoints.iter().filter_map(literal) {
                    self.endpoint.remember(address.ip());
                }
                self.employ(&known.row.id);
            }
        }
        Ok(())
    }

    fn employ(self: &Arc<Self>, peer: &AuthorityId) {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if bells.contains_key(peer) {
            return;
        }
        let mailbox = Arc::new(Mailbox::default());
        bells.insert(peer.clone(), Arc::clone(&mailbox));
        let courier = Courier::new(Arc::clone(self), peer.clone(), mailbox);
        self.couriers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(courier.run());
    }

    /// Dials a peer at each of its endpoints in turn; the first connection that says hello is taken.
    pub(crate) async fn dial(self: &Arc<Self>, peer: &AuthorityId) -> Result<Session, DialProblem> {
        let outcome = self.dial_endpoints(peer).await;
        let at = self.station.clock();
        let op = match &outcome {
            Ok(_) => Op::PeerSeen {
                id: peer.clone(),
                at,
            },
            Err(problem) => {
                let fault = Fault {
                    code: problem.code.clone(),
                    text: problem.text.clone(),
                };
                Op::PeerFault {
                    id: peer.clone(),
                    fault: Some(fault),
                }
            }
        };
        let mut ops = vec![op];
        if outcome.is_ok() {
            ops.push(Op::PeerFault {
                id: peer.clone(),
                fault: None,
            });
        }
        if let Err(e) = self.station.ledger.commit(ops).await {
            tracing::warn!(%peer, "cannot record how the peer was reached: {e}");
        }
        self.roster.note_fault(peer, outcome.as_ref().err(), at);
        outcome
    }

    async fn dial_endpoints(self: &Arc<Self>, peer: &AuthorityId) -> Result<Session, DialProblem> {
        let unknown = || DialProblem {
            code: "unknown-peer".to_owned(),
            text: "no such peer".to_owned(),
            trust: true,
        };
        let known = self.roster.by_id(peer).ok_or_else(unknown)?;
        let mut problem = None;
        for name in &known.card.endpoints {
            let addresses = match self.resolver.resolve(name).await {
                Ok(addresses) => addresses,
                Err(fault) => {
                    let unresolved = || DialProblem {
                        code: fault.code().to_owned(),
                        text: fault.to_string(),
                        trust: false,
                    };
                    problem.get_or_insert_with(unresolved);
                    continue;
                }
            };
            for address in addresses {
                match self.dial_address(address, peer).await {
                    Ok(session) => return Ok(session),
                    Err(fault) => problem = Some(fault),
                }
            }
        }
        let text = "its card names no endpoint".to_owned();
        Err(problem.unwrap_or_else(|| DialProblem {
            code: "unreachable".to_owned(),
            text,
            trust: false,
        }))
    }

    async fn dial_address(
        self: &Arc<Self>,
        address: std::net::SocketAddr,
        peer: &AuthorityId,
    ) -> Result<Session, DialProblem> {
        let link = self
            .endpoint
            .dial(address, peer)
            .await
            .map_err(|fault| DialProblem {
                code: fault.code().to_owned(),
                text: format!("{address}: {fault}"),
                trust: matches!(
                    fault,
                    DialFault::RefusedByUs(_) | DialFault::RefusedByPeer { .. }
                ),
            })?;
        self.greet(link).await.map_err(|fault| DialProblem {
            code: fault.code.to_owned(),
            text: format!("{address}: {}", fault.text),
            trust: false,
        })
    }

    /// Says hello on a new connection and serves it from then on.
    pub(crate) async fn greet(
        self: &Arc<Self>,
        link: crate::net::Link,
    ) -> Result<Session, session::HelloFault> {
        let peer = link.peer.id().clone();
        let fault = |code, text: &str| session::HelloFault {
            code,
            text: text.to_owned(),
        };
        let known = self
            .roster
            .by_id(&peer)
            .ok_or_else(|| fault("unknown-peer", "no such peer any more"))?;
        let papers = self.papers.for_peer(&known);
        let (session, control) = session::open(Arc::clone(&self.station), link, papers).await?;
        if !self
            .roster
            .connected(&session, self.config.limits.peer_connections)
        {
            session
                .link()
                .close(session::CLOSE_GOING, "too-many-connections");
            return Err(fault(
                "too-many-connections",
                "this peer has too many connections already",
            ));
        }
        tracing::info!(%peer, address = %session.link().remote(), inbound = session.link().inbound, "connected");
        let (daemon, served) = (Arc::clone(self), session.clone());
        let (news, ended) = (self.news.clone(), self.ended.clone());
        tokio::spawn(async move {
            let lost = served.clone().serve(control, news, ended).await;
            let heard = session::heard_at(&daemon.station, &served);
            daemon.roster.disconnected(&served, heard);
            tracing::info!(peer = %served.peer_id(), "disconnected: {lost}");
            daemon.ring(served.peer_id());
        });
        self.ring(&peer);
        Ok(session)
    }

    /// Clears up once an outgoing exchange is over: the payload is of no use any more.
    pub(crate) fn delivered(&self, exchange: &Exchange) {
        let (blobs, xid) = (self.station.blobs.clone(), exchange.xid);
        if exchange.inline {
            return;
        }
        tokio::task::spawn_blocking(move || {
            if let Err(e) = blobs.remove(&xid) {
                tracing::warn!(%xid, "cannot remove the payload of an ended exchange; it is tried again at the next start: {e}");
            }
        });
    }
}
