//! `[roles]`: accounts and groups of this system, by name or number.

use std::fmt;
use std::str::FromStr;

use crate::base::limits;
use crate::config::fault::nearest;

/// Who is given a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// `user:NAME`: the account with this login name.
    User(String),
    /// `uid:N`: the account with this number.
    Uid(u32),
    /// `group:NAME`: every member of this group.
    Group(String),
    /// `gid:N`: every member of the group with this number.
    Gid(u32),
}

impl Holder {
    const KINDS: [&str; 4] = ["user", "uid", "group", "gid"];
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Uid(number) => write!(f, "uid:{number}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Gid(number) => write!(f, "gid:{number}"),
        }
    }
}

impl FromStr for Holder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or(("", text));
        match kind {
            "user" => name(rest).map(Self::User),
            "uid" => number(rest).map(Self::Uid),
            "group" => name(rest).map(Self::Group),
            "gid" => number(rest).map(Self::Gid),
            other => {
                let near = nearest(other, Self::KINDS);
                let near = near.map(|near| format!("; did you mean \"{near}:{rest}\"?"));
                let near = near.unwrap_or_default();
                Err(format!(
                    "{text:?} is none of user:NAME, uid:N, group:NAME, gid:N{near}"
                ))
            }
        }
    }
}

/// The name of an account or group, as far as passwd(5) and group(5) can hold it.
fn name(text: &str) -> Result<String, String> {
    let most = limits::ACCOUNT_NAME_BYTES_MAX;
    if text.is_empty() || text.len() > most {
        return Err(format!(
            "{text:?} is not the name of an account or group: 1 to {most} bytes"
        ));
    }
    if text.trim() != text || text.contains([':', ',', '/']) || text.contains(char::is_control) {
        return Err(format!(
            "{text:?} is not the name of an account or group: it has a character that none can have"
        ));
    }
    Ok(text.to_owned())
}

/// The number of an account or group; the highest means nobody (chown(2)).
fn number(text: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| *number != u32::MAX);
    number
        .filter(|_| digits)
        .ok_or_else(|| format!("{text:?} is not the number of an account or group"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_accounts_and_groups_by_name_or_number() {
        for (text, good) in [
            ("user:a.murphy", true),
            ("user:CORP\\a.murphy", true),
            ("group:rogatory-officers", true),
            ("group:domain users", true),
            ("uid:0", true),
            ("gid:4294967294", true),
            ("gid:4294967295", false),
            ("uid:+5", false),
            ("uid:", false),
            ("uid:a.murphy", false),
            ("user:", false),
            ("user: a.murphy", false),
            ("user:a:b", false),
            ("user:a/b", false),
            ("a.murphy", false),
            ("users:a.murphy", false),
            ("USER:a.murphy", false),
            ("", false),
        ] {
            let holder = text.parse::<Holder>();
            assert_eq!(holder.is_ok(), good, "{text}: {holder:?}");
            if let Ok(holder) = holder {
                assert_eq!(holder.to_string(), text);
            }
        }
        let long = "a".repeat(limits::ACCOUNT_NAME_BYTES_MAX);
        assert!(format!("user:{long}").parse::<Holder>().is_ok());
        assert!(format!("user:{long}a").parse::<Holder>().is_err());
        let meant = "users:a.murphy".parse::<Holder>().unwrap_err();
        assert!(meant.contains("\"user:a.murphy\""), "{meant}");
    }
}
