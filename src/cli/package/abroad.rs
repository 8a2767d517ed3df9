//! `package list --abroad`: what others hold of what this authority sent, and until when they may.

use serde::Serialize;

use crate::api::types::{OnwardView, PackageView};
use crate::base::{AuthorityId, Timestamp};
use crate::cli::package::views;
use crate::cli::text::{self, Cell, Table, Tone};
use crate::exchange::Phase;

/// A package that another authority holds.
#[derive(Debug, Serialize)]
pub(super) struct Abroad {
    #[serde(flatten)]
    package: PackageView,
    /// Whether the last day on which it may be kept is over.
    overdue: bool,
    /// Who has it from the authority that it was sent to; absent where that is the one that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    third: Option<AuthorityId>,
    /// Whether the signature of that one was checked, which takes its card.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
}

/// Of what was sent, what a third authority has by its receipt: under the terms that it signed, or those that the
/// sender has made stricter since, which reach it through whoever passed it on.
fn passed_on(sent: &[PackageView], onward: Vec<OnwardView>, now: Timestamp) -> Vec<Abroad> {
    let held = onward
        .into_iter()
        .filter(|it| it.direction == "out" && it.state == "held");
    let held = held.filter_map(|it| {
        let mut package = sent
            .iter()
            .find(|package| package.id == it.package)?
            .clone();
        let last = package.terms.retain_until;
        package.terms = it.terms.ending(last);
        package.updated = it.at;
        // That one is of the way to whoever passed it on.
        package.fault = None;
        Some(Abroad {
            overdue: now > package.terms.retain_until.end_of_day(),
            package,
            third: Some(it.third),
            verified: Some(it.verified),
        })
    });
    held.collect()
}

/// Of what was sent, what receivers have, readable or not, and whoever they have passed it on to; what must be
/// destroyed first comes first.
pub(super) fn abroad(
    sent: Vec<PackageView>,
    onward: Vec<OnwardView>,
    now: Timestamp,
) -> Vec<Abroad> {
    let there = [
        Phase::Consigned,
        Phase::Delivered,
        Phase::Closed,
        Phase::RestrictionSigned,
    ];
    let there = there.map(Phase::as_str);
    let passed_on = passed_on(&sent, onward, now);
    let mut held: Vec<_> = sent
        .into_iter()
        .filter(|package| package.direction == "out" && there.contains(&package.state.as_str()))
        .map(|package| Abroad {
            overdue: now > package.terms.retain_until.end_of_day(),
            package,
            third: None,
            verified: None,
        })
        .chain(passed_on)
        .collect();
    held.sort_by_key(|it| it.package.terms.retain_until);
    held
}

fn holder(package: &PackageView, third: Option<&AuthorityId>, verified: Option<bool>) -> String {
    let Some(third) = third else {
        return views::peer(package);
    };
    let unverified = if verified == Some(false) {
        ", signature not checked"
    } else {
        ""
    };
    format!("{third} (from {}{unverified})", package.peer)
}

/// One line for each.
pub(super) fn table(held: &[Abroad]) -> Table {
    let mut table = Table::headed(&["package", "held by", "changed", "keep until", "", "case"]);
    for Abroad {
        package,
        overdue,
        third,
        verified,
    } in held
    {
        let late = if *overdue {
            Cell::new("overdue", Tone::Bad)
        } else {
            "".into()
        };
        table.row([
            Cell::new(package.id.to_string(), Tone::Strong),
            holder(package, third.as_ref(), *verified).into(),
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
        let first = sent.first().expect("a package").clone();
        let onward = |state: &str, last: &str| OnwardView {
            package: first.id,
            direction: "out".to_owned(),
            peer: first.peer.clone(),
            third: "bepi.justice.example.fr".parse().expect("an authority"),
            onward: first.id,
            state: state.to_owned(),
            at: first.updated,
            terms: first.terms.clone().ending(last.parse().expect("a day")),
            verified: false,
        };
        let onward = vec![
            onward("held", "2031-12-29"),
            onward("destroyed", "2031-12-28"),
        ];
        let held = abroad(sent, onward, now);
        let seen: Vec<_> = held
            .iter()
            .map(|it| (it.package.state.as_str(), it.overdue))
            .collect();
        assert_eq!(
            seen,
            [
                ("closed", true),
                ("consigned", true),
                ("delivered", false),
                ("closed", false)
            ]
        );
        let shown = table(&held).render(false);
        assert!(shown.starts_with("package  ") && shown.contains("  changed  "));
        let third = "bepi.justice.example.fr (from bfj.example.de, signature not checked)";
        assert!(shown.contains(third), "{shown}");
        assert!(
            shown.contains("  2026-11-23 09:00:01 UTC  2031-12-30  overdue"),
            "{shown}"
        );
    }
}
