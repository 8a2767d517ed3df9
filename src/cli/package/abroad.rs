//! `package list --abroad`: what others hold of what this authority sent, and until when they may.

use serde::Serialize;

use crate::api::types::PackageView;
use crate::base::Timestamp;
use crate::cli::package::views;
use crate::cli::text::{self, Cell, Table, Tone};
use crate::store::Phase;

/// A package that another authority holds.
#[derive(Debug, Serialize)]
pub(super) struct Abroad {
    #[serde(flatten)]
    package: PackageView,
    /// Whether the last day on which it may be kept is over.
    overdue: bool,
}

/// Of what was sent, what the receiver has, readable or not; what must be destroyed first comes first.
pub(super) fn abroad(sent: Vec<PackageView>, now: Timestamp) -> Vec<Abroad> {
    let there = [
        Phase::Consigned,
        Phase::Delivered,
        Phase::Closed,
        Phase::RestrictionSigned,
    ];
    let there = there.map(Phase::as_str);
    let mut held: Vec<_> = sent
        .into_iter()
        .filter(|package| package.direction == "out" && there.contains(&package.state.as_str()))
        .map(|package| Abroad {
            overdue: now > package.terms.retain_until.end_of_day(),
            package,
        })
        .collect();
    held.sort_by_key(|it| it.package.terms.retain_until);
    held
}

/// One line for each.
pub(super) fn table(held: &[Abroad]) -> Table {
    let mut table = Table::headed(&["package", "held by", "since", "keep until", "", "case"]);
    for Abroad { package, overdue } in held {
        let late = if *overdue {
            Cell::new("overdue", Tone::Bad)
        } else {
            "".into()
        };
        table.row([
            Cell::new(package.id.to_string(), Tone::Strong),
            views::peer(package).into(),
            text::time(package.updated).into(),
            package.terms.retain_until.to_string().into(),
            late,
            package.case.as_deref().unwrap_or_default().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(direction: &str, state: &str, retain_until: &str) -> PackageView {
        let package = json!({
            "id": "00112233445566778899aabbccddeeff", "direction": direction, "state": state, "peer": "bfj.example.de",
            "created": "2026-11-23T09:00:00.000Z", "updated": "2026-11-23T09:00:01.000Z", "len": 1_024,
            "terms": {"instrument": "EIO", "purposes": ["prosecution"], "retain_until": retain_until, "onward": "prohibited", "use_report": false},
        });
        serde_json::from_value(package).expect("a package")
    }

    #[test]
    fn what_others_hold_is_listed_by_its_last_day() {
        let now = "2031-12-31T12:00:00.000Z".parse().expect("a time");
        let sent = vec![
            package("out", "closed", "2032-01-31"),
            package("out", "delivered", "2031-12-31"),
            package("out", "consigned", "2031-12-30"),
            package("out", "dispatched", "2031-12-30"),
            package("out", "rejected", "2031-12-30"),
            package("in", "held", "2031-12-30"),
        ];
        let held = abroad(sent, now);
        let seen: Vec<_> = held
            .iter()
            .map(|it| (it.package.state.as_str(), it.overdue))
            .collect();
        assert_eq!(
            seen,
            [("consigned", true), ("delivered", false), ("closed", false)]
        );
        let shown = table(&held).render(false);
        assert!(
            shown.contains("bfj.example.de  2026-11-23 09:00:01 UTC  2031-12-30  overdue"),
            "{shown}"
        );
    }
}
