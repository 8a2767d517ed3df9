//! Every frame.

use rogatory::base::{Range, Ranges};
use rogatory::identity::ca_id;
use rogatory::wire::{Ack, FaultMessage, Frame, FrameKind, HEAD_BYTES, Hello, Later, ListNumber};
use serde_json::{Value, json};

use crate::exchange::Story;
use crate::log::Witnessing;
use crate::parties::{Party, at};
use crate::sealed::Package;
use crate::{log, small};

/// The frame, and the file that holds its body, if one does.
fn all(
    ie: &Party,
    story: &Story,
    package: &Package,
    witnessing: &Witnessing,
) -> Vec<(Frame, Option<String>)> {
    let note = |name: &str| story.note(name).bytes().to_vec();
    let file = |name: &str| Some(Story::file(name));
    let runs = [(0, 3), (7, 1), (4_096, 1_048_576)].map(Range::from);
    let missing = Ranges::from_runs(runs.to_vec()).expect("they ascend");
    let ca = ca_id(&ie.ca()).expect("a CA");
    let list = ListNumber { ca, number: 7 };
    let hello = Hello {
        versions: vec![1],
        now: at(0),
        card: 1,
        crls: vec![list],
        peer_card: 1,
        peer_crls: vec![ListNumber { ca, number: 2 }],
    };
    let later = Later {
        code: "no-space".to_owned(),
        after_s: 60,
    };
    vec![
        (Frame::Hello(hello), None),
        (
            Frame::Card(note("card-mla.example.ie")),
            file("card-mla.example.ie"),
        ),
        (Frame::Crl(ie.crl()), None),
        (Frame::Ack(Ack::card(1)), None),
        (Frame::Ack(Ack::crl(list)), None),
        (Frame::Held(Vec::new()), None),
        (
            Frame::Held(witnessing.checkpoint.clone()),
            Some(witnessing.checkpoint_file()),
        ),
        (Frame::AddCheckpoint(witnessing.add.clone()), None),
        (Frame::Cosignature(witnessing.line.clone()), None),
        (Frame::Knows(log::knows(ie, &small::exporter())), None),
        (
            Frame::Gossip(witnessing.checkpoint.clone()),
            Some(witnessing.checkpoint_file()),
        ),
        (Frame::Offer(note("dispatch")), file("dispatch")),
        (Frame::Disclosures(story.encoded()), None),
        (Frame::Accept { missing }, None),
        (
            Frame::Accept {
                missing: Ranges::empty(),
            },
            None,
        ),
        (Frame::Receipt(note("consigned-1")), file("consigned-1")),
        (Frame::Receipt(note("consigned-2")), file("consigned-2")),
        (
            Frame::Header(package.header.clone()),
            Some("package/package.age".to_owned()),
        ),
        (Frame::Later(later), None),
        (Frame::Done, None),
        (
            Frame::Fault(FaultMessage::new(
                "list-root",
                "the segment hashes are of another payload",
            )),
            None,
        ),
    ]
}

pub(crate) fn frames(
    ie: &Party,
    story: &Story,
    package: &Package,
    witnessing: &Witnessing,
) -> Value {
    let all = all(ie, story, package, witnessing);
    for kind in FrameKind::ALL {
        assert!(all.iter().any(|(frame, _)| frame.kind() == *kind), "{kind}");
    }
    let described = all.into_iter().map(|(frame, file)| {
        let bytes = frame.encode();
        let (head, body) = bytes.split_first_chunk::<HEAD_BYTES>().expect("a head");
        let head = Frame::head(head).expect("it is within limits");
        assert_eq!(head.length, body.len());
        assert_eq!(Frame::decode(head.kind, body), Ok(frame));
        let mut one = json!({
            "frame": head.kind.as_str(),
            "type": head.kind as u8,
            "length": head.length,
            "bytes": hex::encode(&bytes),
        });
        if let Some(file) = file {
            one["body_is_in"] = json!(file);
        } else if let Ok(json) = serde_json::from_slice::<Value>(body) {
            one["body"] = json;
        }
        one
    });
    described.collect()
}
