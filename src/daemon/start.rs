//! From a configuration to a serving daemon, and down again.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api;
use crate::base::limits;
use crate::config::Config;
use crate::config::Fault as ConfigFault;
use crate::daemon::papers::{Papers, Shown};
use crate::daemon::roster::Roster;
use crate::daemon::{Daemon, Phase, acceptor, news, routes, sweeper};
use crate::identity::card::Card;
use crate::net::Endpoint;
use crate::net::NetLimits;
use crate::net::keyring::Keyring;
use crate::net::outbound::Attempt;
use crate::net::session;
use crate::net::station::{Station, clock};
use crate::policy::PolicySet;
use crate::receipt::Kind;
use crate::store::Blobs;
use crate::store::Ledger;
use crate::transfer::Own;

/// Declared uncertainty of a clock kept by NTP, in milliseconds.
const CLOCK_UNCERTAINTY_MS: u64 = 1_000;

/// Why the daemon ended, other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The configuration is wrong: all its faults.
    #[error("the configuration is not valid")]
    Config(Vec<ConfigFault>),
    /// Keys, card or certificate are missing or do not fit together.
    #[error("{0}")]
    Identity(String),
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(String),
    /// The store cannot be opened or has failed.
    #[error("{0}")]
    Store(String),
}

impl Stop {
    /// The exit code that the process ends with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 3,
            Self::Identity(_) => 6,
            Self::Listen(_) => 1,
            Self::Store(_) => 11,
        }
    }

    /// Stable kebab-case word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "config-invalid",
            Self::Identity(_) => "identity-unusable",
            Self::Listen(_) => "cannot-listen",
            Self::Store(_) => "store-failed",
        }
    }
}

/// The receiving ends of the daemon's channels.
struct Ends {
    news: mpsc::Receiver<session::News>,
    ended: mpsc::Receiver<session::Ended>,
    broken: mpsc::Receiver<String>,
}

/// Serves until SIGTERM or SIGINT, then drains within the configured grace.
///
/// # Errors
/// See [`Stop`].
pub async fn run(config: Config) -> Result<(), Stop> {
    config.check_files().map_err(Stop::Config)?;
    let (daemon, ends) = assemble(config).await?;
    let listener = api::server::bind(&daemon.config.listen.api)
        .map_err(|e| Stop::Listen(format!("cannot listen on {}: {e}", daemon.config.listen.api.display())))?;
    announce_keys(&daemon).await?;
    daemon.reload_peers().await.map_err(|e| Stop::Store(e.to_string()))?;
    renew_papers(&daemon).await.map_err(Stop::Identity)?;
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
    tasks.spawn(news::run(Arc::clone(&daemon), ends.news));
    tasks.spawn(sweeper::run(Arc::clone(&daemon)));
    tasks.spawn(watch_ended(Arc::clone(&daemon), ends.ended));
    tasks.spawn(watchdog());
    notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!(authority = %daemon.station.own.id, listen = %daemon.endpoint.local_addr().map(|a| a.to_string()).unwrap_or_default(), "serving");
    let broken = until_asked(&daemon, ends.broken).await;
    drain(&daemon, api_stop).await;
    tasks.abort_all();
    match broken {
        Some(why) => Err(Stop::Store(format!("the store cannot be trusted any more: {why}"))),
        None => Ok(()),
    }
}

async fn assemble(config: Config) -> Result<(Arc<Daemon>, Ends), Stop> {
    let identity = |e: String| Stop::Identity(e);
    let store = |e: String| Stop::Store(e);
    let keyring = Keyring::load(&config).map_err(|e| identity(e.to_string()))?;
    let (card, note) = keyring.card().map_err(|e| identity(e.to_string()))?;
    let shown = Shown::new(&card, note.bytes().to_vec(), keyring.crl().map_err(|e| identity(e.to_string()))?, keyring.certificate_expires());
    let socket = UdpSocket::bind(config.listen.quic).map_err(|e| Stop::Listen(format!("cannot listen on {}: {e}", config.listen.quic)))?;
    let endpoint = Endpoint::bind(socket, config.authority.id.clone(), keyring.tls_identity(), keyring.reset_key(), NetLimits::default())
        .map_err(|e| Stop::Listen(e.to_string()))?;
    let ledger = Ledger::open(&config.state_dir, keyring.take_log_key()).map_err(|e| store(e.to_string()))?;
    let blobs = Blobs::open(&config.state_dir, config.limits.reserve).map_err(|e| store(e.to_string()))?;
    let known = ledger.xids().await.map_err(|e| store(e.to_string()))?;
    blobs.sweep(&known.into_iter().collect()).map_err(|e| store(e.to_string()))?;
    let own = Own {
        id: config.authority.id.clone(),
        key: keyring.take_receipts_key(),
        policy: PolicySet::new(Some(config.handling_max)),
        clock_uncertainty_ms: CLOCK_UNCERTAINTY_MS,
        package_max: config.limits.package_max.min(limits::PAYLOAD_BYTES_MAX),
    };
    let roster = Roster::new(own.id.clone());
    let station = Station::new(own, ledger, blobs, keyring.take_age_identity());
    let (news_to, news) = mpsc::channel(8);
    let (ended_to, ended) = mpsc::channel(64);
    let (broken_to, broken) = mpsc::channel(1);
    let daemon = Daemon {
        card,
        station: Arc::new(station),
        roster,
        endpoint,
        papers: Papers::new(shown),
        seals: crate::daemon::Seals::default(),
        openings: crate::daemon::Openings::default(),
        started: clock(),
        access: tokio::sync::Mutex::default(),
        phase: watch::Sender::new(Phase::Running),
        broken: broken_to,
        bells: std::sync::Mutex::default(),
        couriers: std::sync::Mutex::new(JoinSet::new()),
        news: news_to,
        ended: ended_to,
        changes: broadcast::Sender::new(1_024),
        spread: std::sync::atomic::AtomicU64::new(u64::from(std::process::id())),
        config,
    };
    Ok((Arc::new(daemon), Ends { news, ended, broken }))
}

/// The first statement of a log says whose keys sign in it; a first checkpoint covers it.
async fn announce_keys(daemon: &Daemon) -> Result<(), Stop> {
    let ledger = &daemon.station.ledger;
    let failed = |e: String| Stop::Store(e);
    if ledger.size() == 0 {
        let subject = news::card_subject(&daemon.papers.shown().card);
        let subject = subject.ok_or_else(|| Stop::Identity("the own card cannot be read".to_owned()))?;
        ledger.checkpoint().await.map_err(|e| failed(e.to_string()))?;
        let announced = daemon.governance(Kind::KeyAnnounce, subject).map_err(|e| Stop::Identity(e.to_string()))?;
        ledger.commit(vec![announced]).await.map_err(|e| failed(e.to_string()))?;
    }
    ledger.checkpoint().await.map_err(|e| failed(e.to_string()))?;
    Ok(())
}

/// Renews the own certificate and revocation list when two thirds of their time are over, where the built-in CA is here.
pub(crate) async fn renew_papers(daemon: &Arc<Daemon>) -> Result<(), String> {
    let (config, now) = (daemon.config.clone(), daemon.station.clock());
    let renewed = tokio::task::spawn_blocking(move || Keyring::renew(&config, now)).await.map_err(|e| e.to_string())?;
    let Some(keyring) = renewed.map_err(|e| e.to_string())? else { return Ok(()) };
    let (card, note) = keyring.card().map_err(|e| e.to_string())?;
    let crl = keyring.crl().map_err(|e| e.to_string())?;
    daemon.endpoint.replace_identity(keyring.tls_identity()).map_err(|e| e.to_string())?;
    daemon.papers.replace(Shown::new(&card, note.bytes().to_vec(), crl, keyring.certificate_expires()));
    tracing::info!("own certificate or revocation list renewed; peers get the newest on their next connection");
    Ok(())
}

/// Whoever waits for an incoming package hears of it; a broken store ends the daemon.
async fn watch_ended(daemon: Arc<Daemon>, mut ended: mpsc::Receiver<session::Ended>) {
    while let Some(end) = ended.recv().await {
        match end.attempt {
            Attempt::Broken(why) => daemon.fail(why),
            Attempt::Ended(outcome) => tracing::debug!(xid = ?end.xid, ?outcome, "incoming exchange ended"),
            Attempt::Cut(why) => tracing::info!(xid = ?end.xid, "incoming exchange was cut: {why}"),
            Attempt::Local(fault) => tracing::warn!(xid = ?end.xid, code = %fault.code, "incoming exchange cannot go on: {}", fault.text),
        }
        if let Some(xid) = end.xid {
            daemon.changed(xid);
        }
    }
}

/// Waits for a signal or for the store to break; answers why it broke.
async fn until_asked(daemon: &Daemon, mut broken: mpsc::Receiver<String>) -> Option<String> {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return Some("signals cannot be listened to".to_owned());
    };
    tokio::select! {
        _ = term.recv() => None,
        _ = int.recv() => None,
        why = broken.recv() => why,
        why = daemon.station.ledger.broken() => Some(why),
    }
}

/// Takes nothing new, lets what is under way come to a step's end, and closes.
async fn drain(daemon: &Daemon, api_stop: tokio::sync::oneshot::Sender<()>) {
    notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!(grace_s = daemon.config.grace.as_secs(), "draining");
    daemon.phase.send_replace(Phase::Draining);
    // The API may have ended by itself.
    drop(api_stop.send(()));
    daemon.endpoint.stop_accepting();
    let couriers = std::mem::take(&mut *daemon.couriers.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let ended = async { couriers.join_all().await };
    if tokio::time::timeout(daemon.config.grace, ended).await.is_err() {
        tracing::warn!("the grace is over; what was under way goes on at the next start");
    }
    daemon.endpoint.close(session::CLOSE_GOING, "going away");
    drop(tokio::time::timeout(Duration::from_millis(500), daemon.endpoint.wait_idle()).await);
    daemon.station.ledger.close().await;
    tracing::info!("stopped");
}

/// Tells systemd, where there is one.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        tracing::debug!("systemd was not told: {e}");
    }
}

async fn watchdog() {
    let Some(every) = sd_notify::watchdog_enabled() else { return };
    loop {
        notify(&[sd_notify::NotifyState::Watchdog]);
        tokio::time::sleep(every / 2).await;
    }
}
