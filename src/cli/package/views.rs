//! Packages as text for people.

use serde::Serialize;

use crate::api::types::{PackageDetail, PackageView, ReceiptView, Verification};
use crate::cli::receipt;
use crate::cli::text::{self, Cell, Table, Tone};
use crate::policy::Terms;

/// How a state looks.
fn state(state: &str) -> Cell {
    let tone = match state {
        "held" | "closed" | "delivered" => Tone::Good,
        "rejected" | "failed" | "refused" => Tone::Bad,
        "expired" | "lapsed" | "withdrawn" | "restriction-signed" | "destruction-signed" => {
            Tone::Warn
        }
        _ => Tone::Plain,
    };
    Cell::new(state, tone)
}

pub(super) fn peer(package: &PackageView) -> String {
    match &package.peer_alias {
        Some(alias) => alias.to_string(),
        None => package.peer.to_string(),
    }
}

/// One line for each package.
pub(super) fn list(packages: &[PackageView]) -> Table {
    let mut table = Table::headed(&["package", "way", "peer", "state", "size", "changed", "case"]);
    for package in packages {
        table.row([
            Cell::new(package.id.to_string(), Tone::Strong),
            (&package.direction).into(),
            peer(package).into(),
            state(&package.state),
            text::size(package.len).into(),
            text::time(package.updated).into(),
            package.case.as_deref().unwrap_or_default().into(),
        ]);
    }
    table
}

/// One package and all its receipts.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    pub(super) detail: PackageDetail,
    /// Oldest first.
    pub(super) receipts: Vec<ReceiptView>,
}

/// All about one package.
pub(super) fn whole(whole: &Whole, color: bool) -> String {
    let receipts = receipt::list(&whole.receipts).render(color);
    format!("{}\n{receipts}", detail(&whole.detail).render(color))
}

fn detail(detail: &PackageDetail) -> Table {
    let package = &detail.package;
    let mut table = Table::new();
    table.field("package", Cell::new(package.id.to_string(), Tone::Strong));
    let way = if package.direction == "in" {
        "from"
    } else {
        "to"
    };
    table.field(way, format!("{} ({})", package.peer, peer(package)));
    table.field("state", state(&package.state));
    if let Some(fault) = &package.fault {
        table.field("fault", Cell::new(text::fault(fault), Tone::Warn));
    }
    table.field_if("case", package.case.as_deref());
    table.field_if("request", package.request.as_deref());
    table.field_if("title", package.title.as_deref());
    let grounds = &detail.grounds;
    if !grounds.offences.is_empty() {
        table.field("offences", grounds.offences.join("; "));
    }
    table.field_if("necessity", grounds.necessity.as_deref());
    table.field_if("proportionality", grounds.proportionality.as_deref());
    terms(&mut table, &package.terms);
    table.field("made", text::time(package.created));
    table.field("changed", text::time(package.updated));
    table.field(
        "size",
        format!(
            "{} in {}",
            text::size(package.len),
            text::count(detail.segments, "segment", "segments")
        ),
    );
    table.field_if("items", package.items);
    table.field(
        "header",
        if detail.header_held {
            "held here"
        } else {
            "not here"
        },
    );
    if let Some(hold) = &detail.hold {
        let text = format!("until {}, {}: {}", hold.until, hold.authority, hold.reason);
        table.field("hold", Cell::new(text, Tone::Warn));
    }
    if let Some(review) = &detail.review {
        let text = format!("{}, {}", text::time(review.at), review.justification);
        table.field("reviewed", text);
    }
    for item in &detail.item_terms {
        let words = stricter(&package.terms, &item.terms);
        table.field(&format!("item {}", item.path), Cell::new(words, Tone::Warn));
    }
    table.field("body", detail.body);
    table.field("hdr", detail.hdr);
    table
}

fn terms(table: &mut Table, terms: &Terms) {
    table.field("instrument", &terms.instrument);
    table.field_if("legal basis", terms.legal_basis.as_deref());
    table.field("purposes", terms.purposes_text());
    table.field_if("handling", terms.handling);
    table.field_if("evaluation", terms.evaluation);
    table.field("retain until", terms.retain_until);
    table.field_if("review", terms.review);
    table.field_if("sunset", terms.sunset);
    table.field("onward", terms.onward);
    if !terms.restrictions.is_empty() {
        let words: Vec<_> = terms.restrictions.iter().map(|it| it.as_str()).collect();
        table.field("restrictions", words.join(", "));
    }
    if terms.use_report {
        table.field("use report", "wanted");
    }
}

/// In what the terms of an item are stricter than those of its package.
fn stricter(package: &Terms, item: &Terms) -> String {
    let mut words = vec![format!("purposes {}", item.purposes_text())];
    let dates = [
        ("sunset", package.sunset, item.sunset),
        ("review", package.review, item.review),
    ];
    for (name, of_package, day) in dates {
        words.extend(
            day.filter(|_| day != of_package)
                .map(|day| format!("{name} {day}")),
        );
    }
    let added = item.restrictions.iter();
    let added = added.filter(|it| !package.restrictions.contains(it));
    words.extend(added.map(|it| format!("restriction {it}")));
    if item.handling != package.handling {
        words.extend(item.handling.map(|it| format!("handling {it}")));
    }
    if item.onward != package.onward {
        words.push(format!("onward {}", item.onward));
    }
    words.join(", ")
}

/// The result of a verification.
pub(super) fn verification(verification: &Verification) -> Table {
    let verdict = |ok: bool, good: &str, bad: &str| {
        if ok {
            Cell::new(good, Tone::Good)
        } else {
            Cell::new(bad, Tone::Bad)
        }
    };
    let mut table = Table::new();
    table.field(
        "package",
        Cell::new(verification.id.to_string(), Tone::Strong),
    );
    let counted = format!(
        "{} of {} right",
        verification.segments_ok, verification.segments
    );
    table.field(
        "segments",
        verdict(
            verification.segments_ok == verification.segments,
            &counted,
            &counted,
        ),
    );
    if !verification.segments_wrong.is_empty() {
        let wrong: Vec<_> = verification
            .segments_wrong
            .iter()
            .map(ToString::to_string)
            .collect();
        table.field("wrong", Cell::new(wrong.join(", "), Tone::Bad));
    }
    match verification.header_ok {
        Some(ok) => table.field("header", verdict(ok, "right", "wrong")),
        None => table.field("header", "shredded, as it must be after handover"),
    }
    table.field(
        "receipts",
        verdict(
            verification.receipts_ok,
            "signatures and chain right",
            "wrong",
        ),
    );
    for fault in &verification.faults {
        table.field("fault", Cell::new(fault, Tone::Bad));
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package() -> serde_json::Value {
        json!({
            "id": "00112233445566778899aabbccddeeff", "direction": "in", "state": "held", "peer": "mla.example.ie", "peer_alias": "ie",
            "case": "IE-1\u{202e}", "created": "2026-11-23T09:00:00.000Z", "updated": "2026-11-23T09:00:01.000Z", "len": 1_024, "items": 3,
            "terms": {"instrument": "EIO", "purposes": ["prosecution"], "retain_until": "2031-12-31", "onward": "prohibited", "use_report": false},
        })
    }

    #[test]
    fn packages_for_people() {
        let package: PackageView = serde_json::from_value(package()).unwrap();
        let shown = list(&[package]).render(false);
        assert!(
            shown.ends_with("00112233445566778899aabbccddeeff  in   ie    held   1.00 KiB  2026-11-23 09:00:01 UTC  IE-1\\u{202e}\n"),
            "{shown}"
        );
    }

    #[test]
    fn one_package_for_people() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let mut whole = package();
        whole["body"] = digest.into();
        whole["hdr"] = digest.into();
        whole["segments"] = 1.into();
        whole["header_held"] = true.into();
        let detail: PackageDetail = serde_json::from_value(whole).unwrap();
        let receipts = Vec::new();
        let shown = super::whole(&Whole { detail, receipts }, false);
        for line in [
            "from          mla.example.ie (ie)\n",
            "purposes      prosecution\n",
            "size          1.00 KiB in 1 segment\n",
            "items         3\n",
        ] {
            assert!(shown.contains(line), "{line} in\n{shown}");
        }
    }

    #[test]
    fn a_verification_for_people() {
        let found: Verification = serde_json::from_value(json!({
            "id": "00112233445566778899aabbccddeeff", "ok": false, "segments_ok": 1, "segments": 2, "segments_wrong": [1],
            "receipts_ok": true, "faults": ["segment 1 is wrong"],
        }))
        .unwrap();
        let shown = verification(&found).render(false);
        assert!(
            shown.contains("segments  1 of 2 right\nwrong     1\nheader    shredded"),
            "{shown}"
        );
    }
}
