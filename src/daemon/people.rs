//! Who calls, and in which roles: the kernel names the account, the configuration and the system's groups say the rest.

use crate::api::accounts::Accounts;
use crate::api::server::Caller;
use crate::config::Holder;
use crate::policy::{Role, Roles};

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

/// Holders that name an account or group which this system did not have when it was read: nobody has a role by them.
pub(crate) fn unknown<'a>(
    holders: &'a [(Role, Holder)],
    accounts: &Accounts,
) -> Vec<&'a (Role, Holder)> {
    let is_unknown = |holder: &Holder| match holder {
        Holder::User(name) => accounts.users.iter().all(|account| account.name != *name),
        Holder::Group(name) => accounts.groups.iter().all(|group| group.name != *name),
        Holder::Uid(_) | Holder::Gid(_) => false,
    };
    holders.iter().filter(|(_, it)| is_unknown(it)).collect()
}

/// Whether this caller is the account, or in the group.
pub(crate) fn is_held(holder: &Holder, accounts: &Accounts, caller: &Caller) -> bool {
    let Some(uid) = caller.uid else {
        return false;
    };
    match holder {
        Holder::Uid(number) => *number == uid,
        Holder::User(name) => accounts.login(uid) == Some(name),
        Holder::Gid(number) => in_group(*number, accounts, caller, uid),
        Holder::Group(name) => accounts
            .groups
            .iter()
            .any(|group| group.name == *name && in_group(group.gid, accounts, caller, uid)),
    }
}

/// By the group that the caller acts with, the primary group of the account, or the list of members.
fn in_group(gid: u32, accounts: &Accounts, caller: &Caller, uid: u32) -> bool {
    let account = accounts.users.iter().find(|account| account.uid == uid);
    let is_member = |name: &str| {
        let group = accounts.groups.iter().filter(|group| group.gid == gid);
        group.flat_map(|group| &group.members).any(|it| it == name)
    };
    caller.gid == Some(gid)
        || account.is_some_and(|account| account.gid == gid || is_member(&account.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\na.murphy:x:1000:100::/:/bin/sh\ns.byrne:x:1001:101::/:/bin/sh\n";
    const GROUP: &str = "officers:x:200:a.murphy,s.byrne\nauditors:x:201:\nusers:x:100:\n";

    fn check(holders: &[&str], uid: Option<u32>, gid: Option<u32>, want: &str) {
        let holders: Vec<_> = holders
            .iter()
            .map(|text| {
                let (role, holder) = text.split_once('=').unwrap();
                (role.parse().unwrap(), holder.parse().unwrap())
            })
            .collect();
        let accounts = Accounts::parse(PASSWD, GROUP);
        let got = roles_of(Some(&holders), &accounts, &Caller { uid, gid });
        assert_eq!(got.to_string(), want, "{holders:?}, {uid:?}, {gid:?}");
    }

    #[test]
    fn roles_follow_accounts_and_groups() {
        let (murphy, byrne) = (Some(1000), Some(1001));
        check(&["officer=user:a.murphy"], murphy, Some(100), "officer");
        check(&["officer=user:a.murphy"], byrne, Some(100), "none");
        check(&["officer=uid:1000"], murphy, None, "officer");
        check(&["officer=uid:1000"], Some(10_000), None, "none");
        check(&["officer=group:officers"], byrne, Some(101), "officer");
        check(&["officer=gid:200"], byrne, Some(101), "officer");
        check(&["officer=group:users"], murphy, Some(7), "officer");
        check(&["auditor=group:auditors"], murphy, Some(201), "auditor");
        check(&["auditor=group:auditors"], murphy, Some(100), "none");
        check(&["auditor=gid:900"], Some(5_000), Some(900), "auditor");
        check(&["auditor=group:nobody-knows"], murphy, Some(100), "none");
        check(
            &["operator=uid:1000", "officer=group:officers"],
            murphy,
            Some(100),
            "officer,operator",
        );
    }

    #[test]
    fn names_that_nobody_has_are_found() {
        let holder = |text: &str| (Role::Officer, text.parse::<Holder>().unwrap());
        let known = ["user:a.murphy", "group:users", "uid:77", "gid:77"].map(holder);
        let typos = ["user:a.murphey", "group:officer"].map(holder);
        let all = [known.as_slice(), &typos].concat();
        let found = unknown(&all, &Accounts::parse(PASSWD, GROUP));
        assert_eq!(found, typos.iter().collect::<Vec<_>>());
    }

    #[test]
    fn nobody_has_a_role_by_accident() {
        check(&["officer=uid:1000"], Some(0), Some(0), "none");
        check(&["officer=gid:200"], None, Some(200), "none");
        check(&[], Some(1000), Some(100), "none");
        let caller = Caller {
            uid: Some(1000),
            gid: None,
        };
        let everybody = roles_of(None, &Accounts::default(), &caller);
        assert_eq!(everybody, Roles::ALL);
    }
}
