//! Two authorities as real daemons on loopback, for tests that need what real daemons leave behind.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// How long a daemon may take to serve, or a package to arrive.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often one looks whether it does.
const LOOK: Duration = Duration::from_millis(50);

/// One authority: its folder and, while it serves, its daemon.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) alias: &'static str,
    pub(crate) home: PathBuf,
    daemon: Option<Child>,
}

/// Both, and the folder that goes with them.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) ie: Authority,
    pub(crate) de: Authority,
    dir: tempfile::TempDir,
}

impl Drop for Authority {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().ok();
            daemon.wait().ok();
        }
    }
}

impl Authority {
    fn new(dir: &Path, alias: &'static str, id: &str, country: &str) -> Self {
        let home = dir.join(alias);
        let authority = Self {
            alias,
            home,
            daemon: None,
        };
        let port = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port");
        let name = format!("Central Authority of {country}");
        authority.ok(&[
            "init",
            "--authority",
            id,
            "--name",
            &name,
            "--country",
            country,
            "--listen",
            &port.to_string(),
            "--alias",
            alias,
        ]);
        authority
    }

    /// Runs one command of this authority.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_rogatory"))
            .arg("--home")
            .arg(&self.home)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the program starts")
    }

    /// The same, which must succeed; its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{} {arguments:?}: {}\n{}{}",
            self.alias,
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Its daemon, serving.
    pub(crate) fn start(&mut self) {
        let log = fs::File::create(self.home.with_extension("log")).expect("a log");
        let daemon = Command::new(env!("CARGO_BIN_EXE_rogatory"))
            .arg("--home")
            .arg(&self.home)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        self.daemon = Some(daemon);
        self.until("serve", |authority| {
            authority.run(&["status"]).status.success()
        });
    }

    /// Ends its daemon as SIGTERM does.
    pub(crate) fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        let id = rustix::process::Pid::from_child(&daemon);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("a signal");
        assert!(daemon.wait().expect("an end").success());
    }

    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let mut waited = Duration::ZERO;
        while !holds(self) {
            assert!(waited < PATIENCE, "{} does not {what}", self.alias);
            std::thread::sleep(LOOK);
            waited += LOOK;
        }
    }

    /// Waits until a package is in this state here.
    pub(crate) fn wait_state(&self, id: &str, state: &str) {
        self.until(&format!("have {id} {state}"), |authority| {
            let shown = authority.run(&["package", "show", id, "--json"]);
            serde_json::from_slice::<serde_json::Value>(&shown.stdout)
                .is_ok_and(|package| package["state"] == state)
        });
    }

    /// Waits until the other has cosigned this one's log here.
    pub(crate) fn wait_cosigned(&self) {
        self.until("have its log cosigned", |authority| {
            let shown = authority.run(&["log", "status", "--json"]);
            serde_json::from_slice::<serde_json::Value>(&shown.stdout)
                .is_ok_and(|log| log["cosigned"][0]["size"].as_u64() > Some(0))
        });
    }

    fn trust(&self, other: &Self) {
        let card = other.home.join(format!("{}.card", other.alias));
        self.ok(&["peer", "add", &card.display().to_string()]);
        self.accept(other, &["peer", "card", "--json"], other);
    }

    /// Accepts the other by the six words that this command of somebody shows.
    fn accept(&self, other: &Self, command: &[&str], shown_by: &Self) {
        let shown: serde_json::Value = serde_json::from_str(&shown_by.ok(command)).expect("a card");
        let words = shown["fingerprint"].as_str().expect("six words");
        self.ok(&["peer", "accept", other.alias, "--fingerprint", words]);
    }

    /// Sends this file and gives the package's id.
    pub(crate) fn send(&self, to: &str, path: &Path) -> String {
        let sent = self.ok(&[
            "package",
            "send",
            "--to",
            to,
            "--case",
            "IE-2026-0117",
            "--title",
            "Bank records",
            "--instrument",
            "EIO",
            "--purpose",
            "prosecution,trial",
            "--retain-until",
            "2031-12-31",
            "--onward",
            "prohibited",
            "--json",
            &path.display().to_string(),
        ]);
        let last = sent.lines().last().expect("a summary");
        let summary: serde_json::Value = serde_json::from_str(last).expect("a summary");
        summary["id"].as_str().expect("an id").to_owned()
    }
}

/// `ie` and `de`, serving and paired.
pub(crate) fn two_authorities() -> Stage {
    let dir = tempfile::tempdir().expect("a folder");
    let mut ie = Authority::new(dir.path(), "ie", "mla.example.ie", "IE");
    let mut de = Authority::new(dir.path(), "de", "bfj.example.de", "DE");
    ie.start();
    de.start();
    ie.trust(&de);
    de.trust(&ie);
    Stage { ie, de, dir }
}

impl Stage {
    /// A new file with this content.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// Small packages and one of two segments, both ways; opened, refused, and one still to be sent. Gives the first.
    pub(crate) fn exchanges(&self) -> String {
        let small = self.file("report.txt", b"report of the seizure\n");
        let noise = (0..325_000_u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect::<Vec<_>>();
        let large = self.file("clip.mp4", &noise);
        let first = self.ie.send("de", &small);
        let second = self.ie.send("de", &large);
        let back = [self.de.send("ie", &large), self.de.send("ie", &small)];
        for id in [&first, &second] {
            self.de.wait_state(id, "held");
            self.ie.wait_state(id, "closed");
        }
        for id in &back {
            self.ie.wait_state(id, "held");
            self.de.wait_state(id, "closed");
        }
        for (at, authority, id) in [
            (0, &self.de, first.as_str()),
            (1, &self.ie, back[0].as_str()),
        ] {
            let out = self
                .dir
                .path()
                .join(format!("opened{at}"))
                .display()
                .to_string();
            let why = ["--justification", "hearing of 3 December", "--out", &out];
            let open =
                |purpose| [&["package", "open", id, "--purpose", purpose], &why[..]].concat();
            authority.ok(&open("prosecution"));
            let place = format!("{out}-no");
            let mut other = open("civil-claim");
            other.pop();
            other.push(&place);
            let refused = authority.run(&other);
            assert_eq!(refused.status.code(), Some(4));
        }
        first
    }

    /// A third authority whose card both have; it never serves.
    pub(crate) fn third(&self) -> Authority {
        let fr = Authority::new(self.dir.path(), "fr", "bepi.justice.example.fr", "FR");
        let card = fr.home.join("fr.card").display().to_string();
        for authority in [&self.ie, &self.de] {
            authority.ok(&["peer", "add", &card]);
            authority.accept(&fr, &["peer", "show", "fr", "--json"], authority);
        }
        fr
    }

    /// The same with a package each that waits for the other, whose daemons have ended.
    pub(crate) fn stopped(mut self) -> Self {
        let small = self.file("late.txt", b"sent while nobody listens\n");
        self.de.stop();
        self.ie.send("de", &small);
        self.ie.stop();
        self.de.start();
        self.de.send("ie", &small);
        self.de.stop();
        self
    }
}
