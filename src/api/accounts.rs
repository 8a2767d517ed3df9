//! The system's accounts and groups, passwd(5) and group(5), as they were when this process could still read them.

use std::fs::File;
use std::io::Read as _;
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

static REMEMBERED: OnceLock<Accounts> = OnceLock::new();
static NOBODY: Accounts = Accounts {
    users: Vec::new(),
    groups: Vec::new(),
};

impl Accounts {
    /// Reads `/etc/passwd` and `/etc/group`; what cannot be read has no entries. Accounts that only a directory service
    /// knows are not in them.
    pub fn read() -> Self {
        Self::parse(&text("/etc/passwd"), &text("/etc/group"))
    }

    /// The same from the text of both files. Lines that do not have the form of an entry are left out.
    pub fn parse(passwd: &str, group: &str) -> Self {
        Self {
            users: passwd.lines().filter_map(account).collect(),
            groups: group.lines().filter_map(self::group).collect(),
        }
    }

    /// What [`remember`] read; nothing before.
    pub fn remembered() -> &'static Self {
        REMEMBERED.get().unwrap_or(&NOBODY)
    }

    /// The login name of this number.
    pub fn login(&self, uid: u32) -> Option<&str> {
        let account = self.users.iter().find(|account| account.uid == uid)?;
        Some(&account.name)
    }
}

/// Reads accounts and groups now, for a process that will soon not be able to. An account or membership that is made
/// later is not known until the next start.
pub fn remember() {
    // Whoever was first has read the same.
    REMEMBERED.set(Accounts::read()).unwrap_or_default();
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
    }
}
