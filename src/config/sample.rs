//! The annotated configuration that `init` writes; its sample is `config/rogatory.toml` in the source.

use std::net::SocketAddr;

use crate::base::{Alias, AuthorityId};
use crate::config::values::Country;

/// The sample, with an example's values.
pub const SAMPLE: &str = include_str!("../../config/rogatory.toml");

/// The values that distinguish one authority's new configuration from another's.
#[derive(Debug, Clone)]
pub struct SampleValues<'a> {
    /// `authority.id`
    pub id: &'a AuthorityId,
    /// `authority.name`
    pub name: &'a str,
    /// `authority.country`
    pub country: Country,
    /// `authority.alias`
    pub alias: &'a Alias,
    /// `listen.quic`
    pub quic: SocketAddr,
    /// `listen.api`
    pub api: &'a str,
    /// `state.dir`
    pub state_dir: &'a str,
}

/// The sample with these values in place of the example's.
pub fn fill(it: &SampleValues<'_>) -> String {
    let fields = [
        ("id", it.id.as_str()),
        ("name", it.name),
        ("country", it.country.as_str()),
        ("alias", it.alias.as_str()),
        ("quic", &it.quic.to_string()),
        ("api", it.api),
        ("dir", it.state_dir),
    ];
    let mut filled = String::with_capacity(SAMPLE.len().saturating_add(256));
    for line in SAMPLE.lines() {
        let key = line.split(" = ").next().unwrap_or_default();
        match fields.iter().find(|(name, _)| *name == key) {
            Some((name, value)) => filled.push_str(&assignment(name, value, line)),
            None if key == "# journal" => filled.push_str(&journal(line, it.state_dir)),
            None => filled.push_str(&example(line, it.alias)),
        }
        filled.push('\n');
    }
    filled
}

/// `key = "value"` with the comment of the sample's line, in its column where there is room.
fn assignment(name: &str, value: &str, line: &str) -> String {
    let assignment = format!("{name} = {}", toml::Value::from(value));
    with_comment(&assignment, line)
}

/// The default follows from the folder of the state.
fn journal(line: &str, state_dir: &str) -> String {
    let value = format!("{state_dir}-destroyed/journal");
    let example = format!("# journal = {}", toml::Value::from(value));
    with_comment(&example, line)
}

fn with_comment(assignment: &str, line: &str) -> String {
    match line.split_once("  #") {
        Some((before, comment)) => {
            let column = before.chars().count();
            format!("{assignment:<column$}  #{comment}")
        }
        None => assignment.to_owned(),
    }
}

/// Defaults that follow from the alias are shown as they are.
fn example(line: &str, alias: &Alias) -> String {
    let named = |default: &str| line.contains(&format!("= \"ie.{default}\""));
    if named("card") || named("crl") {
        let (before, after) = line.split_once("ie.").unwrap_or((line, ""));
        let shown = format!("{before}{alias}.{after}");
        let excess = shown.chars().count().saturating_sub(line.chars().count());
        return match shown.split_once("  #") {
            Some((value, comment)) if excess > 0 => {
                let column = value.chars().count().saturating_sub(excess);
                format!("{:<column$}  #{comment}", value.trim_end())
            }
            Some(_) | None => shown,
        };
    }
    line.to_owned()
}
