//! The delivery, cut off by `kill -9` of the receiver in the middle.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::api::client::PackageFilter;
use crate::api::types::PackageView;
use crate::base::Date;
use crate::cli::demo::cast::{PATIENCE, PERMITTED, RECEIVER, SENDER, text_of};
use crate::cli::demo::stage::{self, Actor, Stage};
use crate::cli::failure::Failure;
use crate::cli::progress::Stopwatch;
use crate::cli::text;

/// How long the package may be kept.
const RETENTION_DAYS: i64 = 5 * 365;
const TRANSFER_PATIENCE: Duration = Duration::from_mins(10);

/// Sends, kills the receiver in the middle, starts it again, and waits for the handover receipt.
pub(super) fn deliver<'a>(
    stage: &'a Stage,
    paths: &[PathBuf],
    receiver: Actor<'a>,
) -> Result<(String, Actor<'a>), Failure> {
    let retain_until = retain_until(stage)?;
    let options = [
        "package",
        "send",
        "--to",
        RECEIVER.alias,
        "--case",
        "IE-2026-17",
        "--title",
        "Dossier of the demo",
        "--instrument",
        "EIO",
        "--purpose",
        PERMITTED,
        "--retain-until",
        &retain_until,
        "--onward",
        "prohibited",
        "--wait",
    ];
    let mut command = stage.rogatory(SENDER, &options, &stage::as_words(paths));
    let shown = stage::shown(&command);
    let sending = stage.start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let pid = sending.pid();
    let (to, ended) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || drop(to.send(sending.output())));
        let delivered = interrupted(stage, &Sending { shown, ended }, receiver);
        if delivered.is_err() {
            stage.end(pid);
        }
        delivered
    })
}

/// The process that sends, and its end once that has come.
struct Sending {
    shown: String,
    ended: mpsc::Receiver<Result<Output, Failure>>,
}

fn interrupted<'a>(
    stage: &'a Stage,
    sending: &Sending,
    receiver: Actor<'a>,
) -> Result<(String, Actor<'a>), Failure> {
    let mut early = None;
    let arriving = stage.step("seal the package and start to send it", || {
        let arriving = stage.wait("nothing arrives", TRANSFER_PATIENCE, || {
            if let Ok(output) = sending.ended.try_recv() {
                let output = early.insert(output?);
                stage::last_json(&sending.shown, output)?;
            }
            Ok(arrived(stage, early.is_some()))
        })?;
        let said = format!(
            "{} sealed {} for {} and sends it",
            SENDER.id,
            text::size(arriving.len),
            RECEIVER.id
        );
        Ok((arriving, said))
    })?;
    let receiver = cut(stage, receiver, &arriving)?;
    let id = stage.step("the package is handed over", || {
        let lost = |_| Failure::failed("process-lost", "the sending process was lost");
        let output = match early {
            Some(output) => output,
            None => sending.ended.recv().map_err(lost)??,
        };
        let id = text_of(&stage::last_json(&sending.shown, &output)?, "id")?;
        held(stage, &id)?;
        let said = format!("package {id} went on by itself and is handed over; both sides hold the receipt with both signatures");
        Ok((id, said))
    })?;
    Ok((id, receiver))
}

/// Reads from the receiver's daemon the package that arrives.
struct Arriving {
    len: u64,
    done: u64,
    whole: bool,
}

/// The arriving package, once some of it is there, or once sending is over.
fn arrived(stage: &Stage, over: bool) -> Option<Arriving> {
    let client = stage.client(RECEIVER);
    let transfers = stage.block_on(client.transfers()).ok()?;
    let moving = transfers
        .iter()
        .find(|it| it.direction == "in" && it.state == "receiving" && it.done_bytes >= it.len / 4);
    if let Some(moving) = moving {
        return Some(Arriving {
            len: moving.len,
            done: moving.done_bytes,
            whole: false,
        });
    }
    let filter = PackageFilter {
        direction: Some("in"),
        state: None,
    };
    let packages = stage.block_on(client.packages(filter)).ok()?;
    let package = packages.iter().find(|it| it.state != "receiving")?;
    (over || is_whole(package)).then_some(Arriving {
        len: package.len,
        done: package.len,
        whole: true,
    })
}

fn is_whole(package: &PackageView) -> bool {
    ["consigned", "handover-signed", "held"].contains(&package.state.as_str())
}

/// `kill -9` of the receiver, and its return.
fn cut<'a>(
    stage: &'a Stage,
    receiver: Actor<'a>,
    arriving: &Arriving,
) -> Result<Actor<'a>, Failure> {
    stage.step("kill the receiver and start it again", || {
        let pid = receiver.pid();
        receiver.kill_now()?;
        let watch = Stopwatch::start();
        let receiver = stage.serve(RECEIVER)?;
        let back = watch.millis();
        let when = if arriving.whole {
            "just after all had arrived (it is small)".to_owned()
        } else {
            format!(
                "with {} of {} there",
                text::size(arriving.done),
                text::size(arriving.len)
            )
        };
        let said = format!(
            "killed {} (process {pid}) {when}; it serves again after {back} ms",
            RECEIVER.id
        );
        Ok((receiver, said))
    })
}

/// Waits until the receiver holds the package.
fn held(stage: &Stage, id: &str) -> Result<(), Failure> {
    let client = stage.client(RECEIVER);
    stage.wait("the receiver does not hold the package", PATIENCE, || {
        let held = stage
            .block_on(client.package(id))
            .is_ok_and(|detail| detail.package.state == "held");
        Ok(held.then_some(()))
    })
}

pub(super) fn retain_until(stage: &Stage) -> Result<String, Failure> {
    let status = stage
        .block_on(stage.client(SENDER).status())
        .map_err(|fault| Failure::failed("no-status", fault.to_string()))?;
    let today: Date = status.started.date();
    Ok(today.plus_days(RETENTION_DAYS).to_string())
}
