//! `package send --each`: many packages, several sealed at once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use serde::Serialize;

use crate::api::types::SealRequest;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::package::send::{self, SendArgs, Sent};
use crate::cli::package::small::{self, Grants};
use crate::cli::package::wait;
use crate::cli::progress::{ProgressLine, Stopwatch, Unit};
use crate::cli::{terminal, text};

/// The last line of JSON.
#[derive(Debug, Serialize)]
struct Summary {
    r#type: &'static str,
    packages: u64,
    sent: u64,
    failed: u64,
    ms: u64,
    per_second: u64,
}

/// A path that did not become a package.
#[derive(Debug, Serialize)]
struct NotSent<'a> {
    r#type: &'static str,
    path: &'a PathBuf,
    error: serde_json::Value,
}

type Outcome = Result<Sent, Failure>;

/// Sends every path by itself. The first failure is the command's failure; the other paths are still sent.
pub(super) fn send(args: &SendArgs, call: &Call, request: &SealRequest) -> Result<(), Failure> {
    let watch = Stopwatch::start();
    let total = args.paths.len() as u64;
    let mut progress = ProgressLine::start(call.terminal, "sealing", Unit::Packages, total);
    let next = AtomicUsize::new(0);
    let grants = Grants::new(request, args.paths.len());
    let (to, results) = mpsc::sync_channel::<(&PathBuf, Outcome)>(usize::from(args.jobs));
    let (waiting, first_failure) = thread::scope(|scope| {
        for _ in 0..args.jobs {
            let (to, next, grants) = (to.clone(), &next, &grants);
            scope.spawn(move || {
                let lane = call.remote.lane();
                while let Some(path) = args.paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let sent = match &lane {
                        Ok(lane) if small::is_small(path) => small::send(lane, grants, path),
                        Ok(_) | Err(_) => {
                            send::send(call, request, std::slice::from_ref(path), &mut |_| ())
                        }
                    };
                    if to.send((path, sent)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(to);
        collect(call, results, &mut progress)
    });
    progress.finish();
    grants.give_back(&call.remote);
    let (sent, mut failed) = (waiting.len() as u64, total - waiting.len() as u64);
    let mut first_failure = first_failure;
    if args.wait {
        let mut progress = ProgressLine::start(call.terminal, "handover", Unit::Packages, sent);
        let packages = waiting.into_iter().map(|sent| sent.package).collect();
        let waited = wait::for_handovers(call, packages, &mut progress);
        failed += waited.failed;
        first_failure = first_failure.or(waited.first_failure);
        progress.finish();
    }
    let ms = watch.millis();
    let per_second = sent.saturating_mul(1_000) / ms.max(1);
    let summary = Summary {
        r#type: "summary",
        packages: total,
        sent,
        failed,
        ms,
        per_second,
    };
    call.terminal
        .show(&summary, |summary, _| summary_text(summary));
    first_failure.map_or(Ok(()), Err)
}

/// Says each result as it comes; gives the packages that were sent, and the first failure.
fn collect(
    call: &Call,
    results: mpsc::Receiver<(&PathBuf, Outcome)>,
    progress: &mut ProgressLine,
) -> (Vec<Sent>, Option<Failure>) {
    let mut sent = Vec::new();
    let mut first_failure = None;
    for (done, (path, outcome)) in (1..).zip(results) {
        match outcome {
            Ok(one) => {
                if call.terminal.json() {
                    terminal::value(&one.summary("package", None));
                }
                sent.push(one);
            }
            Err(failure) => {
                call.terminal.show(
                    &NotSent {
                        r#type: "not-sent",
                        path,
                        error: failure.to_json(),
                    },
                    |not_sent, _| {
                        format!(
                            "{}: {}\n",
                            text::escape(&not_sent.path.display().to_string()),
                            text::escape(&failure.message)
                        )
                    },
                );
                first_failure.get_or_insert(failure);
            }
        }
        progress.at(done);
    }
    (sent, first_failure)
}

fn summary_text(summary: &Summary) -> String {
    format!(
        "{} of {} in {} ms, {} per second\n",
        text::count(summary.sent, "package", "packages"),
        summary.packages,
        summary.ms,
        summary.per_second
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_many() {
        let summary = Summary {
            r#type: "summary",
            packages: 3,
            sent: 2,
            failed: 1,
            ms: 500,
            per_second: 4,
        };
        assert_eq!(
            serde_json::to_string(&summary).unwrap(),
            r#"{"type":"summary","packages":3,"sent":2,"failed":1,"ms":500,"per_second":4}"#
        );
        assert_eq!(
            summary_text(&summary),
            "2 packages of 3 in 500 ms, 4 per second\n"
        );
    }
}
