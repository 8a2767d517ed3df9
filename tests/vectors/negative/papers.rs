//! Cards, keys, checkpoints, disclosures, age headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rogatory::identity::keys::{PublicKey, Role};
use rogatory::identity::statement::{Context, Note};
use serde_json::json;

use crate::parties::seed;

use super::{Bench, signed};

impl Bench<'_> {
    pub(super) fn cards(&mut self) {
        let keys = self.card["keys"].clone();
        let swapped = json!({"card": keys["card"], "log": keys["receipts"], "receipts": keys["log"], "witness": keys["witness"]});
        let card = self.key(Role::Card).public();
        let log =
            rogatory::identity::keys::KeyName::new(card.name().authority().clone(), Role::Log);
        let log = PublicKey::from_bytes(log, card.bytes()).expect("a key");
        let field = "card-field";
        for (what, code, at, with) in [
            ("version 2", "card-version", "v", json!(2)),
            ("number 0", field, "number", json!(0)),
            (
                "a name that reorders text",
                field,
                "name",
                json!("a\u{202e}b"),
            ),
            ("a country in lower case", field, "country", json!("de")),
            (
                "an endpoint without a port",
                field,
                "endpoints",
                json!(["rogatory.bfj.example.de"]),
            ),
            (
                "an endpoint twice",
                field,
                "endpoints",
                json!(["a.example:1", "a.example:1"]),
            ),
            (
                "a CA that is no certificate",
                field,
                "tls_cas",
                json!(["AAAA"]),
            ),
            ("no recipient", field, "age", json!([])),
            ("keys under others' roles", "card-key-name", "keys", swapped),
            (
                "one key for two roles",
                "card-shared-key",
                "keys",
                json!({"card": keys["card"], "log": log, "receipts": keys["receipts"], "witness": keys["witness"]}),
            ),
            (
                "an unknown field",
                "statement-json-content",
                "extra",
                json!(1),
            ),
        ] {
            let mut body = self.card.clone();
            body[at] = with;
            let note = Note::issue(Context::Card, &body, self.key(Role::Card));
            let note = note.expect("a statement");
            self.push("card", what, code, note.bytes());
        }
        let note = Note::issue(Context::Card, &self.card, self.key(Role::Log));
        let note = note.expect("a statement");
        self.push(
            "card",
            "signed by another key of the card",
            "statement-wrong-signer",
            note.bytes(),
        );
    }

    pub(super) fn vkeys(&mut self) {
        let good = self.signer().public().to_vkey();
        let vkey = |kind: u8, hex: &str| {
            let mut point = vec![kind];
            point.extend(hex::decode(hex).expect("hex"));
            let name = "bfj.example.de/receipts";
            let id = rogatory::identity::note::key_id(name, kind, &point[1..]);
            format!("{name}+{id}+{}", STANDARD.encode(point))
        };
        let one = format!("01{}", "00".repeat(31));
        let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
        let not_reduced = format!("f0{}7f", "ff".repeat(30));
        let no_point = format!("02{}", "00".repeat(31));
        let sound = hex::encode(self.signer().public().bytes());
        let point = |hex: &str| {
            let bytes = hex::decode(hex).expect("hex").try_into().expect("32 bytes");
            let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).expect("a point");
            key.to_edwards()
        };
        let mixed = (point(&sound) + point(order_8)).compress();
        let mixed = hex::encode(mixed.as_bytes());
        for (what, code, text) in [
            (
                "a name without a role",
                "key-name",
                good.replacen("/receipts", "", 1),
            ),
            (
                "a name that ends in a number",
                "key-name",
                good.replacen("bfj.example.de/", "10.0.0.1/", 1),
            ),
            (
                "a name that ends in a hexadecimal number",
                "key-name",
                good.replacen("bfj.example.de/", "bfj.0x1f/", 1),
            ),
            ("two parts", "key-vkey", good.replacen('+', " ", 1)),
            (
                "an id in capitals",
                "key-vkey",
                "bfj.example.de/receipts+ABCDEF01+AQ==".to_owned(),
            ),
            ("a cosignature key (type 4)", "key-vkey", vkey(4, &sound)),
            (
                "the id of another key",
                "key-wrong-id",
                good.replacen("receipts", "log", 1),
            ),
            ("the neutral element", "key-weak", vkey(1, &one)),
            ("a point of order 8", "key-weak", vkey(1, order_8)),
            (
                "a sound key and a point of order 8, added",
                "key-mixed-order",
                vkey(1, &mixed),
            ),
            (
                "y = 2^255 - 16, not reduced",
                "key-not-canonical",
                vkey(1, &not_reduced),
            ),
            (
                "no point of the curve",
                "key-not-canonical",
                vkey(1, &no_point),
            ),
        ] {
            self.push("vkey", what, code, text.as_bytes());
        }
    }

    pub(super) fn checkpoints(&mut self) {
        let log = self.key(Role::Log);
        let root = STANDARD.encode(seed("a root"));
        let of = |origin: &str, size: &str, root: &str| {
            signed(&format!("{origin}\n{size}\n{root}\n"), &[log])
        };
        let origin = "bfj.example.de/log";
        let good = String::from_utf8(of(origin, "3", &root)).expect("text");
        let by_receipts = signed(&format!("{origin}\n3\n{root}\n"), &[self.signer()]);
        for (what, code, bytes) in [
            (
                "an extension line",
                "checkpoint-lines",
                of(origin, "3", &format!("{root}\nextension")),
            ),
            (
                "an origin without a role",
                "checkpoint-origin",
                of("bfj.example.de", "3", &root),
            ),
            (
                "a size with a leading zero",
                "checkpoint-size",
                of(origin, "03", &root),
            ),
            (
                "a size of 2^53",
                "checkpoint-size",
                of(origin, "9007199254740992", &root),
            ),
            (
                "a root of 31 bytes",
                "checkpoint-root",
                of(origin, "3", &STANDARD.encode([0; 31])),
            ),
            (
                "another log",
                "checkpoint-wrong-origin",
                of("mla.example.ie/log", "3", &root),
            ),
            (
                "signed by the receipts key",
                "checkpoint-not-signed",
                by_receipts,
            ),
            (
                "another size than was signed",
                "checkpoint-bad-signature",
                good.replace("\n3\n", "\n4\n").into_bytes(),
            ),
        ] {
            self.push("checkpoint", what, code, &bytes);
        }
    }

    /// Beside the dispatch.
    pub(super) fn disclosures(&mut self) {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let good = self.story.encoded();
        let text = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let salt = URL_SAFE_NO_PAD.encode([0; 16]);
        for (what, code, list) in [
            (
                "longer than 8,192 bytes",
                "disclosure-too-long",
                vec!["A".repeat(8_193)],
            ),
            (
                "65 of them",
                "disclosures-too-many",
                vec![good[0].clone(); 65],
            ),
            (
                "padded",
                "disclosure-encoding",
                vec![format!("{}=", good[0])],
            ),
            (
                "not base64url",
                "disclosure-encoding",
                vec!["+/".to_owned()],
            ),
            (
                "not canonical JSON",
                "disclosure-json",
                vec![text(&format!(r#"["{salt}", "case","x"]"#))],
            ),
            ("no salt", "disclosure-shape", vec![text(r#"["case","x"]"#)]),
            (
                "a salt of 15 bytes",
                "disclosure-shape",
                vec![text(&format!(
                    r#"["{}","case","x"]"#,
                    URL_SAFE_NO_PAD.encode([0; 15])
                ))],
            ),
            (
                "one that the receipt does not hold",
                "disclosure-not-in-receipt",
                vec![text(&format!(r#"["{salt}","case","x"]"#))],
            ),
            (
                "one of them twice",
                "disclosure-twice",
                vec![good[2].clone(), good[2].clone()],
            ),
        ] {
            self.push(
                "disclosures",
                what,
                code,
                json!(list).to_string().as_bytes(),
            );
        }
    }

    /// For one recipient.
    pub(super) fn headers(&mut self) {
        let good = String::from_utf8(self.package.header.clone()).expect("a header is ASCII");
        let (first, rest) = good.split_once('\n').expect("lines");
        let (stanza, mac) = rest.split_at(rest.find("--- ").expect("a MAC line"));
        let with = |stanzas: &str| format!("{first}\n{stanzas}{mac}");
        let named = |name: &str| with(&stanza.replacen("X25519", name, 1));
        let grease = stanza.replacen("X25519", "x-grease", 1);
        for (what, code, text) in [
            ("age v2", "header-version", good.replacen("v1", "v2", 1)),
            (
                "bytes after the MAC line",
                "header-mac-line",
                format!("{good}x"),
            ),
            (
                "a short MAC",
                "header-mac-line",
                good.replacen("--- ", "--- \n", 1),
            ),
            (
                "a stanza with two arguments",
                "header-stanza",
                good.replacen("X25519 ", "X25519 a ", 1),
            ),
            (
                "a stanza without a body",
                "header-stanza",
                with("-> X25519 AAAA\n"),
            ),
            (
                "nine stanzas",
                "header-too-many-stanzas",
                with(&stanza.repeat(9)),
            ),
            ("a passphrase", "header-passphrase", named("scrypt")),
            (
                "post-quantum hybrid",
                "header-hybrid",
                named("mlkem768x25519"),
            ),
            ("an SSH key", "header-plugin", named("ssh-ed25519")),
            (
                "two grease stanzas",
                "header-grease",
                with(&format!("{stanza}{grease}{grease}")),
            ),
            (
                "two recipients where one is expected",
                "header-recipients",
                with(&stanza.repeat(2)),
            ),
            ("no recipient", "header-recipients", with("")),
        ] {
            self.push("header", what, code, text.as_bytes());
        }
    }
}
