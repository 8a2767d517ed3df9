//! `check sandbox`: the daemon's sandbox, tried from inside.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use serde::Serialize;

use crate::cli::check;
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::text::{Cell, Table, Tone};
use crate::config::{Config, Home};
use crate::daemon;
use crate::daemon::process::confine::Applied;

/// The restrictions that were applied, and the findings when they were tried.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(rename = "type")]
    kind: &'static str,
    landlock: String,
    seccomp: String,
    ok: bool,
    tried: Vec<Trial>,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Trial {
    what: &'static str,
    /// `refused` or `allowed`.
    wanted: &'static str,
    /// `refused`, `allowed`, or what else went wrong.
    found: String,
    ok: bool,
}

/// Confines this very process: nothing but output may follow.
pub(super) fn run(
    home: &Home,
    env: impl Iterator<Item = (String, String)>,
    terminal: Terminal,
) -> Result<(), Failure> {
    let config = Config::load(&home.config, env).map_err(|faults| check::invalid(home, &faults))?;
    let applied = daemon::confined(&config)
        .map_err(|stop| Failure::configuration(stop.code(), stop.to_string()))?;
    // As the daemon does once its UDP socket is there, where it need not resolve names itself.
    let fetcher = config.fetcher.is_some();
    let closed = fetcher.then(daemon::confine::close_network);
    let report = report(&config, &applied, closed);
    terminal.show(&report, render);
    if report.ok {
        return Ok(());
    }
    let text = "something that the sandbox must refuse is allowed, or the other way round";
    Err(Failure::failed("sandbox-incomplete", text)
        .next("Linux 6.12 or later with Landlock switched on (lsm=…,landlock) has all of it"))
}

fn report(config: &Config, applied: &Applied, closed: Option<Result<(), String>>) -> Report {
    let view = applied.view();
    let scratch = config.state_dir.join(".sandbox-check");
    let elsewhere = std::env::temp_dir().join(".rogatory-sandbox-check");
    let nobody = "127.0.0.1:9";
    let mut tried = vec![
        refused("run a program", Err(Command::new("/bin/false").exec())),
        refused(
            "start a process",
            Command::new("/bin/false").status().map(drop),
        ),
        refused("read /etc/passwd", fs::read("/etc/passwd").map(drop)),
        refused("write outside the state", made(&elsewhere)),
        refused("write the configuration", opened(&config.file)),
        refused("write the keys", opened(&config.identity.receipts_key)),
        refused("connect by TCP", TcpStream::connect(nobody).map(drop)),
        refused("listen by TCP", TcpListener::bind("127.0.0.1:0").map(drop)),
        refused(
            "change the root",
            rustix::process::chroot("/").map_err(io::Error::from),
        ),
        refused("signal the parent", signalled()),
        allowed("write in the state", made(&scratch)),
        allowed("read the configuration", fs::read(&config.file).map(drop)),
    ];
    let udp = || std::net::UdpSocket::bind("127.0.0.1:0").map(drop);
    match closed {
        Some(Ok(())) => tried.push(refused("open another UDP socket", udp())),
        Some(Err(why)) => tried.push(Trial {
            what: "open another UDP socket",
            wanted: "refused",
            found: why,
            ok: false,
        }),
        // Without a fetcher it asks for names over UDP.
        None => tried.push(allowed("open another UDP socket", udp())),
    }
    Report {
        kind: "summary",
        landlock: view.landlock,
        seccomp: view.seccomp,
        ok: tried.iter().all(|trial| trial.ok),
        tried,
    }
}

fn opened(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().append(true).open(path).map(drop)
}

fn made(path: &Path) -> io::Result<()> {
    fs::write(path, b"")?;
    fs::remove_file(path)
}

fn signalled() -> io::Result<()> {
    let parent = rustix::process::getppid();
    let parent = parent.ok_or_else(|| io::Error::other("no parent"))?;
    Ok(rustix::process::test_kill_process(parent)?)
}

fn refused(what: &'static str, result: io::Result<()>) -> Trial {
    let ok = matches!(&result, Err(e) if e.kind() == ErrorKind::PermissionDenied);
    trial(what, "refused", ok, result)
}

fn allowed(what: &'static str, result: io::Result<()>) -> Trial {
    trial(what, "allowed", result.is_ok(), result)
}

fn trial(what: &'static str, wanted: &'static str, ok: bool, result: io::Result<()>) -> Trial {
    let found = match result {
        Ok(()) => "allowed".to_owned(),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => "refused".to_owned(),
        Err(e) => e.to_string(),
    };
    Trial {
        what,
        wanted,
        found,
        ok,
    }
}

fn render(report: &Report, color: bool) -> String {
    let mut layers = Table::new();
    layers.field("Landlock", &report.landlock);
    layers.field("seccomp", &report.seccomp);
    let mut tried = Table::headed(&["", "tried", "must be", "is"]);
    for trial in &report.tried {
        let (word, tone) = if trial.ok {
            ("ok", Tone::Good)
        } else {
            ("FAIL", Tone::Bad)
        };
        tried.row([
            Cell::new(word, tone),
            trial.what.into(),
            trial.wanted.into(),
            trial.found.as_str().into(),
        ]);
    }
    format!("{}\n{}", layers.render(color), tried.render(color))
}
