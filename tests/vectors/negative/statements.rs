//! Notes and statements: each is a receipt signed once, but for one thing.

use rogatory::identity::keys::Role;
use rogatory::identity::note::SignatureLine;

use super::{Bench, receipt_text, signed};

impl Bench<'_> {
    /// Rules for bytes and signature lines.
    pub(super) fn notes(&mut self) {
        let good = signed(&receipt_text("{}"), &[self.signer()]);
        let good_text = String::from_utf8(good.clone()).expect("text");
        let text = receipt_text("{}");
        let line = &good_text[text.len() + 1..];
        let long = receipt_text(&format!("{{\"a\":\"{}\"}}", "x".repeat(16_384)));
        let long = signed(&long, &[self.signer()]);
        let mut not_utf8 = good;
        not_utf8[24] = 0xff;
        let with = |what: &str, line: &str| {
            let bytes = format!("{text}\n{line}").into_bytes();
            (
                format!("signature line {what}"),
                "note-signature-line",
                bytes,
            )
        };
        let plain = |what: &str, code, bytes: String| (what.to_owned(), code, bytes.into_bytes());
        let lax = line.trim_end().trim_end_matches('=');
        let cases = [
            ("longer than 16,384 bytes".to_owned(), "note-too-long", long),
            ("not UTF-8".to_owned(), "note-not-utf8", not_utf8),
            plain(
                "carriage return",
                "note-control-character",
                good_text.replace("v1\n", "v1\r\n"),
            ),
            plain(
                "tab in the JSON",
                "note-control-character",
                good_text.replace("{}", "{\t}"),
            ),
            plain(
                "no newline at the end",
                "note-no-final-newline",
                good_text.trim_end().to_owned(),
            ),
            plain("no blank line", "note-no-blank-line", text.clone()),
            plain("no signature", "note-no-signature", format!("{text}\n")),
            plain(
                "nine signatures",
                "note-too-many-signatures",
                format!("{text}\n{}", line.repeat(9)),
            ),
            with("with a hyphen for the dash", &line.replace('\u{2014}', "-")),
            with("without a signature", "\u{2014} bfj.example.de/receipts\n"),
            with("with two spaces", &line.replace("receipts ", "receipts  ")),
            with("without padding", &format!("{lax}\n")),
            with(
                "with a key id and nothing else",
                "\u{2014} bfj.example.de/receipts AAAAAA==\n",
            ),
            with(
                "with a plus sign in the name",
                &line.replace("/receipts", "+receipts"),
            ),
        ];
        for (what, code, bytes) in cases {
            self.push("statement", &what, code, &bytes);
        }
    }

    /// Rules for the two lines of text.
    pub(super) fn statements(&mut self) {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(16), "]".repeat(16));
        let json = |json: &str| receipt_text(json);
        let malformed = "statement-json-malformed";
        let spelled = "statement-json-not-canonical";
        let cases = [
            (
                "one line",
                "statement-lines",
                "rogatory/receipt/v1\n".to_owned(),
            ),
            ("three lines", "statement-lines", json("{}\n{}")),
            (
                "unknown context",
                "statement-unknown-context",
                "rogatory/other/v1\n{}\n".to_owned(),
            ),
            (
                "version 2",
                "statement-unknown-context",
                "rogatory/receipt/v2\n{}\n".to_owned(),
            ),
            (
                "a card where a receipt belongs",
                "statement-wrong-context",
                "rogatory/card/v1\n{}\n".to_owned(),
            ),
            ("not JSON", malformed, json("{")),
            ("two values", malformed, json("{}{}")),
            ("a fraction", malformed, json("{\"a\":1.5}")),
            ("an exponent", malformed, json("{\"a\":1e2}")),
            ("minus zero", malformed, json("{\"a\":-0}")),
            ("2^53", malformed, json("{\"a\":9007199254740992}")),
            ("-2^53", malformed, json("{\"a\":-9007199254740992}")),
            (
                "the least integer of 64 bits",
                malformed,
                json("{\"a\":-9223372036854775808}"),
            ),
            ("a key twice", malformed, json("{\"a\":1,\"a\":1}")),
            ("nested 17 deep", malformed, json(&deep)),
            (
                "half of a surrogate pair",
                malformed,
                json("{\"a\":\"\\ud800\"}"),
            ),
            ("a space", spelled, json("{\"a\": 1}")),
            ("keys not in order", spelled, json("{\"b\":1,\"a\":1}")),
            (
                "keys in the order of UTF-8, not of UTF-16",
                spelled,
                json("{\"\u{ffff}\":1,\"\u{10000}\":1}"),
            ),
            (
                "an escape that is not needed",
                spelled,
                json("{\"a\":\"\\u0062\"}"),
            ),
            ("an escaped slash", spelled, json("{\"a\":\"\\/\"}")),
            ("an array", "statement-not-an-object", json("[]")),
            ("a string", "statement-not-an-object", json("\"a\"")),
            ("null", "statement-not-an-object", json("null")),
        ];
        for (what, code, text) in cases {
            let bytes = signed(&text, &[self.signer()]);
            self.push("statement", what, code, &bytes);
        }
    }

    /// Rules for who signs.
    pub(super) fn signatures(&mut self) {
        let text = receipt_text("{}");
        let (by, card) = (self.signer(), self.key(Role::Card));
        let good = by.sign(text.as_bytes()).to_vec();
        let own = by.name().to_string();
        let short = good[1..].to_vec();
        let long = [&[0; 8], &good[..]].concat();
        let cases = [
            (
                "key of an unknown role",
                "statement-key-name",
                self.line("bfj.example.de/tls", &good),
            ),
            (
                "key of no authority",
                "statement-key-name",
                self.line("receipts", &good),
            ),
            (
                "63 bytes of signature",
                "statement-signature-length",
                self.line(&own, &short),
            ),
            (
                "a timestamped cosignature",
                "statement-signature-length",
                self.line(&own, &long),
            ),
            (
                "the same key twice",
                "statement-signed-twice",
                signed(&text, &[by, by]),
            ),
            (
                "two signatures where one belongs",
                "statement-signature-count",
                signed(&text, &[by, card]),
            ),
            (
                "another role's key",
                "statement-wrong-signer",
                signed(&text, &[card]),
            ),
            (
                "another authority's key",
                "statement-wrong-signer",
                signed(&text, &[&self.ie]),
            ),
        ];
        for (what, code, bytes) in cases {
            self.push("statement", what, code, &bytes);
        }
    }

    pub(super) fn bad_signatures(&mut self) {
        let text = receipt_text("{}");
        let by = self.signer();
        let good = by.sign(text.as_bytes());
        let own = by.name().to_string();
        let mut flipped = good;
        flipped[0] ^= 1;
        let changed = String::from_utf8(signed(&text, &[by])).expect("text");
        let changed = changed.replace("{}", "{\"a\":1}").into_bytes();
        for (what, bytes) in [
            ("the text was changed", changed),
            (
                "a bit of the signature was changed",
                self.line(&own, &flipped),
            ),
            (
                "S is not canonical (S + L)",
                self.line(&own, &plus_order(good)),
            ),
            ("a signature of zeros", self.line(&own, &[0; 64])),
        ] {
            self.push("statement", what, "statement-bad-signature", &bytes);
        }
    }

    /// An empty object with this signature under the id of the receipts key.
    fn line(&self, name: &str, signature: &[u8]) -> Vec<u8> {
        let line = SignatureLine {
            name: name.to_owned(),
            id: self.signer().public().id(),
            signature: signature.to_vec(),
        };
        format!("{}\n{}", receipt_text("{}"), line.encode()).into_bytes()
    }
}

/// A signature whose S is larger by the order of the group: equal modulo the order, but not canonical (RFC 8032
/// §5.1.7).
fn plus_order(mut signature: [u8; 64]) -> [u8; 64] {
    const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order = hex::decode(ORDER).expect("hex");
    let mut carry = 0;
    for (byte, more) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    signature
}
