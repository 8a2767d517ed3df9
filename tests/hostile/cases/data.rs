//! Data streams: lists and segments that are not what the dispatch says.

use crate::attack::Parcel;
use crate::script::{Case, Say, Scene, Stage};

const SEGMENT: usize = 1 << 20;

type Streams = fn(&Parcel) -> Vec<Vec<u8>>;

fn told(scene: Scene, table: &[(&'static str, &'static str, Streams)]) -> Vec<Case> {
    let case = |(what, want, streams): &(&'static str, &'static str, Streams)| {
        let streams = *streams;
        Case::new(scene, *what, *want, move |stage: &Stage<'_>| {
            streams(stage.parcel).into_iter().map(Say::Data).collect()
        })
    };
    table.iter().map(case).collect()
}

fn flipped(parcel: &Parcel, at: usize) -> Vec<u8> {
    let mut payload = parcel.payload.clone();
    payload[at] ^= 1;
    payload
}

/// A small payload: it is one segment, and follows its offer unasked.
pub(crate) fn small() -> Vec<Case> {
    told(
        Scene::Small,
        &[
            ("a wrong root", "wrong-root", |p| {
                vec![[&p.list()[..17], &[1; 32]].concat()]
            }),
            ("a list of two", "wrong-length", |p| {
                vec![[&p.list()[..], &[1; 32]].concat()]
            }),
            ("a list of 1 MiB", "wrong-length", |p| {
                vec![[&p.list()[..], &vec![1; SEGMENT]].concat()]
            }),
            ("a list and a byte", "wrong-length", |p| {
                vec![[&p.list()[..], b"x"].concat()]
            }),
            ("an empty list", "wrong-length", |p| {
                vec![p.list()[..17].to_vec()]
            }),
            ("half a list", "wrong-length", |p| {
                vec![p.list()[..40].to_vec()]
            }),
            ("another payload", "wrong-hash", |p| {
                vec![p.segments(0, &flipped(p, 0))]
            }),
            ("another last byte", "wrong-hash", |p| {
                vec![p.segments(0, &flipped(p, p.payload.len() - 1))]
            }),
            ("more payload", "wrong-length", |p| {
                vec![p.segments(0, &[&p.payload[..], b"x"].concat())]
            }),
            ("1 MiB of payload", "wrong-length", |p| {
                vec![p.segments(0, &vec![1; SEGMENT])]
            }),
            ("less payload", "wrong-length", |p| {
                vec![p.segments(0, &p.payload[1..])]
            }),
            ("no payload", "wrong-length", |p| vec![p.segments(0, b"")]),
            ("segment 1", "segment-outside", |p| {
                vec![p.segments(1, &p.payload)]
            }),
            ("segment 2^32", "segment-outside", |p| {
                vec![p.segments(1 << 32, &p.payload)]
            }),
            ("segment 2^64 - 1", "segment-outside", |p| {
                vec![p.segments(u64::MAX, &p.payload)]
            }),
            ("bad and good at once", "wrong-hash|consigned", |p| {
                vec![
                    p.segments(0, &flipped(p, 3)),
                    p.list(),
                    p.segments(0, &p.payload),
                ]
            }),
            ("the payload 15 times", "consigned", |p| {
                let mut all = vec![p.segments(0, &p.payload); 15];
                all.push(p.list());
                all
            }),
            ("the list 15 times", "consigned", |p| {
                let mut all = vec![p.list(); 15];
                all.push(p.segments(0, &p.payload));
                all
            }),
        ],
    )
}

/// The list of a large payload.
pub(crate) fn lists() -> Vec<Case> {
    told(
        Scene::Large,
        &[
            ("a wrong root", "wrong-root", |p| {
                vec![[&p.list()[..17], &[1; 96]].concat()]
            }),
            ("hashes in another order", "wrong-root", |p| {
                let list = p.list();
                vec![[&list[..17], &list[49..81], &list[17..49], &list[81..]].concat()]
            }),
            ("an empty list", "wrong-count", |p| {
                vec![p.list()[..17].to_vec()]
            }),
            ("a list that is too short", "wrong-count", |p| {
                vec![p.list()[..17 + 64].to_vec()]
            }),
            ("half a hash", "wrong-count", |p| {
                vec![p.list()[..17 + 65].to_vec()]
            }),
            ("a hash too many", "wrong-count", |p| {
                vec![[&p.list()[..], &[1; 32]].concat()]
            }),
            ("a byte too many", "wrong-count", |p| {
                vec![[&p.list()[..], b"x"].concat()]
            }),
            ("a list of 1 MiB", "wrong-count", |p| {
                vec![[&p.list()[..], &vec![1; SEGMENT]].concat()]
            }),
            ("a list of 8 MiB", "wrong-count", |p| {
                vec![[&p.list()[..], &vec![1; 8 * SEGMENT]].concat()]
            }),
            ("segments before their list", "no-list", |p| {
                vec![p.segments(0, &p.payload)]
            }),
            (
                "a segment outside before the list",
                "segment-outside",
                |p| vec![p.segments(9, b"x")],
            ),
        ],
    )
}

/// Its segments.
pub(crate) fn segments() -> Vec<Case> {
    told(
        Scene::Collecting,
        &[
            ("a wrong segment", "wrong-hash", |p| {
                vec![p.segments(1, &flipped(p, SEGMENT)[SEGMENT..])]
            }),
            ("a wrong first byte", "wrong-hash", |p| {
                vec![p.segments(0, &flipped(p, 0))]
            }),
            ("a wrong last byte", "wrong-hash", |p| {
                vec![p.segments(2, &flipped(p, 2 * SEGMENT + 4)[2 * SEGMENT..])]
            }),
            ("segments in the wrong place", "wrong-hash", |p| {
                vec![p.segments(1, &p.payload)]
            }),
            ("half a segment", "wrong-length", |p| {
                vec![p.segments(0, &p.payload[..SEGMENT / 2])]
            }),
            ("one and a half", "wrong-length", |p| {
                vec![p.segments(0, &p.payload[..SEGMENT * 3 / 2])]
            }),
            ("a last segment that is short", "wrong-length", |p| {
                vec![p.segments(2, &p.payload[2 * SEGMENT + 1..])]
            }),
            ("a last segment that is long", "segment-outside", |p| {
                vec![p.segments(2, &[&p.payload[2 * SEGMENT..], b"x"].concat())]
            }),
            // When the payload is whole before the rest is read, the rest is not read at all.
            ("more than the payload", "segment-outside|consigned", |p| {
                vec![p.segments(0, &[&p.payload[..], &[0; 4096]].concat())]
            }),
            ("a segment outside", "segment-outside", |p| {
                vec![p.segments(3, b"x")]
            }),
            ("a segment far outside", "segment-outside", |p| {
                vec![p.segments(u64::MAX, b"x")]
            }),
            ("segment 2^44", "segment-outside", |p| {
                vec![p.segments(1 << 44, b"x")]
            }),
            ("the second list, wrong", "consigned", |p| {
                vec![
                    [&p.list()[..17], &[1; 96]].concat(),
                    p.segments(0, &p.payload),
                ]
            }),
            ("all of it twice", "consigned", |p| {
                vec![p.segments(0, &p.payload), p.segments(0, &p.payload)]
            }),
            ("overlapping runs", "consigned", |p| {
                vec![
                    p.segments(1, &p.payload[SEGMENT..]),
                    p.segments(0, &p.payload[..2 * SEGMENT]),
                ]
            }),
            ("the last first", "consigned", |p| {
                vec![
                    p.segments(2, &p.payload[2 * SEGMENT..]),
                    p.segments(0, &p.payload[..2 * SEGMENT]),
                ]
            }),
            ("an empty run and then all", "consigned", |p| {
                vec![p.segments(0, b""), p.segments(0, &p.payload)]
            }),
        ],
    )
}

/// Streams that are cut, of others, or of no kind.
pub(crate) fn odd() -> Vec<Case> {
    vec![
        Case::new(
            Scene::Collecting,
            "a stream that is reset, then all",
            "consigned",
            |stage| {
                let parcel = stage.parcel;
                vec![
                    Say::CutData(parcel.segments(0, &parcel.payload[..700_000])),
                    Say::Data(parcel.segments(0, &parcel.payload)),
                ]
            },
        ),
        Case::new(
            Scene::Collecting,
            "heads that are cut, then all",
            "consigned",
            |stage| {
                let parcel = stage.parcel;
                let head = parcel.segments(0, b"");
                let mut says: Vec<_> = (0..head.len())
                    .map(|at| Say::CutData(head[..at].to_vec()))
                    .collect();
                says.push(Say::Data(parcel.segments(0, &parcel.payload)));
                says
            },
        ),
        Case::new(
            Scene::Small,
            "data of another's exchange first",
            "consigned",
            |stage| {
                let (parcel, other) = (stage.parcel, stage.attacker.honest());
                vec![
                    Say::Data(other.list()),
                    Say::Data(other.segments(0, &other.payload)),
                    Say::Data(parcel.list()),
                    Say::Data(parcel.segments(0, &parcel.payload)),
                ]
            },
        ),
    ]
}
