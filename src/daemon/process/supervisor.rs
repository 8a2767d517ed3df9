//! The messages between the daemon and its supervisor, `sd_notify(3)`: ready, alive, reloading, stopping.

use std::sync::Arc;

use sd_notify::NotifyState;

use crate::config::{Config, ConfigFault};
use crate::daemon::Daemon;
use crate::daemon::process::credentials;
use crate::keys::keyring::Keyring;
use crate::net::TlsIdentity;

/// Reads and judges the configuration again.
pub type ReadConfig = Box<dyn Fn() -> Result<Config, Vec<ConfigFault>> + Send + Sync>;

/// From now on the daemon serves.
pub(crate) fn ready(daemon: &Daemon) {
    say_ready(&serving(daemon));
}

/// Tells the supervisor that this process serves, and how it is.
pub fn say_ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells the supervisor that this process takes nothing new and ends.
pub fn say_stopping() {
    let status = NotifyState::Status("draining: takes nothing new");
    notify(&[NotifyState::Stopping, status]);
}

fn serving(daemon: &Daemon) -> String {
    let listen = daemon.endpoint.local_addr();
    let listen = listen.map_or_else(|e| e.to_string(), |at| at.to_string());
    let (id, peers) = (&daemon.station.own.id, daemon.roster.all().len());
    format!("serving {id} on {listen}, {peers} peers")
}

/// Tells the supervisor, where it asks for it, that the daemon is alive, as long as it is: the ledger's writer, without
/// which nothing can be promised, must have answered. Ends only with the daemon.
#[expect(
    clippy::infinite_loop,
    reason = "it ends with the daemon, which aborts it"
)]
pub(crate) async fn watchdog(daemon: Arc<Daemon>) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        let answer = daemon.station.ledger.commit(Vec::new());
        // A fault, too, is an answer: a full disk is said elsewhere, and a broken ledger ends the daemon.
        if tokio::time::timeout(within / 2, answer).await.is_ok() {
            notify(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(
                after_s = (within / 2).as_secs(),
                "the watchdog is not told that all is well: the ledger does not answer"
            );
        }
        tokio::time::sleep(within / 4).await;
    }
}

/// Reads again, if the configuration is still good: own certificate and revocation list, and the peers. Whatever
/// else has changed waits for the next start, and is named.
pub(crate) async fn reload(daemon: &Arc<Daemon>) {
    let mut starting = vec![NotifyState::Reloading];
    starting.extend(NotifyState::monotonic_usec_now().ok());
    notify(&starting);
    let outcome = match (daemon.judge)() {
        Ok(config) => adopt(daemon, &config).await,
        Err(faults) => Err(faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")),
    };
    let status = match outcome {
        Ok(()) => {
            tracing::info!("reloaded");
            serving(daemon)
        }
        Err(why) => {
            tracing::error!("nothing was reloaded, the daemon goes on as it was: {why}");
            format!("{}; nothing was reloaded: {why}", serving(daemon))
        }
    };
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

async fn adopt(daemon: &Arc<Daemon>, config: &Config) -> Result<(), String> {
    let keyring = Keyring::load(&config.identity, &config.authority.id);
    let keyring = keyring.map_err(|e| e.to_string())?;
    let (_, shown) = credentials::read_papers(config, &keyring.chain)?;
    let tls = TlsIdentity {
        chain: keyring.chain,
        key: keyring.tls_key,
    };
    let replaced = daemon.endpoint.replace_identity(tls);
    replaced.map_err(|e| e.to_string())?;
    daemon.papers.replace(shown);
    daemon.reload_peers().await.map_err(|e| e.to_string())?;
    for (old, new) in daemon.config.origin().iter().zip(config.origin()) {
        // What the policy waits for is said below.
        let is_policy = new.key.starts_with("policy.");
        if !is_policy && old.key == new.key && old.value != new.value {
            tracing::warn!(key = %new.key, "has changed; it takes effect at the next start");
        }
    }
    // The files of national rules may have changed where no key has.
    daemon.note_configured(&config.policy());
    let waiting = daemon.waiting_policy().await;
    if let Some(waiting) = waiting.map_err(|e| e.to_string())? {
        tracing::warn!(policy = %waiting.pol, "the policy has changed; {}", waiting.message);
    }
    Ok(())
}

/// Tells the supervisor, where there is one.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        tracing::debug!("the supervisor was not told: {e}");
    }
}
