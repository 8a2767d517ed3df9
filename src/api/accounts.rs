//! The system's accounts and groups, as they were when this process could still ask for them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::base::limits;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its login name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
    /// The login names of its members, but for those whose primary group it is.
    pub members: Vec<String>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Every account.
    pub users: Vec<Account>,
    /// Every group.
    pub groups: Vec<Group>,
}

/// Names or numbers that the name service is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Accounts.
    pub users: BTreeSet<String>,
    /// Groups; their members are asked for too.
    pub groups: BTreeSet<String>,
}

/// The known accounts and groups, and the number that stands for nobody.
static REMEMBERED: OnceLock<(Accounts, u32)> = OnceLock::new();
static NOBODY: Accounts = Accounts {
    users: Vec::new(),
    groups: Vec::new(),
};
/// The number that Linux takes where nothing else is set.
const UNNUMBERED: u32 = 65_534;

impl Accounts {
    /// Reads from the name service (nsswitch.conf(5)) those that are asked for, then all others that `/etc/passwd` and
    /// `/etc/group` have. A source that cannot be read has no entries.
    pub fn read(asked: &Asked) -> Self {
        let group = name_service("group", &asked.groups);
        let members: BTreeSet<_> = Self::parse("", &group)
            .groups
            .into_iter()
            .flat_map(|group| group.members)
            .filter(|name| !asked.users.contains(name))
            .take(limits::ACCOUNTS_MEMBERS_MAX)
            .collect();
        // Members apart: so many may take too long.
        let [named, members] = [&asked.users, &members].map(|it| name_service("passwd", it));
        Self::parse(
            &format!("{named}\n{members}\n{}", text("/etc/passwd")),
            &format!("{group}\n{}", text("/etc/group")),
        )
    }

    /// The accounts and groups in texts that have the form of both files; of several with one name, the first. Lines
    /// that do not have the form of an entry are left out.
    pub fn parse(passwd: &str, group: &str) -> Self {
        let (mut seen, mut named) = (BTreeSet::new(), BTreeSet::new());
        let users = passwd.lines().filter_map(account);
        let groups = group.lines().filter_map(self::group);
        Self {
            users: users.filter(|it| seen.insert(it.name.clone())).collect(),
            groups: groups.filter(|it| named.insert(it.name.clone())).collect(),
        }
    }

    /// The answer that [`remember`] read; none before.
    pub fn remembered() -> &'static Self {
        REMEMBERED.get().map_or(&NOBODY, |(accounts, _)| accounts)
    }

    /// The login name of this number.
    pub fn login(&self, uid: u32) -> Option<&str> {
        let account = self.users.iter().find(|account| account.uid == uid)?;
        Some(&account.name)
    }

    /// The number of the account with this login name.
    pub fn uid(&self, login: &str) -> Option<u32> {
        let account = self.users.iter().find(|account| account.name == login)?;
        Some(account.uid)
    }

    /// The number of the group with this name.
    pub fn group(&self, name: &str) -> Option<u32> {
        let group = self.groups.iter().find(|group| group.name == name)?;
        Some(group.gid)
    }
}

/// Asks now for accounts and groups, for a process that will soon not be able to: these, and those who may use what
/// belongs to its own group. An account that is made later is not known until the next start.
pub fn remember(mut asked: Asked) {
    let own = rustix::process::getegid().as_raw();
    asked.groups.insert(own.to_string());
    let read = (Accounts::read(&asked), read_unnumbered());
    // Whoever was first has read the same.
    REMEMBERED.set(read).unwrap_or_default();
}

/// The number that the kernel shows for every account that has none in the user namespace of this process.
pub fn unnumbered() -> u32 {
    let remembered = REMEMBERED.get().map(|(_, number)| *number);
    remembered.unwrap_or_else(read_unnumbered)
}

fn read_unnumbered() -> u32 {
    // A unit may have no /proc/sys.
    let written = text("/proc/sys/kernel/overflowuid");
    written.trim().parse().unwrap_or(UNNUMBERED)
}

/// Lines in the form of passwd(5) or group(5) for these names or numbers; without those that nobody knows.
fn name_service(database: &str, names: &BTreeSet<String>) -> String {
    // None that getent could take for an option.
    let names: Vec<_> = names.iter().filter(|it| !it.starts_with('-')).collect();
    if names.is_empty() {
        return String::new();
    }
    getent(database, &names).unwrap_or_else(|e| {
        tracing::warn!(
            "the name service does not answer ({database}), only the files in /etc are read: {e}"
        );
        String::new()
    })
}

/// Asks by another program and for a short time only, because modules of the name service can be any code.
fn getent(database: &str, names: &[&String]) -> io::Result<String> {
    let mut child = Command::new("timeout")
        .arg(limits::ACCOUNTS_ANSWER_S_MAX.to_string())
        .args(["getent", database])
        .args(names)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut found = Vec::new();
    if let Some(answer) = child.stdout.take() {
        answer
            .take(limits::ACCOUNTS_BYTES_MAX)
            .read_to_end(&mut found)?;
    }
    let ended = child.wait()?;
    // 2: some of them are not known.
    match ended.code() {
        Some(0 | 2) => Ok(String::from_utf8_lossy(&found).into_owned()),
        Some(124) => Err(io::ErrorKind::TimedOut.into()),
        Some(_) | None => Err(io::Error::other(format!("getent: {ended}"))),
    }
}

fn text(path: &str) -> String {
    let mut text = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(limits::ACCOUNTS_BYTES_MAX).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

fn account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    named(name).map(|name| Account { name, uid, gid })
}

fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    let gid = fields.next()?.parse().ok()?;
    let members = fields.next()?.split(',').filter_map(named).collect();
    named(name).map(|name| Group { name, gid, members })
}

fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_other_lines_left_out() {
        let accounts = Accounts::parse(
            "root:x:0:0:root:/root:/bin/sh\n\na.murphy:x:1000:100::/home/a:/bin/sh\n# no entry\n+::::::\nbad:x:minus:1::/:/\n",
            "officers:x:200:a.murphy,b.kelly\nempty:x:201:\nshort:x:202\n+:::\n",
        );
        let account = |name: &str, uid, gid| Account {
            name: name.to_owned(),
            uid,
            gid,
        };
        assert_eq!(
            accounts.users,
            [account("root", 0, 0), account("a.murphy", 1000, 100)]
        );
        let group = |name: &str, gid, members: &[&str]| Group {
            name: name.to_owned(),
            gid,
            members: members.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(
            accounts.groups,
            [
                group("officers", 200, &["a.murphy", "b.kelly"]),
                group("empty", 201, &[])
            ]
        );
        assert_eq!(accounts.login(1000), Some("a.murphy"));
        assert_eq!(accounts.login(7), None);
        assert_eq!(accounts.uid("a.murphy"), Some(1000));
        assert_eq!(accounts.group("officers"), Some(200));
        assert_eq!(accounts.group("short"), None);
    }

    #[test]
    fn of_two_with_one_name_the_first_counts() {
        let accounts = Accounts::parse("a:x:7:7::/:/\na:x:8:8::/:/\n", "g:x:7:\ng:x:8:\n");
        assert_eq!((accounts.uid("a"), accounts.login(8)), (Some(7), None));
        assert_eq!(accounts.group("g"), Some(7));
    }

    #[test]
    fn the_name_service_is_asked_by_name_and_number() {
        let asked = |database, names: &[&str]| {
            let names = names.iter().map(|it| (*it).to_owned()).collect();
            name_service(database, &names)
        };
        let found = asked("passwd", &["root", "no-such-account", "--help", "1"]);
        let accounts = Accounts::parse(&found, &asked("group", &["0"]));
        assert_eq!(accounts.login(0), Some("root"));
        assert!(accounts.login(1).is_some(), "{found}");
        assert_eq!(accounts.users.len(), 2, "{found}");
        assert_eq!(accounts.group("root"), Some(0));
        assert_eq!(asked("passwd", &[]), "");
    }
}
