//! Keeps the published log in step with the ledger: tiles and checkpoint below `log/`, pairs of checkpoints below `forks/`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::AuthorityId;
use crate::daemon::Daemon;
use crate::daemon::courier::draining;
use crate::store::PublishFault;
use crate::store::durable;

/// How often it is looked whether a checkpoint was signed, if nothing rings.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Works until the daemon drains. At first all files are compared with the ledger, then only what is new.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    let mut phase = daemon.phase();
    let mut published = 0;
    loop {
        publish(&daemon, &mut published).await;
        tokio::select! {
            () = daemon.station.watch.changed.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = draining(&mut phase) => break,
        }
    }
    publish(&daemon, &mut published).await;
}

/// Writes what is missing, given the size that was written before; what cannot be written is tried again.
async fn publish(daemon: &Daemon, published: &mut u64) {
    let ledger = &daemon.station.ledger;
    // While the state is older than the published log, the log stays as it is: it says what is missing.
    if ledger.recovering().is_some() {
        return;
    }
    match ledger.publish(&daemon.config.state_dir, *published).await {
        Ok(size) => *published = size,
        Err(PublishFault::Disk(fault @ durable::DiskFault::Full { .. })) => {
            tracing::warn!("the log is not published: {fault}");
        }
        Err(PublishFault::Disk(fault)) => daemon.fail(fault.to_string()),
        Err(PublishFault::Store(fault)) => tracing::error!("the log is not published: {fault}"),
    }
    if let Err(why) = pairs(daemon).await {
        tracing::error!("checkpoints that do not go together are not written as files: {why}");
    }
}

/// Each alarm's two checkpoints as files, for whoever has to judge them.
async fn pairs(daemon: &Daemon) -> Result<(), String> {
    let alarms = daemon.station.ledger.alarms().await;
    for alarm in alarms.map_err(|e| e.to_string())? {
        let folder = pair_folder(daemon, &alarm.of);
        for (name, note) in [
            ("earlier.note", &alarm.earlier),
            ("later.note", &alarm.later),
        ] {
            let path = folder.join(name);
            if std::fs::read(&path).is_ok_and(|found| found == *note) {
                continue;
            }
            let written =
                durable::create_dir(&folder).and_then(|()| durable::write_new(&path, note));
            written.map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

/// Where the two checkpoints of an alarm about this log lie.
pub(crate) fn pair_folder(daemon: &Daemon, of: &AuthorityId) -> PathBuf {
    daemon.config.state_dir.join("forks").join(of.as_str())
}
