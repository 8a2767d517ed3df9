//! Waiting for the other side's handover receipt.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::api::types::{FaultView, PackageView, WAITED_AT_ONCE, WaitMany, Waited};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::progress::{ProgressLine, Stopwatch, Unit};
use crate::cli::remote::timed_out;
use crate::cli::text;

/// One question to the daemon lasts at most so long.
const ASK_SECONDS_MAX: u64 = 60;

/// The meaning of a state for somebody who waits for handover.
enum WaitOutcome {
    HandedOver,
    Pending,
    Ended(Failure),
}

/// Waits until the package is handed over; exit code 4 when it was rejected, 12 when `--timeout` is over first.
pub(super) fn for_handover(call: &Call, package: PackageView) -> Result<PackageView, Failure> {
    let watch = Stopwatch::start();
    let id = package.id.to_string();
    let mut progress = ProgressLine::start(call.terminal, "sending", Unit::Bytes, package.len);
    let mut package = package;
    let mut said = None;
    let ended = loop {
        match outcome(&package) {
            WaitOutcome::HandedOver => break Ok(package),
            WaitOutcome::Ended(failure) => break Err(failure),
            WaitOutcome::Pending => {}
        }
        say_once(call, &mut said, package.fault.as_ref());
        let Some(seconds) = ask_seconds(call, watch.elapsed()) else {
            let limit = call.remote.timeout().unwrap_or_default();
            let failure = timed_out(limit, &format!("package {id} was not handed over"));
            break Err(failure.next(format!("it goes on by itself: rogatory transfer show {id}")));
        };
        let client = call.remote.client();
        package = match call
            .remote
            .call_unlimited(client.wait_package(&id, seconds))
        {
            Ok(package) => package,
            Err(failure) => break Err(failure),
        };
        if call.terminal.wants_progress()
            && let Ok(transfer) = call.remote.call_unlimited(client.transfer(&id))
        {
            progress.at(transfer.done_bytes);
        }
    };
    progress.finish();
    ended
}

/// The results for many packages.
#[derive(Default)]
pub(super) struct Handovers {
    /// How many were not handed over.
    pub(super) failed: u64,
    /// Why the first of them was not.
    pub(super) first_failure: Option<Failure>,
    done: u64,
    pending: VecDeque<PackageView>,
    said: Option<FaultView>,
}

/// Waits until all packages are handed over, or have ended otherwise, or `--timeout` is over.
pub(super) fn for_handovers(
    call: &Call,
    packages: Vec<PackageView>,
    progress: &mut ProgressLine,
) -> Handovers {
    let watch = Stopwatch::start();
    let mut handovers = Handovers {
        pending: packages.into(),
        ..Handovers::default()
    };
    while !handovers.pending.is_empty() {
        let Some(seconds) = ask_seconds(call, watch.elapsed()) else {
            let limit = call.remote.timeout().unwrap_or_default();
            let left = handovers.pending.len();
            let what = text::count(left as u64, "package", "packages");
            let failure = timed_out(limit, &format!("{what} sent and not handed over"));
            handovers.fail(left, failure.next("rogatory transfer list"));
            break;
        };
        let many = handovers.pending.len().min(WAITED_AT_ONCE);
        let asked: Vec<_> = handovers.pending.drain(..many).collect();
        let ids = asked.iter().map(|package| package.id).collect();
        let wait = WaitMany { ids, seconds };
        let waiting = call.remote.client().wait_packages(&wait);
        match call.remote.call_unlimited(waiting) {
            Ok(waited) => handovers.sort(call, asked, waited),
            Err(failure) => {
                let left = asked.len() + handovers.pending.len();
                handovers.fail(left, failure);
                break;
            }
        }
        progress.at(handovers.done);
    }
    handovers
}

impl Handovers {
    fn fail(&mut self, packages: usize, failure: Failure) {
        self.failed += packages as u64;
        self.first_failure.get_or_insert(failure);
    }

    /// Sorts what was asked for by what it has come to.
    fn sort(&mut self, call: &Call, asked: Vec<PackageView>, waited: Vec<Waited>) {
        let mut reached: HashMap<_, _> = waited.into_iter().map(|it| (it.id, it)).collect();
        for mut package in asked {
            let Some(now) = reached.remove(&package.id) else {
                let text = format!("package {} is no longer known", package.id);
                self.fail(1, Failure::absent("no-such-package", text));
                continue;
            };
            (package.state, package.fault) = (now.state, now.fault);
            match outcome(&package) {
                WaitOutcome::HandedOver => self.done += 1,
                WaitOutcome::Ended(failure) => self.fail(1, failure),
                WaitOutcome::Pending => {
                    say_once(call, &mut self.said, package.fault.as_ref());
                    self.pending.push_back(package);
                }
            }
        }
    }
}

/// How long to ask next; `None` when the time is over.
fn ask_seconds(call: &Call, waited: Duration) -> Option<u64> {
    let most = if call.terminal.wants_progress() {
        1
    } else {
        ASK_SECONDS_MAX
    };
    match call.remote.timeout() {
        None => Some(most),
        Some(limit) => {
            let left = limit.checked_sub(waited).filter(|left| !left.is_zero())?;
            Some(most.min(left.as_secs() + u64::from(left.subsec_nanos() > 0)))
        }
    }
}

/// Why it does not go on, whenever that changes.
fn say_once(call: &Call, said: &mut Option<FaultView>, fault: Option<&FaultView>) {
    if said.as_ref() == fault {
        return;
    }
    *said = fault.cloned();
    if let Some(fault) = fault {
        let text = text::fault(fault);
        call.terminal.note(&format!("waiting: {text}"));
    }
}

fn outcome(package: &PackageView) -> WaitOutcome {
    let id = package.id;
    let (code, text) = match &package.fault {
        Some(FaultView { code, text }) => (code.clone(), text.clone()),
        None => (package.state.clone(), "without a reason".to_owned()),
    };
    let next = format!("rogatory package show {id}");
    let ended = |failure: Failure| WaitOutcome::Ended(failure.next(next));
    match package.state.as_str() {
        "delivered" | "closed" | "held" => WaitOutcome::HandedOver,
        "rejected" => ended(Failure::refused(
            code,
            format!("package {id} was rejected by {}: {text}", package.peer),
        )),
        "failed" => ended(Failure::verification(
            code,
            format!("package {id} failed at {}: {text}", package.peer),
        )),
        "expired" | "withdrawn" => ended(Failure::failed(
            code,
            format!("package {id} is {}: {text}", package.state),
        )),
        _ => WaitOutcome::Pending,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(state: &str, fault: Option<&str>, code: Option<u8>) {
        let package: PackageView = serde_json::from_value(json!({
            "id": "00112233445566778899aabbccddeeff", "direction": "out", "state": state, "peer": "bfj.example.de",
            "created": "2026-11-23T09:00:00.000Z", "updated": "2026-11-23T09:00:01.000Z", "len": 1_024,
            "terms": {"instrument": "EIO", "purposes": ["prosecution"], "retain_until": "2031-12-31", "onward": "prohibited", "use_report": false},
            "fault": fault.map(|code| json!({"code": code, "text": "said the other side"})),
        }))
        .unwrap();
        match (outcome(&package), code) {
            (WaitOutcome::HandedOver, Some(0)) | (WaitOutcome::Pending, None) => {}
            (WaitOutcome::Ended(failure), Some(code)) => {
                assert_eq!(failure.code, code, "{state}");
                assert_eq!(failure.error, fault.unwrap_or(state));
                assert!(failure.message.contains(&package.id.to_string()));
            }
            _ => panic!("{state}: not {code:?}"),
        }
    }

    #[test]
    fn states_have_their_exit_codes() {
        check("dispatched", None, None);
        check("dispatched", Some("unreachable"), None);
        check("consigned", None, None);
        check("delivered", None, Some(0));
        check("closed", None, Some(0));
        check("rejected", Some("purpose-not-permitted"), Some(4));
        check("rejected", None, Some(4));
        check("failed", Some("header-mismatch"), Some(7));
        check("expired", None, Some(1));
        check("withdrawn", None, Some(1));
    }
}
