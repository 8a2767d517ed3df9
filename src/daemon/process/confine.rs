//! Takes from this process, before its first thread starts, every right that serving does not need.
//!
//! Landlock says which folders it may read and write, and that it opens no TCP connection; seccomp refuses the calls
//! by which an intruder would leave: running a program, another process, tracing, mounting, loading into the kernel.
//! Each is applied as far as this kernel has it, and what was applied is told.

mod calls;

use std::fmt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
    RulesetError, RulesetStatus, Scope, make_bitflags,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use serde::Serialize;

use crate::api::types::SandboxView;
use crate::config::Config;

/// The paths and ports that a confined process may still reach.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    /// Files, and folders beneath which everything may be read.
    pub read: Vec<PathBuf>,
    /// Folders beneath which regular files and folders may be made, written, renamed and removed; files that may be
    /// written.
    pub write: Vec<PathBuf>,
    /// Folders in which a Unix socket may be made and removed.
    pub sockets: Vec<PathBuf>,
    /// Whether it asks the system to resolve names: files of the resolver, UDP, and TCP to port 53.
    pub names: bool,
    /// Whether it may open new UDP sockets.
    pub udp: bool,
}

/// How much of one layer is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Layer {
    /// All of it.
    Full,
    /// The extent to which this kernel supports it.
    Partial,
    /// Nothing, and why.
    Missing(String),
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("ok"),
            Self::Partial => f.write_str("in part: the kernel is older than this program"),
            Self::Missing(why) => write!(f, "not available: {why}"),
        }
    }
}

/// The restrictions that were applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The folders, TCP and signals: landlock(7).
    pub landlock: Layer,
    /// The calls: seccomp(2).
    pub seccomp: Layer,
}

impl Applied {
    /// Whether both layers are there in full.
    pub fn is_full(&self) -> bool {
        self.landlock == Layer::Full && self.seccomp == Layer::Full
    }

    /// As the API shows it.
    pub fn view(&self) -> SandboxView {
        SandboxView {
            landlock: self.landlock.to_string(),
            seccomp: self.seccomp.to_string(),
        }
    }
}

/// The oldest kernel interface that will do (Linux 5.19): before it, no file could be renamed into another folder.
const OLDEST: ABI = ABI::V2;
/// The newest kernel interface whose rights are asked for (Linux 6.12); an older kernel gives what it has.
const NEWEST: ABI = ABI::V6;
/// Where resolvers answer over TCP when an answer is too long for a datagram.
const DNS: u16 = 53;
/// The files of glibc's resolver, as far as they exist; the libraries are those that nsswitch.conf(5) names.
const RESOLVER: &[&str] = &[
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ld.so.cache",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
];
/// Files that libraries read at any time.
const ALWAYS: &[&str] = &[
    "/dev/urandom",
    "/dev/random",
    "/dev/null",
    "/proc/sys/vm/overcommit_memory",
];

impl Rights {
    /// The rights that the daemon needs with this configuration: to read configuration, card and keys; to write its
    /// state, where certificate and list are renewed too; to make its socket.
    pub fn of(config: &Config) -> Self {
        let identity = &config.identity;
        let mut rights = Self {
            names: config.fetcher.is_none(),
            udp: true,
            ..Self::default()
        };
        rights.read.push(folder_of(&config.file));
        for file in identity.files() {
            rights.read.push(folder_of(file));
        }
        rights.read.extend(config.cedar.clone());
        rights.write.push(config.state_dir.clone());
        // The file alone: it is made before, and never removed.
        rights.write.push(config.journal.clone());
        rights.sockets.push(folder_of(&config.listen.api));
        rights
    }
}

/// Leaves the calling thread, and every thread that it starts, these rights alone; what is open stays usable. Also:
/// no core dump, and other processes of the same user cannot look into this one's memory.
///
/// Call it before the first thread: threads that run already are not confined.
pub fn confine(rights: &Rights) -> Applied {
    Applied {
        landlock: closed_memory()
            .map_err(|e| e.to_string())
            .and_then(|()| landlock(rights).map_err(|e| landlock_fault(&e)))
            .unwrap_or_else(Layer::Missing),
        seccomp: calls::refuse(rights)
            .map_or_else(|e| Layer::Missing(e.to_string()), |()| Layer::Full),
    }
}

/// Once the UDP socket is there: from now on no thread of this process opens any but Unix sockets.
///
/// # Errors
/// When the kernel has no seccomp; nothing has changed then.
pub fn close_network() -> Result<(), String> {
    calls::refuse_network().map_err(|e| e.to_string())
}

fn closed_memory() -> Result<(), rustix::io::Errno> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

fn landlock(rights: &Rights) -> Result<Layer, RulesetError> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(OLDEST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let mut rules = allow(rules, ALWAYS.iter().map(Path::new), reading)?;
    rules = allow(rules, rights.read.iter().map(PathBuf::as_path), reading)?;
    rules = allow(rules, rights.write.iter().map(PathBuf::as_path), writing)?;
    rules = allow(rules, rights.sockets.iter().map(PathBuf::as_path), binding)?;
    if rights.names {
        rules = allow(rules, RESOLVER.iter().map(Path::new), reading)?;
        rules = rules.add_rule(NetPort::new(DNS, AccessNet::ConnectTcp))?;
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Layer::Full,
        RulesetStatus::PartiallyEnforced => Layer::Partial,
        RulesetStatus::NotEnforced => Layer::Missing("the kernel has no Landlock".to_owned()),
    })
}

/// A rule for each of these that exists.
fn allow<'a>(
    mut rules: RulesetCreated,
    paths: impl Iterator<Item = &'a Path>,
    access: fn(bool) -> BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        // What is not there needs no right; what cannot be opened now could not be opened later either.
        let Ok(fd) = PathFd::new(path) else { continue };
        rules = rules.add_rule(PathBeneath::new(fd, access(path.is_dir())))?;
    }
    Ok(rules)
}

fn reading(folder: bool) -> BitFlags<AccessFs> {
    if folder {
        make_bitflags!(AccessFs::{ReadFile | ReadDir})
    } else {
        make_bitflags!(AccessFs::{ReadFile})
    }
}

fn writing(folder: bool) -> BitFlags<AccessFs> {
    if folder {
        make_bitflags!(AccessFs::{
            ReadDir | ReadFile | WriteFile | Truncate | MakeDir | MakeReg | RemoveDir | RemoveFile | Refer
        })
    } else {
        make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate})
    }
}

fn binding(_folder: bool) -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{MakeSock | RemoveFile})
}

fn landlock_fault(error: &RulesetError) -> String {
    format!("{error} (Linux 5.19 or later with Landlock switched on is needed)")
}

/// The folder of a file; a file's own name alone is in the folder where the program was started.
fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;
    use crate::keys::keyring::Keyring;

    /// Runs `deed` on a thread of its own that is confined, and gives what it found.
    fn confined<T: Send + 'static>(
        rights: Rights,
        deed: impl FnOnce() -> T + Send + 'static,
    ) -> (Applied, T) {
        let found = std::thread::spawn(move || (confine(&rights), deed()));
        found.join().unwrap()
    }

    fn refused<T>(result: std::io::Result<T>) -> bool {
        result.is_err_and(|e| e.kind() == ErrorKind::PermissionDenied)
    }

    #[test]
    fn only_what_serving_needs_is_left() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (state, other) = (inside.path().to_owned(), outside.path().to_owned());
        fs::create_dir(state.join("a")).unwrap();
        let rights = Rights {
            write: vec![state.clone()],
            sockets: vec![state.clone()],
            udp: true,
            ..Rights::default()
        };
        let (applied, found) = confined(rights, move || {
            fs::write(state.join("file"), b"x").unwrap();
            fs::rename(state.join("file"), state.join("a/file")).unwrap();
            fs::remove_dir_all(state.join("a")).unwrap();
            UnixListener::bind(state.join("socket")).unwrap();
            UdpSocket::bind("127.0.0.1:0").unwrap();
            std::thread::spawn(|| 7).join().unwrap();
            [
                ("write elsewhere", refused(fs::write(other.join("f"), b"x"))),
                ("read elsewhere", refused(fs::read("/etc/passwd"))),
                ("connect", refused(TcpStream::connect("127.0.0.1:9"))),
                ("listen", refused(TcpListener::bind("127.0.0.1:0"))),
                ("a program", refused(Command::new("/bin/true").status())),
                ("another root", rustix::process::chroot("/").is_err()),
            ]
        });
        assert!(applied.is_full(), "{applied:?}");
        for (what, refused) in found {
            assert!(refused, "{what}");
        }
    }

    #[test]
    fn own_certificate_and_list_are_renewed_inside() {
        let home = tempfile::tempdir().unwrap();
        let id: crate::base::AuthorityId = "mla.example.ie".parse().unwrap();
        let now = "2026-11-23T09:00:00.000Z".parse().unwrap();
        Keyring::create(&home.path().join("keys"), &id, now).unwrap();
        fs::create_dir(home.path().join("state")).unwrap();
        let text = "[authority]\nid = \"mla.example.ie\"\nname = \"X\"\ncountry = \"IE\"\n[listen]\nquic = \"127.0.0.1:7443\"\n";
        let file = home.path().join("rogatory.toml");
        let config = Config::parse(&file, text, std::iter::empty()).unwrap();
        let files = config.identity.clone();
        let (applied, renewed) = confined(Rights::of(&config), move || {
            let written = [&files.tls_cert, &files.tls_key, &files.card, &config.file]
                .map(|path| refused(fs::OpenOptions::new().append(true).create(true).open(path)));
            assert_eq!(written, [true; 4], "keys and configuration are not written");
            let mut keyring = Keyring::load(&files, &id)?;
            keyring.renew_leaf(&files, &id, now)?;
            keyring.renew_crl(&files, 2, now, &[]).map(drop)
        });
        assert!(applied.is_full(), "{applied:?}");
        renewed.unwrap();
    }

    #[test]
    fn a_resolver_may_read_its_files_and_nothing_else() {
        let rights = Rights {
            names: true,
            udp: true,
            ..Rights::default()
        };
        let (applied, found) = confined(rights, || {
            use std::net::ToSocketAddrs as _;
            let local = ("localhost", 7).to_socket_addrs().map(Iterator::count);
            (
                local,
                refused(fs::read("/etc/passwd")),
                refused(TcpStream::connect("127.0.0.1:9")),
            )
        });
        assert!(applied.is_full(), "{applied:?}");
        assert!(found.1 && found.2, "{found:?}");
        assert!(found.0.is_ok_and(|count| count > 0));
    }
}
