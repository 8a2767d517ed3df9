//! From a configuration to a serving daemon, and down again.

use std::collections::HashSet;
use std::fmt;
use std::net::UdpSocket;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::base::limits;
use crate::config::Config;
use crate::daemon::logs::publisher;
use crate::daemon::packages::onward_duties;
use crate::daemon::peers::card_note::CardNote;
use crate::daemon::peers::roster::Roster;
use crate::daemon::peers::{acceptor, callback, updates};
use crate::daemon::people::{adoption, roles};
use crate::daemon::process::confine::{self, Applied, Layer, Rights};
use crate::daemon::process::credentials::{OwnPapers, own_cards, read_papers};
use crate::daemon::process::renewal::renew_papers;
use crate::daemon::process::stop::Stop;
use crate::daemon::process::supervisor::ReadConfig;
use crate::daemon::process::{supervisor, sweeper, timekeeping};
use crate::daemon::{Daemon, RunState, routes};
use crate::identity::keys::SecretKey;
use crate::keys::keyring::Keyring;
use crate::net::connection::control;
use crate::net::fetcher::resolve::Resolver;
use crate::net::quic::sockets::{self, Handed};
use crate::net::session::Attempt;
use crate::net::session::share::Bounds;
use crate::net::session::station::Station;
use crate::net::{Endpoint, NetLimits, TlsIdentity, session};
use crate::policy::PolicySet;
use crate::receipt::{Kind, OwnKeys};
use crate::store::{Blobs, DiskFault, Ledger, StoreFault, journal};
use crate::transfer::{Outcome, Own};
use crate::{api, seal};

/// Declared uncertainty of a clock kept by NTP, in milliseconds.
const CLOCK_UNCERTAINTY_MS: u64 = 1_000;

/// The receiving ends of the daemon's channels.
struct Ends {
    news: mpsc::Receiver<control::News>,
    ended: mpsc::Receiver<session::Ended>,
    broken: mpsc::Receiver<String>,
}

/// The descriptors and settings that the process had before its first thread started.
pub struct Given {
    /// Sockets of the supervisor; what is not among them is opened.
    pub handed: Handed,
    /// The restrictions that [`confined`] applied.
    pub sandbox: Applied,
    /// Reads and judges the configuration again, for SIGHUP.
    pub judge: ReadConfig,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({:?}, {:?})", self.handed, self.sandbox)
    }
}

/// Judges the files, makes the folders that are missing, and takes from this process what serving does not need. Call
/// it before the first thread starts.
///
/// # Errors
/// See [`Stop`].
pub fn confined(config: &Config) -> Result<Applied, Stop> {
    config.check_files().map_err(Stop::Config)?;
    let failed = |path: &Path, e| Stop::Store(format!("cannot make {}: {e}", path.display()));
    let api = config.listen.api.parent();
    let api = api.filter(|folder| !folder.as_os_str().is_empty());
    for (folder, mode) in [(Some(config.state_dir.as_path()), 0o700), (api, 0o755)] {
        let Some(folder) = folder else { continue };
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(mode);
        builder.create(folder).map_err(|e| failed(folder, e))?;
    }
    let made = journal::prepare(&config.journal);
    made.map_err(|e| Stop::Store(e.to_string()))?;
    api::accounts::remember(roles::asked(config.roles.as_deref().unwrap_or_default()));
    let sandbox = confine::confine(&Rights::of(config));
    if !sandbox.is_full() {
        let (landlock, seccomp) = (&sandbox.landlock, &sandbox.seccomp);
        tracing::warn!(%landlock, %seccomp, "the sandbox is not complete on this kernel");
    }
    Ok(sandbox)
}

/// Serves until SIGTERM or SIGINT, then drains within the configured grace.
///
/// # Errors
/// See [`Stop`].
pub async fn run(config: Config, mut given: Given) -> Result<(), Stop> {
    let unix = given.handed.unix.take();
    let (daemon, ends) = assemble(config, given).await?;
    let listener = match unix {
        Some(handed) => tokio::net::UnixListener::from_std(handed),
        None => api::server::bind(&daemon.config.listen.api),
    };
    let listener = listener.map_err(|e| {
        Stop::Listen(format!(
            "cannot listen on {}: {e}",
            daemon.config.listen.api.display()
        ))
    })?;
    announce(&daemon).await?;
    daemon
        .reload_peers()
        .await
        .map_err(|e| Stop::Store(e.to_string()))?;
    let read = daemon.read_unstated().await;
    read.map_err(|e| Stop::Store(e.to_string()))?;
    // What cannot be kept now is tried again every second, and until then nothing is sure.
    drop(daemon.note_clock().await);
    renew_papers(&daemon).await.map_err(Stop::Identity)?;
    // Before anybody can ask for it: a restored backup may hold what was destroyed since.
    daemon.shred_due().await;
    let unfinished = callback::whom(&daemon)
        .await
        .map_err(|e| Stop::Store(e.to_string()))?;
    // Before anybody can see that it serves: what is asked for from then on is done in order.
    let signals = Signals::new()?;
    let mut tasks = JoinSet::new();
    let (api_stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let routes = routes::routes(Arc::clone(&daemon));
    tasks.spawn(async move {
        let stop = async { drop(stopped.await) };
        if let Err(e) = api::server::serve(listener, routes, stop).await {
            tracing::error!("the local API ended: {e}");
        }
    });
    tasks.spawn(acceptor::run(Arc::clone(&daemon)));
    tasks.spawn(updates::run(Arc::clone(&daemon), ends.news));
    tasks.spawn(sweeper::run(Arc::clone(&daemon)));
    tasks.spawn(sweeper::look_after_retention(Arc::clone(&daemon)));
    tasks.spawn(timekeeping::run(Arc::clone(&daemon)));
    tasks.spawn(onward_duties::run(Arc::clone(&daemon)));
    tasks.spawn(publisher::run(Arc::clone(&daemon)));
    tasks.spawn(watch_ended(Arc::clone(&daemon), ends.ended));
    tasks.spawn(supervisor::watchdog(Arc::clone(&daemon)));
    tasks.spawn(callback::run(Arc::clone(&daemon), unfinished));
    supervisor::ready(&daemon);
    tracing::info!(authority = %daemon.station.own.id, listen = %daemon.endpoint.local_addr().map(|a| a.to_string()).unwrap_or_default(), "serving");
    let broken = until_asked(&daemon, signals, ends.broken).await;
    // Nothing can come to a step's end on a store that has failed.
    let grace = broken
        .as_ref()
        .map_or(daemon.config.grace, |_| Duration::ZERO);
    drain(&daemon, api_stop, grace).await;
    tasks.abort_all();
    match broken {
        Some(why) => Err(Stop::Store(format!(
            "the store cannot be trusted any more: {why}"
        ))),
        None => Ok(()),
    }
}

async fn assemble(config: Config, given: Given) -> Result<(Arc<Daemon>, Ends), Stop> {
    let identity = |e: String| Stop::Identity(e);
    let keyring = Keyring::load(&config.identity, &config.authority.id);
    let keyring = keyring.map_err(|e| identity(e.to_string()))?;
    let (own_card, shown) = read_papers(&config, &keyring.chain).map_err(identity)?;
    let age = seal::Identity::from_file(&keyring.age_text());
    let age = age.map_err(|e| identity(e.to_string()))?;
    let tls = TlsIdentity {
        chain: keyring.chain.clone(),
        key: keyring.tls_key.clone_key(),
    };
    // First of all: a restored state may hold what was destroyed since.
    let (ledger, blobs) = open_store(&config, keyring.log).await?;
    let started = timekeeping::start(&ledger).await;
    let (clock, kept) = started.map_err(|e| Stop::Store(e.to_string()))?;
    let endpoint = endpoint(&config, tls, &keyring.reset, given.handed.quic)?;
    endpoint.set_clock(clock.clone());
    let started = clock.now().at;
    let resolver = Resolver::new(config.fetcher.as_deref());
    if resolver != Resolver::System && given.sandbox.seccomp == Layer::Full {
        confine::close_network().map_err(Stop::Listen)?;
    }
    let configured = config.policy();
    let description = configured.description();
    let policy = adoption::in_force(&ledger, configured, started).await?;
    let cards = own_cards(&config, &ledger, &own_card, keyring.receipts);
    let (keys, cards) = cards.await.map_err(identity)?;
    let (card, own) = (own_card.card, own(&config, keys, policy));
    let station = Station::new(own, ledger, blobs, Some(age), card.age.len());
    let station = station.within(Bounds::from(&config.limits)).timed_by(clock);
    station.watch.enable(keyring.witness);
    let (news_to, news) = mpsc::channel(8);
    let (ended_to, ended) = mpsc::channel(64);
    let (broken_to, broken) = mpsc::channel(1);
    let daemon = Daemon {
        card,
        station: Arc::new(station),
        roster: Roster::new(config.authority.id.clone()),
        endpoint,
        resolver,
        sandbox: given.sandbox,
        papers: OwnPapers::new(cards, shown),
        seals: crate::daemon::Seals::default(),
        openings: crate::daemon::Openings::default(),
        examinations: crate::daemon::Examinations::default(),
        started,
        timekeeping: tokio::sync::Mutex::new(kept),
        retention: crate::daemon::packages::retention::Retention::default(),
        access: tokio::sync::Mutex::default(),
        peers: tokio::sync::Mutex::default(),
        onward: tokio::sync::Notify::new(),
        reports: tokio::sync::Mutex::default(),
        approvals: tokio::sync::Mutex::default(),
        configured: std::sync::Mutex::new(description),
        judge: given.judge,
        phase: watch::Sender::new(RunState::Running),
        broken: broken_to,
        bells: std::sync::Mutex::default(),
        couriers: std::sync::Mutex::new(JoinSet::new()),
        news: news_to,
        ended: ended_to,
        spread: std::sync::atomic::AtomicU64::new(u64::from(std::process::id())),
        config,
    };
    let ends = Ends {
        news,
        ended,
        broken,
    };
    Ok((Arc::new(daemon), ends))
}

fn own(config: &Config, keys: OwnKeys, policy: PolicySet) -> Own {
    Own {
        id: config.authority.id.clone(),
        keys,
        policy,
        clock_uncertainty_ms: CLOCK_UNCERTAINTY_MS,
        package_max: config.limits.package_max.min(limits::PAYLOAD_BYTES_MAX),
    }
}

/// The endpoint, on the socket that was handed over, if it is the configured one, or on a new one.
fn endpoint(
    config: &Config,
    tls: TlsIdentity,
    reset: &[u8; 64],
    handed: Option<UdpSocket>,
) -> Result<Endpoint, Stop> {
    let listen = config.listen.quic;
    let socket = match handed {
        Some(socket) => sockets::check_bound(&socket, listen)
            .map(|()| socket)
            .map_err(|e| e.to_string()),
        None => UdpSocket::bind(listen).map_err(|e| format!("cannot listen on {listen}: {e}")),
    };
    Endpoint::bind(
        socket.map_err(Stop::Listen)?,
        config.authority.id.clone(),
        tls,
        reset,
        NetLimits {
            congestion: config.congestion,
            ..NetLimits::default()
        },
    )
    .map_err(|e| Stop::Listen(e.to_string()))
}

/// Ledger and payloads, once what the journal says is destroyed, and it is known whether the ledger is older than the
/// log that was published from it.
async fn open_store(config: &Config, key: SecretKey) -> Result<(Ledger, Blobs), Stop> {
    let failed = |e: StoreFault| Stop::Store(e.to_string());
    let full = |e: DiskFault| Stop::Store(e.to_string());
    let ledger = Ledger::journaled(&config.state_dir, key, &config.journal).map_err(failed)?;
    let checked = ledger.check_recovery(&config.state_dir).await;
    checked.map_err(failed)?;
    let blobs = Blobs::open(&config.state_dir, config.limits.reserve).map_err(full)?;
    let known: HashSet<_> = ledger.xids().await.map_err(failed)?.into_iter().collect();
    blobs.sweep(&known).map_err(full)?;
    Ok((ledger, blobs))
}

/// The first statement of a log says whose keys sign in it, and so does one for each later card; a policy that was not
/// in force before is stated. A checkpoint covers both.
async fn announce(daemon: &Daemon) -> Result<(), Stop> {
    let ledger = &daemon.station.ledger;
    if let Some(newer) = ledger.recovering() {
        tracing::error!(
            size = newer.size,
            own = ledger.size(),
            "this state is older than the log that was already shown to others: nothing is signed until the newest is restored"
        );
        return Ok(());
    }
    let failed = |e: String| Stop::Store(e);
    if ledger.size() == 0 {
        let first = ledger.checkpoint().await;
        first.map_err(|e| failed(e.to_string()))?;
    }
    let own = CardNote::open(daemon.papers.card());
    let own = own.map_err(|e| Stop::Identity(e.to_string()))?;
    let known = ledger.cards_of(&own.card.id).await;
    let known = known.map_err(|e| failed(e.to_string()))?;
    if !known.iter().any(|row| row.digest == own.digest()) {
        let announced = daemon.governance(Kind::KeyAnnounce, own.note.text_digest());
        let announced = announced.map_err(|e| Stop::Identity(e.to_string()))?;
        let ops = vec![own.row(daemon.station.clock(), true), announced];
        let committed = ledger.commit(ops).await;
        committed.map_err(|e| failed(e.to_string()))?;
    }
    daemon.adopt_policy().await.map_err(failed)?;
    ledger
        .checkpoint()
        .await
        .map_err(|e| failed(e.to_string()))?;
    Ok(())
}

/// Logs how incoming exchanges end; a broken store ends the daemon.
async fn watch_ended(daemon: Arc<Daemon>, mut ended: mpsc::Receiver<session::Ended>) {
    while let Some(end) = ended.recv().await {
        match end.attempt {
            Attempt::Broken(why) => daemon.fail(why),
            Attempt::Ended(outcome) => {
                tracing::debug!(peer = %end.peer, xid = ?end.xid, ?outcome, "incoming exchange ended");
                if let Some(xid) = end.xid.filter(|_| outcome == Outcome::Ended) {
                    daemon.heard_of(xid).await;
                }
            }
            Attempt::Cut(why) => {
                tracing::debug!(peer = %end.peer, xid = ?end.xid, "incoming exchange was cut: {why}");
            }
            Attempt::Local(fault) => {
                tracing::warn!(peer = %end.peer, xid = ?end.xid, code = %fault.code, "incoming exchange cannot go on: {}", fault.text);
            }
        }
    }
}

/// The signals that are asked for. From when they are made none of them ends the process by itself.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Stop> {
        let listen = |kind| {
            signal(kind).map_err(|e| Stop::Listen(format!("signals cannot be listened to: {e}")))
        };
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            hup: listen(SignalKind::hangup())?,
        })
    }
}

/// Waits for a signal or for the store to break; answers why it broke. SIGHUP reads again what can change.
async fn until_asked(
    daemon: &Arc<Daemon>,
    mut signals: Signals,
    mut broken: mpsc::Receiver<String>,
) -> Option<String> {
    loop {
        tokio::select! {
            _ = signals.term.recv() => return None,
            _ = signals.int.recv() => return None,
            _ = signals.hup.recv() => supervisor::reload(daemon).await,
            why = broken.recv() => return why,
            why = daemon.station.ledger.broken() => return Some(why),
            why = daemon.station.blobs.broken() => return Some(why),
        }
    }
}

/// Takes nothing new, lets what is under way come to a step's end, and closes.
async fn drain(daemon: &Daemon, api_stop: tokio::sync::oneshot::Sender<()>, grace: Duration) {
    supervisor::say_stopping();
    tracing::info!(grace_s = grace.as_secs(), "draining");
    daemon.phase.send_replace(RunState::Draining);
    // The API may have ended by itself.
    api_stop.send(()).unwrap_or_default();
    daemon.endpoint.stop_accepting();
    let couriers = std::mem::take(
        &mut *daemon
            .couriers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    );
    let ended = async { couriers.join_all().await };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::warn!("the grace is over; what was under way goes on at the next start");
    }
    daemon.endpoint.close(session::CLOSE_GOING, "going away");
    drop(tokio::time::timeout(Duration::from_millis(500), daemon.endpoint.wait_idle()).await);
    daemon.end_all().await;
    daemon.keep_time().await;
    daemon.station.ledger.close().await;
    tracing::info!("stopped");
}
