//! `demo`: the main job in one command. Two authorities as real processes on loopback; nothing is pretended.

mod cast;
mod check;
mod delivery;
mod ending;
mod lines;
mod stage;
mod story;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;

use clap::Args;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::cli::demo::stage::Stage;
use crate::cli::failure::Failure;
use crate::cli::progress::Stopwatch;
use crate::cli::terminal::Terminal;

pub(super) const EXAMPLES: &str = "\
Examples:
  rogatory demo --once
  rogatory demo --dir ./demo ./evidence";

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// End when all is shown, instead of staying up to be tried
    #[arg(long)]
    once: bool,
    /// Where the two authorities live; it must not exist [default: a temporary folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// File or folder to send [default: a made-up dossier with a disk image of 64 MiB]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// The last line of JSON.
#[derive(Debug, Serialize)]
struct Summary {
    r#type: &'static str,
    ok: bool,
    ms: u64,
}

/// How the show ended.
enum End {
    Shown(Result<(), Failure>),
    Interrupted,
}

impl DemoArgs {
    pub(super) fn run(&self, terminal: Terminal) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        let runtime = runtime()?;
        let stage = Arc::new(Stage::new(
            self.dir.as_deref(),
            terminal,
            runtime.handle().clone(),
        )?);
        let end = self.show(&runtime, &stage, watch);
        stage.clear();
        let (result, keep) = match end {
            End::Shown(result) => {
                let failed = result.is_err();
                (result, failed)
            }
            End::Interrupted if stage.is_complete() => (Ok(()), false),
            End::Interrupted => {
                let failure = Failure::failed("interrupted", "the demo was interrupted");
                (Err(failure), false)
            }
        };
        if keep {
            terminal.note(&format!("kept to look into: {}", stage.dir().display()));
        } else {
            stage.remove();
        }
        // Sleeping threads of an interrupted show end with the process.
        runtime.shutdown_background();
        result
    }

    /// Performs in a thread of its own, so that a signal can end it at any moment.
    fn show(&self, runtime: &Runtime, stage: &Arc<Stage>, watch: Stopwatch) -> End {
        let (to, ended) = oneshot::channel();
        let (paths, once, actor) = (self.paths.clone(), self.once, Arc::clone(stage));
        thread::spawn(move || {
            // Nobody listens any more after a signal.
            drop(to.send(perform(&actor, &paths, once, watch)));
        });
        runtime.block_on(async {
            tokio::select! {
                shown = ended => {
                    let broke = || Failure::failed("demo-broke", "the demo stopped on a fault of its own");
                    End::Shown(shown.unwrap_or_else(|_| Err(broke())))
                }
                () = asked_to_end() => End::Interrupted,
            }
        })
    }
}

/// Tells the story; then ends, or leaves both daemons up for as long as the process lives.
fn perform(stage: &Stage, paths: &[PathBuf], once: bool, watch: Stopwatch) -> Result<(), Failure> {
    let daemons = story::tell(stage, paths)?;
    stage.complete();
    let summary = Summary {
        r#type: "summary",
        ok: true,
        ms: watch.millis(),
    };
    stage.terminal().show(&summary, |summary, _| {
        format!("every step held, {} ms\n", summary.ms)
    });
    if !once {
        story::invite(stage, &daemons.package);
        // Blocks until the process ends: its own other end lives as long.
        let (_open, never) = mpsc::channel::<()>();
        never.recv().unwrap_or_default();
    }
    Ok(())
}

/// Two threads: one waits for signals, one asks the daemons.
fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| Failure::failed("no-threads", format!("no thread can be started: {e}")))
}

async fn asked_to_end() {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        // Without these, the signals end the process as they do any other.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
