//! Receipts: the fields of one, and what links it to the one before.

use rogatory::base::Digest;
use rogatory::receipt::{Head, Kind, Reason, Receipt};
use serde_json::{Value, json};

use crate::parties::seed;

use super::{Bench, receipt_text, signed};

impl Bench<'_> {
    fn receipt(&mut self, what: &str, code: &str, body: &Value) {
        let text = String::from_utf8(rogatory::base::json::canonical(body)).expect("text");
        let bytes = signed(&receipt_text(&text), &[self.signer()]);
        self.push("receipt", what, code, &bytes);
    }

    /// Rules for the fields of one receipt: each a dispatch with one change.
    pub(super) fn receipt_spelling(&mut self) {
        let good = self.dispatch();
        let content = "statement-json-content";
        let upper = good["pkg"]["hdr"].as_str().expect("text").to_uppercase();
        let from = json!([
            good["from"]["card"],
            good["from"]["id"],
            good["from"]["key"]
        ]);
        let spelling = "statement-json-not-canonical";
        self.changed(&[
            ("version 2", "receipt-version", "/v", json!(2)),
            ("null for an absent field", spelling, "/ses", Value::Null),
            ("an empty list", spelling, "/sd", json!([])),
            (
                "an array in the place of an object",
                spelling,
                "/from",
                from,
            ),
            ("an unknown field", content, "/extra", json!(1)),
            ("an unknown kind", content, "/kind", json!("onward-2")),
            ("a digest in capitals", content, "/pkg/hdr", json!(upper)),
            (
                "a time without milliseconds",
                content,
                "/t",
                json!("2026-11-23T09:00:00Z"),
            ),
            (
                "a time in another zone",
                content,
                "/t",
                json!("2026-11-23T10:00:00.000+01:00"),
            ),
            (
                "an unknown purpose",
                content,
                "/terms/purposes",
                json!(["curiosity"]),
            ),
            (
                "purposes not in order",
                content,
                "/terms/purposes",
                json!(["trial", "investigation"]),
            ),
            ("a negative number", content, "/clk", json!(-1)),
        ]);
    }

    /// Fields of other kinds, and values out of bounds.
    pub(super) fn receipt_fields(&mut self) {
        let good = self.dispatch();
        let value = "receipt-field-value";
        let doubled = [good["sd"][0].clone(), good["sd"][0].clone()];
        let root = good["pkg"]["hdr"].clone();
        let stranger = json!([{"origin": "a.example.fr/log", "size": 1, "root": root}]);
        self.changed(&[
            (
                "a reason on a dispatch",
                "receipt-field-not-allowed",
                "/reason",
                json!({"code": "x", "clause": ""}),
            ),
            (
                "prev on a dispatch",
                "receipt-field-not-allowed",
                "/prev",
                good["pkg"]["hdr"].clone(),
            ),
            (
                "a session on a dispatch",
                "receipt-field-not-allowed",
                "/ses",
                good["pkg"]["hdr"].clone(),
            ),
            ("step 2 on a dispatch", value, "/step", json!(2)),
            ("to itself", value, "/to", good["from"].clone()),
            (
                "another digest algorithm",
                value,
                "/pkg/alg",
                json!("sha-512"),
            ),
            ("another segment size", value, "/pkg/seg", json!(65_536)),
            ("an empty payload", value, "/pkg/len", json!(0)),
            ("a digest twice", value, "/sd", json!(doubled)),
            ("the head of a stranger's log", value, "/heads", stranger),
            (
                "sunset after the end of retention",
                "receipt-terms",
                "/terms/sunset",
                json!("2032-01-01"),
            ),
            (
                "information evaluated 5",
                "receipt-terms",
                "/terms/evaluation/information",
                json!(5),
            ),
            (
                "free text as legal basis",
                "receipt-terms",
                "/terms/legal_basis",
                json!("see the letter"),
            ),
        ]);
        for name in ["xid", "step", "from", "to", "pkg", "terms", "pol"] {
            let mut body = good.clone();
            body.as_object_mut().map(|fields| fields.remove(name));
            let what = format!("a dispatch without {name}");
            self.receipt(&what, "receipt-field-missing", &body);
        }
    }

    fn dispatch(&self) -> Value {
        let good = self.story.receipt("dispatch");
        serde_json::to_value(good).expect("JSON")
    }

    /// The dispatch with another value at a place.
    fn changed(&mut self, cases: &[(&str, &str, &str, Value)]) {
        for (what, code, at, with) in cases {
            let mut body = self.dispatch();
            let (parent, name) = at.rsplit_once('/').expect("a pointer");
            body.pointer_mut(parent).expect("it is there")[name] = with.clone();
            self.receipt(what, code, &body);
        }
    }

    /// Rules between receipts, and for who signs which.
    pub(super) fn receipt_chain(&mut self) {
        let story = self.story;
        let expired = story.next("dispatch", Kind::Expired);
        let expired = expired.because(Reason::technical("retention-over"));
        let shown = |change: fn(&mut Receipt)| {
            let mut changed = expired.clone();
            change(&mut changed);
            changed
        };
        let changed = "receipt-changed";
        let prev = "receipt-wrong-prev";
        let other = |label: &str| Digest::from_bytes(seed(label));
        let mut wrong_prev = expired.clone();
        wrong_prev.prev = Some(other("another receipt"));
        let no_reason = story.next("dispatch", Kind::Expired);
        let cases = [
            (
                "another exchange",
                changed,
                shown(|it| it.xid = Some(rogatory::base::Xid::from_bytes([9; 16]))),
            ),
            (
                "another package",
                changed,
                shown(|it| {
                    if let Some(pkg) = it.pkg.as_mut() {
                        pkg.len += 1;
                    }
                }),
            ),
            (
                "other terms",
                changed,
                shown(|it| {
                    if let Some(terms) = it.terms.as_mut() {
                        terms.use_report = false;
                    }
                }),
            ),
            (
                "fewer disclosures",
                changed,
                shown(|it| {
                    it.sd.pop();
                }),
            ),
            ("prev is the digest of another text", prev, wrong_prev),
            ("a step is left out", prev, shown(|it| it.step = Some(3))),
            (
                "no reason on a negative kind",
                "receipt-field-missing",
                no_reason,
            ),
        ];
        for (what, code, receipt) in cases {
            let body = serde_json::to_value(&receipt).expect("JSON");
            self.receipt(what, code, &body);
            self.follows("dispatch");
        }
        let handover = story.next("dispatch", Kind::Handover);
        let late = story.next("consigned-2", Kind::Withdrawn);
        let late = late.because(Reason::technical("withdrawn"));
        for (what, receipt, after) in [
            ("handover without consigned", handover, "dispatch"),
            ("withdrawn after consigned", late, "consigned-2"),
        ] {
            let body = serde_json::to_value(&receipt).expect("JSON");
            self.receipt(what, "receipt-may-not-follow", &body);
            self.follows(after);
        }
        self.receipt_signers();
    }

    fn receipt_signers(&mut self) {
        let story = self.story;
        let half = story.note("consigned-1").clone();
        let text = half.text().to_owned();
        let swapped = signed(&text, &[self.signer(), &self.ie]);
        let count = "statement-signature-count";
        self.push(
            "receipt",
            "consigned with one signature, where both are needed",
            count,
            half.bytes(),
        );
        self.push(
            "receipt",
            "the sender's signature before the issuer's",
            "statement-wrong-signer",
            &swapped,
        );
        let dispatch = story.note("dispatch").text().to_owned();
        let both = signed(&dispatch, &[self.signer(), &self.ie]);
        self.push("receipt", "dispatch with a countersignature", count, &both);
        let mut other = story.receipt("dispatch");
        if let Some(from) = other.from.as_mut() {
            from.key = rogatory::base::KeyId::from_bytes([1, 2, 3, 4]);
        }
        let body = serde_json::to_value(&other).expect("JSON");
        self.receipt("another receipts key is named", "receipt-wrong-key", &body);
        let mut heads = story.receipt("dispatch");
        let log = |size| Head {
            origin: "bfj.example.de/log".to_owned(),
            size,
            root: Digest::of(b""),
        };
        heads.heads = vec![log(1), log(2)];
        let body = serde_json::to_value(&heads).expect("JSON");
        self.receipt("two heads of one log", "receipt-field-value", &body);
    }
}
