//! The frames themselves.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::{Ranges, json, limits};
use crate::wire::fault::WireFault;
use crate::wire::message::{Ack, FaultMessage, Hello, Later};

/// The head of a frame: its kind and the length of its body, in bytes.
pub const HEAD_BYTES: usize = 5;

/// One frame.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// First on the control stream, from both sides.
    Hello(Hello),
    /// The sender's newest card: a signed note.
    Card(Vec<u8>),
    /// One of the sender's revocation lists: DER, and the certificates of the CAs between the one that signed it and
    /// the card's.
    Crl(Vec<u8>),
    /// An announced paper is committed.
    Ack(Ack),
    /// The newest checkpoint of the receiving side's log that the sender holds, or one it has heard of; empty for none.
    /// Asks for an `add-checkpoint` from there.
    Held(Vec<u8>),
    /// A newer checkpoint of the sender's log, with its proof (C2SP tlog-witness).
    AddCheckpoint(Vec<u8>),
    /// The sender's cosignature line on the checkpoint that was submitted (C2SP tlog-cosignature).
    Cosignature(Vec<u8>),
    /// Whom the sender has accepted as peers: a digest of 32 bytes for each, good for this connection only.
    Knows(Vec<u8>),
    /// The newest checkpoint of a third authority's log that the sender has cosigned.
    Gossip(Vec<u8>),
    /// First on the stream of an exchange: the `dispatch` note.
    Offer(Vec<u8>),
    /// The disclosures beside an offer, encoded as in RFC 9901.
    Disclosures(Vec<String>),
    /// The offer is admitted; these segments are wanted.
    Accept {
        /// Segments that the receiver has not stored, at most 1,024 runs.
        missing: Ranges,
    },
    /// A receipt: a signed note with one or two signatures.
    Receipt(Vec<u8>),
    /// The age header of the package.
    Header(Vec<u8>),
    /// Not now; try again.
    Later(Later),
    /// The sender has nothing more to say on this stream.
    Done,
    /// The sender gives this stream up.
    Fault(FaultMessage),
}

macro_rules! kinds {
    ($($name:ident = $number:literal $text:literal, $least:literal to $most:expr;)*) => {
        /// The kind of a frame.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FrameKind {
            $(#[doc = concat!("`", $text, "`, number ", $number, " on the wire.")] $name = $number,)*
        }

        impl FrameKind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The kind with this number.
            pub const fn from_number(number: u8) -> Result<Self, WireFault> {
                match number {
                    $($number => Ok(Self::$name),)*
                    unknown => Err(WireFault::UnknownKind(unknown)),
                }
            }

            /// The kind's number on the wire.
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// The kind's name in the protocol.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The shortest and the longest body of this kind, in bytes.
            pub const fn length(self) -> std::ops::RangeInclusive<usize> {
                match self {
                    $(Self::$name => $least..=$most,)*
                }
            }
        }
    };
}

kinds! {
    Hello = 1 "hello", 2 to limits::FRAME_BYTES_MAX;
    Card = 2 "card", 1 to limits::STATEMENT_BYTES_MAX;
    Crl = 3 "crl", 1 to limits::CRL_BYTES_MAX;
    Ack = 4 "ack", 2 to limits::FRAME_BYTES_MAX;
    Held = 5 "held", 0 to limits::STATEMENT_BYTES_MAX;
    AddCheckpoint = 6 "add-checkpoint", 1 to limits::ADD_CHECKPOINT_BYTES_MAX;
    Cosignature = 7 "cosignature", 1 to limits::COSIGNATURE_BYTES_MAX;
    Knows = 8 "knows", 0 to 32 * limits::KNOWN_AUTHORITIES_MAX;
    Gossip = 9 "gossip", 1 to limits::STATEMENT_BYTES_MAX;
    Offer = 16 "offer", 1 to limits::STATEMENT_BYTES_MAX;
    Disclosures = 17 "disclosures", 2 to limits::FRAME_BYTES_MAX;
    Accept = 18 "accept", 2 to limits::FRAME_BYTES_MAX;
    Receipt = 19 "receipt", 1 to limits::STATEMENT_BYTES_MAX;
    Header = 20 "header", 1 to limits::HEADER_BYTES_MAX;
    Later = 21 "later", 2 to limits::FRAME_BYTES_MAX;
    Done = 22 "done", 0 to 0;
    Fault = 23 "fault", 2 to limits::FRAME_BYTES_MAX;
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The first five bytes of a frame, read and within the limits of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// The kind of the frame.
    pub kind: FrameKind,
    /// The length of its body, in bytes.
    pub length: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    missing: Ranges,
}

impl Frame {
    /// The kind of the frame.
    pub const fn kind(&self) -> FrameKind {
        match self {
            Self::Hello(_) => FrameKind::Hello,
            Self::Card(_) => FrameKind::Card,
            Self::Crl(_) => FrameKind::Crl,
            Self::Ack(_) => FrameKind::Ack,
            Self::Held(_) => FrameKind::Held,
            Self::AddCheckpoint(_) => FrameKind::AddCheckpoint,
            Self::Cosignature(_) => FrameKind::Cosignature,
            Self::Knows(_) => FrameKind::Knows,
            Self::Gossip(_) => FrameKind::Gossip,
            Self::Offer(_) => FrameKind::Offer,
            Self::Disclosures(_) => FrameKind::Disclosures,
            Self::Accept { .. } => FrameKind::Accept,
            Self::Receipt(_) => FrameKind::Receipt,
            Self::Header(_) => FrameKind::Header,
            Self::Later(_) => FrameKind::Later,
            Self::Done => FrameKind::Done,
            Self::Fault(_) => FrameKind::Fault,
        }
    }

    /// The body as it stands on the stream.
    pub fn body(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => json::canonical(hello),
            Self::Ack(ack) => json::canonical(ack),
            Self::Disclosures(list) => json::canonical(list),
            Self::Accept { missing } => json::canonical(&Accept {
                missing: missing.clone(),
            }),
            Self::Later(later) => json::canonical(later),
            Self::Fault(fault) => json::canonical(fault),
            Self::Done => Vec::new(),
            Self::Card(raw)
            | Self::Crl(raw)
            | Self::Held(raw)
            | Self::AddCheckpoint(raw)
            | Self::Cosignature(raw)
            | Self::Knows(raw)
            | Self::Gossip(raw)
            | Self::Offer(raw)
            | Self::Receipt(raw)
            | Self::Header(raw) => raw.clone(),
        }
    }

    /// The whole frame as it stands on the stream. Whoever sends it checks its first bytes with [`Frame::head`], as the
    /// other side will.
    pub fn encode(&self) -> Vec<u8> {
        let body = self.body();
        // A length that has no number here is above every limit, as is the largest number.
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let number = [self.kind().number()];
        [number.as_slice(), &length.to_be_bytes(), &body].concat()
    }

    /// Reads the first five bytes, before any memory is spent on the body.
    pub fn head(bytes: &[u8; HEAD_BYTES]) -> Result<FrameHead, WireFault> {
        let [number, length @ ..] = *bytes;
        let kind = FrameKind::from_number(number)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        check_length(kind, length)?;
        Ok(FrameHead { kind, length })
    }

    /// Reads the body of a frame of this kind.
    pub fn decode(kind: FrameKind, body: &[u8]) -> Result<Self, WireFault> {
        check_length(kind, body.len())?;
        let broken = |why| WireFault::Content { kind, why };
        let held = |rule: Option<&'static str>| rule.map_or(Ok(()), |why| Err(broken(why)));
        match kind {
            FrameKind::Hello => {
                let hello: Hello = parse(kind, body)?;
                held(hello.rule_broken())?;
                Ok(Self::Hello(hello))
            }
            FrameKind::Card => Ok(Self::Card(body.to_vec())),
            FrameKind::Crl => Ok(Self::Crl(body.to_vec())),
            FrameKind::Ack => {
                let ack: Ack = parse(kind, body)?;
                held(ack.rule_broken())?;
                Ok(Self::Ack(ack))
            }
            FrameKind::Held => Ok(Self::Held(body.to_vec())),
            FrameKind::AddCheckpoint => Ok(Self::AddCheckpoint(body.to_vec())),
            FrameKind::Cosignature => Ok(Self::Cosignature(body.to_vec())),
            FrameKind::Knows => {
                let whole = body.len().is_multiple_of(32);
                held((!whole).then_some("not a whole number of digests"))?;
                Ok(Self::Knows(body.to_vec()))
            }
            FrameKind::Gossip => Ok(Self::Gossip(body.to_vec())),
            FrameKind::Offer => Ok(Self::Offer(body.to_vec())),
            FrameKind::Disclosures => {
                let list: Vec<String> = parse(kind, body)?;
                held((list.len() > limits::DISCLOSURES_MAX).then_some("more than 64 disclosures"))?;
                Ok(Self::Disclosures(list))
            }
            FrameKind::Accept => {
                let Accept { missing } = parse(kind, body)?;
                let runs = missing.runs().len();
                held((runs > limits::MISSING_RANGES_MAX).then_some("more than 1024 runs"))?;
                Ok(Self::Accept { missing })
            }
            FrameKind::Receipt => Ok(Self::Receipt(body.to_vec())),
            FrameKind::Header => Ok(Self::Header(body.to_vec())),
            FrameKind::Later => {
                let later: Later = parse(kind, body)?;
                held(later.rule_broken())?;
                Ok(Self::Later(later))
            }
            FrameKind::Done => Ok(Self::Done),
            FrameKind::Fault => {
                let fault: FaultMessage = parse(kind, body)?;
                held(fault.rule_broken())?;
                Ok(Self::Fault(fault))
            }
        }
    }
}

/// The kind and length only: what a frame carries is not for logs.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}, {} bytes)", self.kind(), self.body().len())
    }
}

fn check_length(kind: FrameKind, length: usize) -> Result<(), WireFault> {
    let allowed = kind.length();
    if length > *allowed.end() {
        return Err(WireFault::TooLong {
            kind,
            length,
            limit: *allowed.end(),
        });
    }
    if length < *allowed.start() {
        return Err(WireFault::Empty(kind));
    }
    Ok(())
}

fn parse<T: DeserializeOwned + Serialize>(kind: FrameKind, body: &[u8]) -> Result<T, WireFault> {
    json::parse_canonical(body, *kind.length().end())
        .map_err(|fault| WireFault::Json { kind, fault })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::Range;
    use crate::wire::message::ListNumber;

    fn list() -> ListNumber {
        let ca = crate::base::Digest::of(b"ca");
        ListNumber { ca, number: 7 }
    }

    fn hello() -> Hello {
        Hello {
            versions: vec![1],
            now: "2026-11-23T09:00:00.000Z".parse().unwrap(),
            card: 1,
            crls: vec![list()],
            peer_card: 0,
            peer_crls: Vec::new(),
        }
    }

    #[test]
    fn frames_have_one_spelling() {
        let missing = Ranges::from_runs(vec![
            Range { first: 0, count: 2 },
            Range { first: 5, count: 1 },
        ]);
        let later = Later {
            code: "no-space".into(),
            after_s: 60,
        };
        let ca = list().ca.to_string();
        let said = format!(
            r#"{{"card":1,"crls":[{{"ca":"{ca}","number":7}}],"now":"2026-11-23T09:00:00.000Z","peer_card":0,"peer_crls":[],"versions":[1]}}"#
        );
        let acked = format!(r#"{{"ca":"{ca}","number":7,"what":"crl"}}"#);
        for (frame, number, body) in [
            (Frame::Hello(hello()), 1, said.as_str()),
            (Frame::Card(b"note".to_vec()), 2, "note"),
            (Frame::Crl(b"der".to_vec()), 3, "der"),
            (Frame::Ack(Ack::crl(list())), 4, &acked),
            (Frame::Ack(Ack::card(2)), 4, r#"{"number":2,"what":"card"}"#),
            (Frame::Held(b"note".to_vec()), 5, "note"),
            (Frame::Held(Vec::new()), 5, ""),
            (Frame::AddCheckpoint(b"old 0".to_vec()), 6, "old 0"),
            (Frame::Cosignature(b"line".to_vec()), 7, "line"),
            (
                Frame::Knows(vec![b'd'; 64]),
                8,
                "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
            ),
            (Frame::Gossip(b"note".to_vec()), 9, "note"),
            (Frame::Offer(b"note".to_vec()), 16, "note"),
            (
                Frame::Disclosures(vec!["a".into(), "b".into()]),
                17,
                r#"["a","b"]"#,
            ),
            (
                Frame::Accept {
                    missing: missing.unwrap(),
                },
                18,
                r#"{"missing":[[0,2],[5,1]]}"#,
            ),
            (Frame::Receipt(b"note".to_vec()), 19, "note"),
            (Frame::Header(b"age".to_vec()), 20, "age"),
            (
                Frame::Later(later),
                21,
                r#"{"after_s":60,"code":"no-space"}"#,
            ),
            (Frame::Done, 22, ""),
            (
                Frame::Fault(FaultMessage::new("broken", "a\nb")),
                23,
                r#"{"code":"broken","text":"a b"}"#,
            ),
        ] {
            let bytes = frame.encode();
            let (head, rest) = bytes.split_first_chunk().unwrap();
            assert_eq!((head[0], rest), (number, body.as_bytes()));
            let head = Frame::head(head).unwrap();
            assert_eq!((head.kind, head.length), (frame.kind(), rest.len()));
            assert_eq!(Frame::decode(head.kind, rest), Ok(frame));
        }
    }

    fn check(kind: FrameKind, body: &str, code: &str) {
        let got = Frame::decode(kind, body.as_bytes()).map_err(|fault| fault.code());
        assert_eq!(got.err(), Some(code), "{kind}: {body:.90}");
    }

    #[test]
    fn greetings_that_break_a_rule_are_refused() {
        let hello = |versions: &str| {
            let now = "2026-11-23T09:00:00.000Z";
            format!(
                r#"{{"card":1,"crls":[],"now":"{now}","peer_card":0,"peer_crls":[],"versions":{versions}}}"#
            )
        };
        let with = |numbers: &[u8]| {
            let list = |first: &u8| format!(r#"{{"ca":"{first:064}","number":1}}"#);
            let lists: Vec<_> = numbers.iter().map(list).collect();
            hello("[1]").replace(
                r#""peer_crls":[]"#,
                &format!(r#""peer_crls":[{}]"#, lists.join(",")),
            )
        };
        let most = with(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(Frame::decode(FrameKind::Hello, most.as_bytes()).is_ok());
        let many = format!("[{}]", vec!["1"; 17].join(","));
        for (body, code) in [
            (hello("[]"), "frame-content"),
            (hello("[2,1]"), "frame-content"),
            (hello("[1,1]"), "frame-content"),
            (hello(&many), "frame-content"),
            (hello("[-1]"), "frame-malformed"),
            (with(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), "frame-content"),
            (with(&[2, 1]), "frame-content"),
            (with(&[1, 1]), "frame-content"),
            (r#"{"card":1}"#.into(), "frame-malformed"),
        ] {
            check(FrameKind::Hello, &body, code);
        }
    }

    #[test]
    fn a_list_is_acknowledged_with_its_ca_and_a_card_without() {
        let of_ca = format!(r#"{{"ca":"{:064}","number":1,"what":"card"}}"#, 1);
        check(FrameKind::Ack, &of_ca, "frame-content");
        let of_none = r#"{"number":1,"what":"crl"}"#;
        check(FrameKind::Ack, of_none, "frame-content");
    }

    #[test]
    fn bodies_that_break_a_rule_are_refused() {
        let many = |item: &str, count| format!("[{}]", vec![item; count].join(","));
        let runs: Vec<_> = (0..1025).map(|i| format!("[{},1]", i * 2)).collect();
        let fault = |code: &str, text: &str| format!(r#"{{"code":"{code}","text":"{text}"}}"#);
        for (kind, body, code) in [
            (
                FrameKind::Ack,
                r#"{"number":1, "what":"crl"}"#.into(),
                "frame-malformed",
            ),
            (
                FrameKind::Ack,
                r#"{"number":1,"what":"log"}"#.into(),
                "frame-malformed",
            ),
            (
                FrameKind::Ack,
                r#"{"extra":1,"number":1,"what":"crl"}"#.into(),
                "frame-malformed",
            ),
            (FrameKind::Disclosures, many(r#""x""#, 65), "frame-content"),
            (FrameKind::Disclosures, "[1]".into(), "frame-malformed"),
            (
                FrameKind::Accept,
                r#"{"missing":[[5,1],[0,1]]}"#.into(),
                "frame-malformed",
            ),
            (
                FrameKind::Accept,
                format!(r#"{{"missing":[{}]}}"#, runs.join(",")),
                "frame-content",
            ),
            (FrameKind::Fault, fault("Not A Word", ""), "frame-content"),
            (FrameKind::Fault, fault("", ""), "frame-content"),
            (
                FrameKind::Fault,
                fault(&"x".repeat(65), ""),
                "frame-content",
            ),
            (
                FrameKind::Fault,
                fault("x", &"x".repeat(4097)),
                "frame-content",
            ),
            (FrameKind::Fault, fault("x", "\u{9b}31m"), "frame-content"),
            (
                FrameKind::Fault,
                fault("x", &"x".repeat(65536)),
                "frame-too-long",
            ),
            (
                FrameKind::Later,
                r#"{"after_s":1,"code":"a b"}"#.into(),
                "frame-content",
            ),
            (FrameKind::Done, "x".into(), "frame-too-long"),
            (FrameKind::Knows, "x".repeat(33), "frame-content"),
            (FrameKind::Knows, "x".repeat(8_224), "frame-too-long"),
            (FrameKind::AddCheckpoint, String::new(), "frame-empty"),
            (FrameKind::Cosignature, "x".repeat(1_025), "frame-too-long"),
            (FrameKind::Gossip, "x".repeat(16_385), "frame-too-long"),
            (FrameKind::Offer, String::new(), "frame-empty"),
            (FrameKind::Receipt, "x".repeat(16385), "frame-too-long"),
        ] {
            check(kind, &body, code);
        }
    }

    #[test]
    fn heads_are_limited_before_a_body_is_read() {
        for &kind in FrameKind::ALL {
            let most = u32::try_from(*kind.length().end()).unwrap();
            for (length, good) in [(most, true), (most + 1, false), (u32::MAX, false)] {
                let [a, b, c, d] = length.to_be_bytes();
                let head = Frame::head(&[kind.number(), a, b, c, d]);
                assert_eq!(head.is_ok(), good, "{kind} of {length} bytes");
            }
        }
        for number in [0, 10, 15, 24, 255] {
            assert_eq!(
                Frame::head(&[number, 0, 0, 0, 2]),
                Err(WireFault::UnknownKind(number))
            );
        }
        assert_eq!(
            Frame::head(&[16, 0, 0, 0, 0]),
            Err(WireFault::Empty(FrameKind::Offer))
        );
    }

    #[test]
    fn a_fault_is_always_fit_to_be_sent() {
        let fault = FaultMessage::new("broken", &"\u{1b}é".repeat(4096));
        assert_eq!(
            Frame::decode(FrameKind::Fault, &Frame::Fault(fault.clone()).body()),
            Ok(Frame::Fault(fault))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_a_fault(number in 0_u8..26, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(kind) = FrameKind::from_number(number)
                && let Ok(frame) = Frame::decode(kind, &body)
            {
                prop_assert_eq!(frame.body(), body);
            }
        }
    }

    #[test]
    fn an_array_is_no_object() {
        for (kind, body) in [
            (FrameKind::Ack, r#"["crl",7]"#),
            (FrameKind::Accept, "[[[0,3]]]"),
            (FrameKind::Later, r#"["no-space",60]"#),
        ] {
            assert!(
                Frame::decode(kind, body.as_bytes()).is_err(),
                "{kind}: {body}"
            );
        }
    }
}
