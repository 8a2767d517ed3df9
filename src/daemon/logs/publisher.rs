//! Keeps the published log in step with the ledger: tiles and checkpoint below `log/`, pairs of checkpoints below
//! `forks/`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::AuthorityId;
use crate::daemon::Daemon;
use crate::daemon::process::run_state::draining;
use crate::store::{AlarmRow, DiskFault, PublishFault, durable};

/// How often it is looked whether a checkpoint was signed, if nothing rings.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Works until the daemon drains. At first all files are compared with the ledger, then only what is new.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    let mut phase = daemon.phase();
    let mut published = 0;
    let mut ends = false;
    while let Ok(()) = publish(&daemon, &mut published).await {
        if ends {
            return;
        }
        tokio::select! {
            () = daemon.station.watch.changed.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = draining(&mut phase) => ends = true,
        }
    }
}

/// The disk has failed, and the process ends: nothing is written again.
struct Failed;

/// Writes what is missing, given the size that was written before; what finds the disk full is tried again.
async fn publish(daemon: &Daemon, published: &mut u64) -> Result<(), Failed> {
    let ledger = &daemon.station.ledger;
    // While the state is older than the published log, the log stays as it is: it says what is missing.
    if ledger.recovering().is_some() {
        return Ok(());
    }
    match ledger.publish(&daemon.config.state_dir, *published).await {
        Ok(size) => *published = size,
        Err(PublishFault::Disk(fault)) => written(daemon, Err(fault))?,
        Err(PublishFault::Store(fault)) => tracing::error!("the log is not published: {fault}"),
    }
    match daemon.station.ledger.alarms().await {
        Ok(alarms) => written(daemon, pairs(daemon, &alarms)),
        Err(fault) => {
            tracing::error!("checkpoints that do not go together are not published: {fault}");
            Ok(())
        }
    }
}

fn written(daemon: &Daemon, result: Result<(), DiskFault>) -> Result<(), Failed> {
    match result {
        Ok(()) => Ok(()),
        Err(fault @ DiskFault::Full { .. }) => {
            tracing::warn!("the log is not published: {fault}");
            Ok(())
        }
        Err(fault @ DiskFault::Broken { .. }) => {
            daemon.fail(fault.to_string());
            Err(Failed)
        }
    }
}

/// Each alarm's two checkpoints as files, for whoever has to judge them.
fn pairs(daemon: &Daemon, alarms: &[AlarmRow]) -> Result<(), DiskFault> {
    for alarm in alarms {
        let folder = pair_folder(daemon, &alarm.of);
        for (name, note) in [
            ("earlier.note", &alarm.earlier),
            ("later.note", &alarm.later),
        ] {
            let path = folder.join(name);
            if std::fs::read(&path).is_ok_and(|found| found == *note) {
                continue;
            }
            durable::create_dir(&folder)?;
            durable::write_new(&path, note)?;
        }
    }
    Ok(())
}

/// Where the two checkpoints of an alarm about this log lie.
pub(crate) fn pair_folder(daemon: &Daemon, of: &AuthorityId) -> PathBuf {
    daemon.config.state_dir.join("forks").join(of.as_str())
}
