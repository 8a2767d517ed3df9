//! The daemon that is attacked, and an honest one that it serves meanwhile: homes of their own, real processes.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rogatory::identity::{Card, card};

pub(crate) const IE: &str = "mla.example.ie";
/// Peers of the victim whose keys the attackers have, by alias.
pub(crate) const HOSTILE: [(&str, &str); 6] = [
    ("de", "bfj.example.de"),
    ("fr", "bepi.example.fr"),
    ("nl", "airs.example.nl"),
    ("es", "mju.example.es"),
    ("it", "mgi.example.it"),
    ("pl", "pk.example.pl"),
];
pub(crate) const AT: &str = "bmj.example.at";
/// How long an honest delivery may take while the attacks go on.
const HONEST_MAX: Duration = Duration::from_mins(1);

/// A daemon that ends with the test.
pub(crate) struct Daemon {
    child: Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The attacked daemon `ie`, and its honest peer `at`.
pub(crate) struct Victim {
    folder: PathBuf,
    attacked: Daemon,
    _honest: Daemon,
    pub(crate) address: SocketAddr,
}

fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

fn command(folder: &Path, home: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rogatory"));
    command.arg("--home").arg(folder.join(home));
    command.stdin(Stdio::null());
    command
}

fn run(folder: &Path, home: &str, arguments: &[&str]) -> Output {
    let output = command(folder, home).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output
}

fn init(folder: &Path, alias: &str, id: &str, listen: SocketAddr) {
    let (country, listen) = (alias.to_uppercase(), listen.to_string());
    let named = ["init", "--authority", id, "--name", "Central Authority"];
    let placed = ["--country", &country, "--listen", &listen, "--alias", alias];
    run(folder, alias, &[&named[..], &placed[..]].concat());
}

pub(crate) fn serve(folder: &Path, alias: &str, limits: &[(&str, &str)]) -> Daemon {
    let log = File::create(folder.join(format!("{alias}.log"))).unwrap();
    let mut child = command(folder, alias)
        .arg("serve")
        .envs(limits.iter().copied())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    // A busy machine may take its time.
    while !command(folder, alias)
        .arg("status")
        .output()
        .unwrap()
        .status
        .success()
    {
        assert!(
            child.try_wait().unwrap().is_none(),
            "{alias} ended by itself"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Daemon { child }
}

/// `home` accepts the card of `other`.
fn accept(folder: &Path, home: &str, other: &str) {
    let path = folder.join(format!("{other}/{other}.card"));
    let (_, note) = Card::open(&std::fs::read(&path).unwrap()).unwrap();
    let words = card::fingerprint(&note);
    run(folder, home, &["peer", "add", path.to_str().unwrap()]);
    run(
        folder,
        home,
        &["peer", "accept", other, "--fingerprint", &words],
    );
}

impl Victim {
    /// `ie` and `at` serve and know each other; the hostile peers are homes without a daemon.
    pub(crate) fn start(folder: &Path, limits: &[(&str, &str)]) -> Self {
        let address = free_port();
        init(folder, "ie", IE, address);
        init(folder, "at", AT, free_port());
        for (alias, id) in HOSTILE {
            init(folder, alias, id, free_port());
        }
        let victim = Self {
            folder: folder.to_owned(),
            attacked: serve(folder, "ie", limits),
            _honest: serve(folder, "at", &[]),
            address,
        };
        for (alias, _) in HOSTILE {
            accept(folder, "ie", alias);
        }
        accept(folder, "ie", "at");
        accept(folder, "at", "ie");
        victim
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("ie.log")).unwrap_or_default()
    }

    /// Whether the process runs and answers.
    pub(crate) fn alive(&mut self) -> bool {
        let ended = self.attacked.child.try_wait().unwrap();
        let status = command(&self.folder, "ie").arg("status").output();
        ended.is_none() && status.unwrap().status.success()
    }

    /// The answer of the daemon of this home, its own or the honest peer's, to a command.
    pub(crate) fn ask(&self, alias: &str, arguments: &[&str]) -> Vec<u8> {
        run(&self.folder, alias, arguments).stdout
    }

    /// Ids and states of what it has received.
    pub(crate) fn received(&self) -> Vec<(String, String)> {
        let list = run(&self.folder, "ie", &["package", "list", "--json"]);
        let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
        let incoming = list.as_array().unwrap().iter();
        let incoming = incoming.filter(|row| row["direction"] == "in" && row["peer"] != AT);
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        incoming
            .map(|row| (text(&row["id"]), text(&row["state"])))
            .collect()
    }

    /// The alarms about peers' logs, as `log status` has them.
    pub(crate) fn alarms(&self) -> Vec<serde_json::Value> {
        let status = run(&self.folder, "ie", &["log", "status", "--json"]);
        let mut status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["recovering"], serde_json::Value::Null);
        serde_json::from_value(status["alarms"].take()).unwrap()
    }

    fn memory(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.attacked.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    /// Memory that it has resident, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that it ever had resident, in KiB.
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Packages of its own for a peer, of these lengths; each with its handover receipt unless nobody takes them.
    pub(crate) fn send(&self, to: &str, lengths: &[usize]) {
        let files: Vec<_> = (lengths.iter().enumerate())
            .map(|(number, length)| {
                let path = self.folder.join(format!("{to}-{number}.bin"));
                std::fs::write(&path, vec![b'e'; *length]).unwrap();
                path.to_str().unwrap().to_owned()
            })
            .collect();
        let mut arguments = vec!["package", "send", "--each", "--to", to];
        arguments.extend(TERMS);
        arguments.extend(files.iter().map(String::as_str));
        run(&self.folder, "ie", &arguments);
    }
}

const TERMS: [&str; 8] = [
    "--case",
    "X-1",
    "--instrument",
    "EIO",
    "--purpose",
    "trial",
    "--retain-until",
    "2090-12-31",
];

/// One package from one daemon to another, with its handover receipt; how long that took.
pub(crate) fn deliver(folder: &Path, from: &str, to: &str) -> Result<Duration, String> {
    let path = folder.join(format!("{from}-{to}.txt"));
    std::fs::write(&path, "honest").unwrap();
    let began = tokio::time::Instant::now();
    let mut arguments = vec!["package", "send", "--wait", "--to", to];
    arguments.extend(TERMS);
    arguments.push(path.to_str().unwrap());
    let output = command(folder, from).args(arguments).output().unwrap();
    let took = began.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{from} to {to}: {said}"));
    }
    if took > HONEST_MAX {
        return Err(format!("{from} to {to} took {took:?}"));
    }
    Ok(took)
}
