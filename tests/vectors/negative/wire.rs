//! Frames and heads of data streams.

use serde_json::json;

use super::{Bench, frame_of};

impl Bench<'_> {
    pub(super) fn frames(&mut self) {
        for (what, code, bytes) in [
            ("type 0", "unknown-frame", frame_of(0, b"")),
            ("type 10", "unknown-frame", frame_of(10, b"{}")),
            ("type 255", "unknown-frame", frame_of(255, b"")),
            (
                "offer of 16,385 bytes: head only",
                "frame-too-long",
                vec![16, 0, 0, 0x40, 1],
            ),
            (
                "hello of 65,537 bytes: head only",
                "frame-too-long",
                vec![1, 0, 1, 0, 1],
            ),
            (
                "crl of 2^20 + 1 bytes: head only",
                "frame-too-long",
                vec![3, 0, 0x10, 0, 1],
            ),
            (
                "receipt of 2^32 - 1 bytes: head only",
                "frame-too-long",
                vec![19, 255, 255, 255, 255],
            ),
            ("done with a body", "frame-too-long", frame_of(22, b"x")),
            ("card without a body", "frame-empty", frame_of(2, b"")),
            ("header without a body", "frame-empty", frame_of(20, b"")),
            ("ack with one byte", "frame-empty", frame_of(4, b"0")),
            (
                "held of 16,385 bytes: head only",
                "frame-too-long",
                vec![5, 0, 0, 0x40, 1],
            ),
            (
                "add-checkpoint of 20,481 bytes: head only",
                "frame-too-long",
                vec![6, 0, 0, 0x50, 1],
            ),
            (
                "cosignature of 1,025 bytes: head only",
                "frame-too-long",
                vec![7, 0, 0, 4, 1],
            ),
            (
                "knows of 8,193 bytes: head only",
                "frame-too-long",
                vec![8, 0, 0, 0x20, 1],
            ),
            (
                "knows that is no list of digests",
                "frame-content",
                frame_of(8, &[7; 33]),
            ),
            ("gossip without a body", "frame-empty", frame_of(9, b"")),
        ] {
            self.push("frame", what, code, &bytes);
        }
        self.data_heads();
    }

    fn data_heads(&mut self) {
        for (what, code, bytes) in [
            ("nothing", "data-head-length", vec![]),
            ("type 0", "unknown-data", vec![0; 17]),
            ("type 3", "unknown-data", [&[3][..], &[0; 16]].concat()),
            (
                "list with a short xid",
                "data-head-length",
                [&[1][..], &[0; 15]].concat(),
            ),
            (
                "list with a number",
                "data-head-length",
                [&[1][..], &[0; 24]].concat(),
            ),
            (
                "segments without a number",
                "data-head-length",
                [&[2][..], &[0; 16]].concat(),
            ),
        ] {
            self.push("data-head", what, code, &bytes);
        }
    }

    pub(super) fn frame_json(&mut self) {
        let text = |text: &str| text.as_bytes().to_vec();
        for (what, kind, body) in [
            ("not JSON", 21, text("{]")),
            ("not canonical", 4, text(r#"{"what":"card","number":7}"#)),
            (
                "unknown field",
                4,
                text(r#"{"extra":1,"number":7,"what":"card"}"#),
            ),
            ("unknown paper", 4, text(r#"{"number":7,"what":"key"}"#)),
            ("field missing", 21, text(r#"{"code":"busy"}"#)),
            (
                "not UTF-8",
                23,
                b"{\"code\":\"x\",\"text\":\"\xff\"}".to_vec(),
            ),
            ("runs that touch", 18, text(r#"{"missing":[[0,2],[2,1]]}"#)),
            (
                "runs not in order",
                18,
                text(r#"{"missing":[[4,1],[0,1]]}"#),
            ),
            ("an empty run", 18, text(r#"{"missing":[[4,0]]}"#)),
        ] {
            self.push("frame", what, "frame-malformed", &frame_of(kind, &body));
        }
    }

    pub(super) fn frame_contents(&mut self) {
        let hello = |versions: &str| {
            format!(
                r#"{{"card":1,"crls":[],"now":"2026-11-23T09:00:00.000Z","peer_card":1,"peer_crls":[],"versions":{versions}}}"#
            )
        };
        let many: Vec<_> = (1..=17).collect();
        let many = hello(&json!(many).to_string());
        let runs: Vec<_> = (0..1_025).map(|n| [n * 2, 1]).collect();
        let runs = json!({ "missing": runs }).to_string();
        let texts = json!(vec![""; 65]).to_string();
        for (what, kind, body) in [
            ("1,025 runs", 18, runs),
            ("65 disclosures", 17, texts),
            ("no version", 1, hello("[]")),
            ("17 versions", 1, many),
            ("versions not in order", 1, hello("[2,1]")),
            (
                "code in capitals",
                21,
                r#"{"after_s":1,"code":"Busy"}"#.to_owned(),
            ),
            ("empty code", 23, r#"{"code":"","text":""}"#.to_owned()),
            (
                "control character in the text",
                23,
                r#"{"code":"x","text":"a\u001bb"}"#.to_owned(),
            ),
        ] {
            self.push(
                "frame",
                what,
                "frame-content",
                &frame_of(kind, body.as_bytes()),
            );
        }
    }
}
