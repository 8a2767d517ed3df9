//! Who calls, and in which roles: the kernel names account and groups, the configuration says the rest.

use crate::api::accounts::{Accounts, Asked};
use crate::api::server::Caller;
use crate::config::{Holder, Verb};
use crate::policy::{Role, Roles};

/// Any account that has a role.
pub(crate) const ANY: Roles = Roles::ALL;
/// Those who work with evidence.
pub(crate) const EVIDENCE: Roles = Roles::EVIDENCE;
/// Those who may see what was exchanged, without its content.
pub(crate) const RECORDS: Roles = Roles::of(&[Role::Officer, Role::Supervisor, Role::Auditor]);
/// Those who say who works on what.
pub(crate) const SUPERVISION: Roles = Roles::of(&[Role::Supervisor]);
/// Those who may ask that another policy is adopted.
pub(crate) const POLICY: Roles = Roles::of(&[Role::Supervisor, Role::Operator]);
/// Those who keep the daemon running.
pub(crate) const OPERATION: Roles = Roles::of(&[Role::Operator]);
/// Those who change something.
pub(crate) const WORK: Roles = Roles::of(&[Role::Officer, Role::Supervisor, Role::Operator]);

/// The roles that decide on this, and that do it; that another policy is adopted, operators may ask too.
pub(crate) const fn roles_for(verb: Verb) -> Roles {
    match verb {
        Verb::PackagePurge | Verb::PackageHold | Verb::PackageRelease | Verb::PolicyAdopt => {
            SUPERVISION
        }
        Verb::PackageForward
        | Verb::PackageRestrict
        | Verb::PackageWithdraw
        | Verb::PackageException => EVIDENCE,
        Verb::PeerAccept => OPERATION,
    }
}

/// The roles of this caller. Where no role is written in the configuration, everybody has all of them; otherwise
/// whoever is named nowhere has none, the superuser too.
pub(crate) fn roles_of(
    holders: Option<&[(Role, Holder)]>,
    accounts: &Accounts,
    caller: &Caller,
) -> Roles {
    let Some(holders) = holders else {
        return Roles::ALL;
    };
    let held = holders
        .iter()
        .filter(|(_, holder)| is_held(holder, accounts, caller));
    held.map(|(role, _)| *role).collect()
}

/// Whether this holder names an account or group which this system did not have when it was read: nobody is one by it.
pub(crate) fn is_unknown(holder: &Holder, accounts: &Accounts) -> bool {
    match holder {
        Holder::User(name) => accounts.users.iter().all(|account| account.name != *name),
        Holder::Group(name) => accounts.group(name).is_none(),
        Holder::Uid(_) | Holder::Gid(_) => false,
    }
}

/// The accounts and groups that the name service is asked for, because a role is given to them.
pub(crate) fn asked(holders: &[(Role, Holder)]) -> Asked {
    let mut asked = Asked::default();
    for (_, holder) in holders {
        match holder {
            Holder::User(name) => asked.users.insert(name.clone()),
            Holder::Uid(number) => asked.users.insert(number.to_string()),
            Holder::Group(name) => asked.groups.insert(name.clone()),
            Holder::Gid(number) => asked.groups.insert(number.to_string()),
        };
    }
    asked
}

/// Whether this caller is the account, or acts with the group.
pub(crate) fn is_held(holder: &Holder, accounts: &Accounts, caller: &Caller) -> bool {
    let Some(uid) = caller.uid else {
        return false;
    };
    match holder {
        Holder::Uid(number) => *number == uid,
        Holder::User(name) => accounts.login(uid) == Some(name),
        Holder::Gid(number) => in_group(*number, caller),
        Holder::Group(name) => accounts
            .group(name)
            .is_some_and(|gid| in_group(gid, caller)),
    }
}

/// As for a file: by the groups that the calling process has, not by those that its account would get now.
fn in_group(gid: u32, caller: &Caller) -> bool {
    caller.gid == Some(gid) || caller.groups.contains(&gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\na.murphy:x:1000:100::/:/bin/sh\ns.byrne:x:1001:101::/:/bin/sh\n";
    const GROUP: &str = "officers:x:200:a.murphy,s.byrne\nauditors:x:201:\nusers:x:100:\n";

    /// A caller with this uid who acts with these groups, the first of them as the main one.
    fn check(holders: &[&str], uid: Option<u32>, groups: &[u32], want: &str) {
        let holders: Vec<_> = holders
            .iter()
            .map(|text| {
                let (role, holder) = text.split_once('=').unwrap();
                (role.parse().unwrap(), holder.parse().unwrap())
            })
            .collect();
        let accounts = Accounts::parse(PASSWD, GROUP);
        let caller = Caller {
            uid,
            gid: groups.first().copied(),
            groups: groups.iter().skip(1).copied().collect(),
        };
        let got = roles_of(Some(&holders), &accounts, &caller);
        assert_eq!(got.to_string(), want, "{holders:?}, {caller:?}");
    }

    #[test]
    fn roles_follow_accounts_and_groups() {
        let (murphy, byrne) = (Some(1000), Some(1001));
        check(&["officer=user:a.murphy"], murphy, &[100], "officer");
        check(&["officer=user:a.murphy"], byrne, &[100], "none");
        check(&["officer=uid:1000"], murphy, &[], "officer");
        check(&["officer=uid:1000"], Some(10_000), &[], "none");
        check(&["officer=group:officers"], byrne, &[101, 200], "officer");
        check(&["officer=gid:200"], byrne, &[101, 7, 200], "officer");
        check(&["officer=group:users"], murphy, &[100, 7], "officer");
        check(&["auditor=group:auditors"], murphy, &[201], "auditor");
        check(&["auditor=group:auditors"], murphy, &[100], "none");
        check(&["auditor=gid:900"], Some(5_000), &[1, 900], "auditor");
        check(&["auditor=group:nobody-knows"], murphy, &[100], "none");
        check(
            &["operator=uid:1000", "officer=group:officers"],
            murphy,
            &[100, 200],
            "officer,operator",
        );
    }

    #[test]
    fn groups_are_the_processs_not_the_accounts() {
        // Listed in the file, and not a group of the process: as for a file on the disk.
        check(&["officer=group:officers"], Some(1000), &[100], "none");
        // Not listed, and a group of the process: a directory service knows more than the file.
        check(
            &["officer=group:officers"],
            Some(7777),
            &[7777, 200],
            "officer",
        );
    }

    #[test]
    fn names_that_nobody_has_are_found() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        for (holder, unknown) in [
            ("user:a.murphy", false),
            ("group:users", false),
            ("uid:77", false),
            ("gid:77", false),
            ("user:a.murphey", true),
            ("group:officer", true),
        ] {
            let holder = holder.parse().unwrap();
            assert_eq!(is_unknown(&holder, &accounts), unknown, "{holder}");
        }
    }

    #[test]
    fn nobody_has_a_role_by_accident() {
        check(&["officer=uid:1000"], Some(0), &[0], "none");
        check(&["officer=gid:200"], None, &[200], "none");
        check(&[], Some(1000), &[100], "none");
        let caller = Caller {
            uid: Some(1000),
            gid: None,
            groups: Vec::new(),
        };
        let everybody = roles_of(None, &Accounts::default(), &caller);
        assert_eq!(everybody, Roles::ALL);
    }
}
