//! The processes and the folder of a demo; both are gone when it ends, however it ends.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::net::UdpSocket;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::api::client::{CallFault, Client};
use crate::cli::demo::lines::say_step;
use crate::cli::failure::Failure;
use crate::cli::progress::Stopwatch;
use crate::cli::terminal::Terminal;

/// How often something is looked at that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The folder, the processes, and how steps are said.
pub(super) struct Stage {
    dir: PathBuf,
    temporary: bool,
    program: PathBuf,
    terminal: Terminal,
    runtime: Handle,
    running: Mutex<Running>,
    complete: AtomicBool,
}

#[derive(Default)]
struct Running {
    over: bool,
    pids: BTreeSet<u32>,
}

/// A process that does not outlive this value.
pub(super) struct Actor<'a> {
    stage: &'a Stage,
    child: Child,
}

/// One authority of the demo.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authority {
    pub(super) alias: &'static str,
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) country: &'static str,
}

impl Stage {
    /// A new folder: the one named, or a temporary one.
    pub(super) fn new(
        dir: Option<&Path>,
        terminal: Terminal,
        runtime: Handle,
    ) -> Result<Self, Failure> {
        let temporary = dir.is_none();
        let dir = match dir {
            Some(dir) => std::path::absolute(dir).map_err(|e| no_folder(dir, &e))?,
            None => std::env::temp_dir().join(format!("rogatory-demo-{}", std::process::id())),
        };
        DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(|e| no_folder(&dir, &e))?;
        let program = std::env::current_exe().map_err(|e| {
            Failure::failed(
                "no-program",
                format!("this program's own file is not known: {e}"),
            )
        })?;
        Ok(Self {
            dir,
            temporary,
            program,
            terminal,
            runtime,
            running: Mutex::default(),
            complete: AtomicBool::new(false),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) const fn terminal(&self) -> Terminal {
        self.terminal
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// All was shown.
    pub(super) fn complete(&self) {
        self.complete.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::SeqCst)
    }

    pub(super) fn home(&self, authority: Authority) -> PathBuf {
        self.dir.join(authority.alias)
    }

    /// The client of an authority's daemon, for looking on.
    pub(super) fn client(&self, authority: Authority) -> Client {
        Client::new(self.home(authority).join("api.sock"))
    }

    pub(super) fn block_on<T>(
        &self,
        call: impl Future<Output = Result<T, CallFault>>,
    ) -> Result<T, CallFault> {
        self.runtime.block_on(call)
    }

    /// Does one step and says how it went.
    pub(super) fn step<T>(
        &self,
        what: &str,
        step: impl FnOnce() -> Result<(T, String), Failure>,
    ) -> Result<T, Failure> {
        let watch = Stopwatch::start();
        match step() {
            Ok((value, found)) => {
                say_step(self.terminal, true, watch.millis(), &found);
                Ok(value)
            }
            Err(failure) => {
                say_step(self.terminal, false, watch.millis(), what);
                Err(failure)
            }
        }
    }

    /// Starts a process that ends with the stage.
    pub(super) fn start(&self, command: &mut Command) -> Result<Actor<'_>, Failure> {
        let mut running = self.running();
        if running.over {
            return Err(Failure::failed("interrupted", "the demo is over"));
        }
        let child = command.stdin(Stdio::null()).spawn().map_err(|e| {
            let name = command.get_program().to_string_lossy();
            Failure::failed("not-started", format!("{name} cannot be started: {e}"))
        })?;
        running.pids.insert(child.id());
        drop(running);
        Ok(Actor { stage: self, child })
    }

    /// Runs a process to its end.
    pub(super) fn output(&self, command: &mut Command) -> Result<Output, Failure> {
        let actor = self.start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        actor.output()
    }

    /// One command of this program for an authority.
    pub(super) fn rogatory<A: AsRef<OsStr>>(
        &self,
        authority: Authority,
        words: &[&str],
        more: &[A],
    ) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .args(more)
            .arg("--home")
            .arg(self.home(authority))
            .arg("--json");
        command
    }

    /// Runs one command that must succeed; gives its last line of JSON.
    pub(super) fn ask<A: AsRef<OsStr>>(
        &self,
        authority: Authority,
        words: &[&str],
        more: &[A],
    ) -> Result<Value, Failure> {
        let mut command = self.rogatory(authority, words, more);
        let shown = shown(&command);
        let output = self.output(&mut command)?;
        last_json(&shown, &output)
    }

    /// Looks until `found` finds something, for at most `limit`.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut found: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let watch = Stopwatch::start();
        loop {
            if let Some(found) = found()? {
                return Ok(found);
            }
            if watch.elapsed() > limit || self.running().over {
                return Err(Failure::waiting(
                    "timed-out",
                    format!("{what}: not within {} s", limit.as_secs()),
                ));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts an authority's daemon, logging into its folder, and waits until it serves.
    pub(super) fn serve(&self, authority: Authority) -> Result<Actor<'_>, Failure> {
        let log_path = self.dir.join(format!("{}.log", authority.alias));
        let log = File::options().create(true).append(true).open(&log_path);
        let log = log.map_err(|e| no_folder(&log_path, &e))?;
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--home").arg(self.home(authority));
        let daemon = self.start(command.stdout(Stdio::null()).stderr(log))?;
        let pid = daemon.child.id();
        let client = self.client(authority);
        let what = format!(
            "{} does not serve, see {}",
            authority.id,
            log_path.display()
        );
        self.wait(&what, Duration::from_secs(20), || {
            match self.block_on(client.status()) {
                Ok(status) if status.phase == "running" && status.pid == pid => Ok(Some(())),
                Ok(_) | Err(_) => Ok(None),
            }
        })?;
        Ok(daemon)
    }

    /// Ends every process that still runs. No other is started from now on.
    pub(super) fn clear(&self) {
        let mut running = self.running();
        running.over = true;
        for pid in &running.pids {
            kill(*pid, Signal::KILL);
        }
        for pid in std::mem::take(&mut running.pids) {
            if let Some(pid) = id(pid) {
                // Gone, and reaped by whoever was first.
                waitpid(Some(pid), WaitOptions::empty()).unwrap_or_default();
            }
        }
    }

    /// Removes the folder, if it is a temporary one.
    pub(super) fn remove(&self) {
        if self.temporary
            && let Err(e) = fs::remove_dir_all(&self.dir)
        {
            self.terminal
                .note(&format!("{} could not be removed: {e}", self.dir.display()));
        }
    }

    /// Ends one process.
    pub(super) fn end(&self, pid: u32) {
        if self.running().pids.contains(&pid) {
            kill(pid, Signal::KILL);
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Actor<'_> {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    pub(super) fn kill_now(mut self) -> Result<(), Failure> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|e| {
            Failure::failed("not-killed", format!("the process cannot be killed: {e}"))
        })
    }

    /// Waits for its end, reading what it says.
    pub(super) fn output(mut self) -> Result<Output, Failure> {
        let read = |pipe: Option<Box<dyn io::Read + Send>>| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let read = pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes));
                read.map(|_| bytes)
            })
        };
        let out = read(self.child.stdout.take().map(|pipe| Box::new(pipe) as _));
        let err = read(self.child.stderr.take().map(|pipe| Box::new(pipe) as _));
        let broke =
            |e: io::Error| Failure::failed("process-lost", format!("a process was lost: {e}"));
        let join = |thread: thread::JoinHandle<io::Result<Vec<u8>>>| {
            thread.join().unwrap_or_else(|_| Ok(Vec::new()))
        };
        let stdout = join(out).map_err(broke)?;
        let stderr = join(err).map_err(broke)?;
        let status = self.child.wait().map_err(broke)?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

impl Drop for Actor<'_> {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone, and reaped, after this.
        drop(self.child.kill());
        drop(self.child.wait());
        self.stage.running().pids.remove(&self.child.id());
    }
}

fn id(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = id(pid) {
        // Gone already is what is wanted.
        kill_process(pid, signal).unwrap_or_default();
    }
}

fn no_folder(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(
        "no-folder",
        format!("{} cannot be made: {error}", path.display()),
    )
}

/// A command as a person would type it.
pub(super) fn shown(command: &Command) -> String {
    let words = command.get_args().map(|word| {
        let word = word.to_string_lossy();
        if word.contains(' ') {
            format!("'{word}'")
        } else {
            word.into_owned()
        }
    });
    format!("rogatory {}", words.collect::<Vec<_>>().join(" "))
}

/// The last line of JSON of a command that must have succeeded.
pub(super) fn last_json(shown: &str, output: &Output) -> Result<Value, Failure> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said
            .trim_end()
            .lines()
            .last()
            .unwrap_or("nothing")
            .to_owned();
        return Err(Failure::failed(
            "command-failed",
            format!("{shown}: {}: {said}", output.status),
        ));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.trim_end().lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .map_err(|e| Failure::failed("no-json", format!("{shown} said no JSON: {e}")))
}

/// A UDP port on loopback that was free a moment ago.
pub(super) fn free_port() -> Result<u16, Failure> {
    UdpSocket::bind(("127.0.0.1", 0))
        .and_then(|socket| socket.local_addr())
        .map(|address| address.port())
        .map_err(|e| Failure::failed("no-port", format!("no free port on loopback: {e}")))
}

/// Paths as arguments.
pub(super) fn as_words(paths: &[PathBuf]) -> Vec<OsString> {
    paths
        .iter()
        .map(|path| path.clone().into_os_string())
        .collect()
}
