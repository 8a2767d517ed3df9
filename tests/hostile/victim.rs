//! The daemon that is attacked: a home of its own, a real process.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rogatory::identity::Card;
use rogatory::identity::card;

pub(crate) const IE: &str = "mla.example.ie";
pub(crate) const DE: &str = "bfj.example.de";

/// A daemon that ends with the test.
pub(crate) struct Victim {
    folder: PathBuf,
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
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
    let arguments = [
        "init",
        "--authority",
        id,
        "--name",
        "Central Authority",
        "--country",
        &country,
        "--listen",
        &listen,
        "--alias",
        alias,
    ];
    run(folder, alias, &arguments);
}

impl Victim {
    /// `ie` serves; `de` is a home without a daemon, whose card `ie` has accepted.
    pub(crate) fn start(folder: &Path) -> Self {
        let address = free_port();
        init(folder, "ie", IE, address);
        init(folder, "de", DE, free_port());
        let log = File::create(folder.join("ie.log")).unwrap();
        let child = command(folder, "ie")
            .arg("serve")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let folder = folder.to_owned();
        let victim = Self {
            folder,
            child,
            address,
        };
        let serving = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            let status = command(&victim.folder, "ie").arg("status").output();
            status.unwrap().status.success()
        });
        assert!(serving, "the daemon does not serve: {}", victim.log());
        let path = victim.folder.join("de/de.card");
        let (_, note) = Card::open(&std::fs::read(&path).unwrap()).unwrap();
        let words = card::fingerprint(&note);
        run(
            &victim.folder,
            "ie",
            &["peer", "add", path.to_str().unwrap()],
        );
        run(
            &victim.folder,
            "ie",
            &["peer", "accept", "de", "--fingerprint", &words],
        );
        victim
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("ie.log")).unwrap_or_default()
    }

    /// States of what it has received, sorted; it must answer `status` too.
    pub(crate) fn received(&self) -> Vec<String> {
        run(&self.folder, "ie", &["status"]);
        let list = run(&self.folder, "ie", &["package", "list", "--json"]);
        let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
        let rows = list.as_array().unwrap().iter();
        let mut states: Vec<_> = rows
            .map(|row| row["state"].as_str().unwrap().to_owned())
            .collect();
        states.sort();
        states
    }

    /// Memory that it has resident, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }
}
