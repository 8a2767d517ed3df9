//! `[roles]`.

use super::{Meaning, Origin};
use crate::base::limits;
use crate::config::holders::Holder;
use crate::config::raw::ValueSource;
use crate::policy::Role;

impl Meaning {
    /// Who has which role; `None` where none is written.
    pub(super) fn roles(&mut self) -> Option<Vec<(Role, Holder)>> {
        let path = |role: &Role| format!("roles.{role}");
        let any = Role::ALL
            .iter()
            .any(|role| self.written.text(&path(role)).is_some());
        let mut all = Vec::new();
        for role in Role::ALL {
            let path = path(role);
            if self.written.text(&path).is_some() {
                let holders = self.value(&path, holders).unwrap_or_default();
                all.extend(holders.into_iter().map(|holder| (*role, holder)));
            } else {
                self.origins.push(Origin {
                    key: path,
                    value: if any { "nobody" } else { "everybody" }.to_owned(),
                    source: ValueSource::Default,
                });
            }
        }
        any.then_some(all)
    }
}

/// The entries of one role; every one that is wrong is named.
fn holders(text: &str) -> Result<Vec<Holder>, String> {
    let entries: Vec<_> = text.split(',').map(str::trim).collect();
    let most = limits::ROLE_HOLDERS_MAX;
    match entries.as_slice() {
        [""] => return Ok(Vec::new()),
        entries if entries.len() > most => {
            return Err(format!("has more than {most} entries; make a group"));
        }
        _some => {}
    }
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.parse() {
            Ok(holder) => good.push(holder),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(good)
    } else {
        Err(faults.join("; "))
    }
}
