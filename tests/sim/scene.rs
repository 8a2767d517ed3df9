//! The scene that a seed draws: who there is, what is sent, and what goes wrong until the faults stop.

use rogatory::base::{Digest, limits};
use rogatory::package::segments;

use crate::chance::Chance;
use crate::disk::Content;
use crate::node::PACKAGE_MAX;

/// Faults happen until this millisecond; then everything heals.
pub(crate) const FAULTS_UNTIL_MS: u64 = 20 * 60 * 1_000;
/// So long after that every exchange must have ended: backoff, patience and a full round of both, several times over.
pub(crate) const PEACE_MS: u64 = 60 * 60 * 1_000;

/// The special feature of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// Nothing.
    Plain,
    /// The receiver's policy refuses its handling code.
    AboveCeiling,
    /// Its sunset is the day on which the run begins, shortly before midnight.
    SunsetTonight,
    /// It is longer than the receiver takes.
    TooLarge,
    /// Its header does not open it.
    BadHeader,
    /// The sender takes it back at this moment.
    Withdrawn(u64),
    /// The sender gives up after so long.
    GivenUp(u64),
}

/// A package that somebody wants to send.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) at: u64,
    pub(crate) len: u64,
    pub(crate) contents: Vec<Content>,
    pub(crate) header: Vec<u8>,
    pub(crate) quirk: Quirk,
}

impl Parcel {
    /// The root over its segments.
    pub(crate) fn body(&self) -> Digest {
        body_of(&self.contents)
    }

    /// Whether it lives in the ledger.
    pub(crate) fn is_inline(&self) -> bool {
        self.len <= limits::INLINE_PAYLOAD_BYTES_MAX
    }
}

/// The root over segments with these contents.
pub(crate) fn body_of(contents: &[Content]) -> Digest {
    let hash = |content: &Content| segments::segment_hash(&content.to_be_bytes());
    segments::root_of(contents.iter().map(hash))
}

/// An event that troubles the world.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mischief {
    /// The process ends; what it wrote is in the cache of the kernel.
    Kill(usize),
    /// The power fails.
    PowerCut(usize),
    /// The process ends after so many more effects.
    CrashAfter(usize, u64, bool),
    /// A connection breaks.
    Cut(usize),
    /// Two authorities cannot reach each other for so long.
    Partition(usize, usize, u64),
    /// The disk has no space for so long.
    Full(usize, u64),
    /// The next so many writes work, then the disk is full for a while.
    FullAfter(usize, u64),
    /// The disk is slow for so long.
    Slow(usize, u64),
    /// A flush fails.
    FlushFails(usize),
    /// The clock is set by so many milliseconds.
    ClockStep(usize, i64),
    /// Somebody repeats what a sender once said.
    Replay,
    /// An authority dials another for no reason.
    Dial(usize, usize),
}

/// A whole run, before it begins.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) authorities: usize,
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) mischief: Vec<(u64, Mischief)>,
    /// Milliseconds since 1970 at the beginning.
    pub(crate) begins: i64,
    /// Of each authority: its clock's error in milliseconds, and its drift in parts per million.
    pub(crate) clocks: Vec<(i64, i64)>,
    /// How often a packet is lost, in thousandths.
    pub(crate) loss: u64,
    /// The longest step of a disk, in milliseconds.
    pub(crate) disk: u64,
    /// How often it is looked at what has expired, in milliseconds.
    pub(crate) sweep: u64,
}

impl Scene {
    /// The run of this seed.
    pub(crate) fn of(chance: &mut Chance) -> Self {
        let authorities = if chance.one_in(3) {
            usize::try_from(chance.between(3, 4)).unwrap_or(3)
        } else {
            2
        };
        let begins = 1_795_000_000_000 / 86_400_000 * 86_400_000 + 86_400_000
            - i64::try_from(chance.between(60_000, 3_600_000)).unwrap_or(0);
        let clocks = (0..authorities)
            .map(|_| {
                let wide = if chance.one_in(6) { 400_000 } else { 20_000 };
                let skew = signed(chance, wide);
                (skew, signed(chance, 200))
            })
            .collect();
        let count = chance.between(1, 3);
        let parcels = (0..count)
            .map(|number| parcel(chance, authorities, number))
            .collect();
        let troubles = chance.between(1, 12);
        let mut mischief: Vec<_> = (0..troubles)
            .map(|_| {
                // Most while the parcels are under way, some among the repeats.
                let until = match chance.below(8) {
                    0 => FAULTS_UNTIL_MS,
                    1 => 200_000,
                    _ => 15_000,
                };
                (chance.below(until), trouble(chance, authorities))
            })
            .collect();
        mischief.sort_by_key(|(at, _)| *at);
        let loss = chance.below(31) * 10;
        let disk = match chance.below(4) {
            0 => 150,
            1 => 1_500,
            _ => 4,
        };
        let sweep = if chance.one_in(2) { 3_000 } else { 60_000 };
        Self {
            authorities,
            parcels,
            mischief,
            begins,
            clocks,
            loss,
            disk,
            sweep,
        }
    }
}

fn signed(chance: &mut Chance, most: u64) -> i64 {
    let size = i64::try_from(chance.below(most)).unwrap_or(0);
    if chance.one_in(2) { size } else { -size }
}

fn parcel(chance: &mut Chance, authorities: usize, number: u64) -> Parcel {
    let from = chance.place(authorities);
    let to = (from + 1 + chance.place(authorities - 1)) % authorities;
    let quirk = match chance.below(16) {
        0 => Quirk::AboveCeiling,
        1 => Quirk::SunsetTonight,
        2 => Quirk::TooLarge,
        3 => Quirk::BadHeader,
        4 | 5 => Quirk::Withdrawn(chance.below(9_000)),
        6 | 7 => Quirk::GivenUp(chance.below(9_000)),
        _ => Quirk::Plain,
    };
    let len = match chance.below(8) {
        _ if quirk == Quirk::TooLarge => PACKAGE_MAX + 1,
        0 => 1,
        1 => limits::INLINE_PAYLOAD_BYTES_MAX,
        2 => limits::INLINE_PAYLOAD_BYTES_MAX + 1,
        3 => chance.between(32, 9_999),
        4 => limits::SEGMENT_BYTES,
        5 => 20 * limits::SEGMENT_BYTES + chance.below(9),
        _ => chance.between(1, 6) * limits::SEGMENT_BYTES + chance.below(1_000),
    };
    let contents = (0..segments::count(len))
        .map(|segment| ((number + 1) << 32) | (segment + 1))
        .collect();
    Parcel {
        from,
        to,
        at: chance.below(12_000),
        len,
        contents,
        header: chance.bytes::<64>().to_vec(),
        quirk,
    }
}

fn trouble(chance: &mut Chance, authorities: usize) -> Mischief {
    let node = chance.place(authorities);
    let other = (node + 1 + chance.place(authorities - 1)) % authorities;
    match chance.below(20) {
        0 | 16 => Mischief::Kill(node),
        1 => Mischief::PowerCut(node),
        2..=5 => Mischief::CrashAfter(node, chance.below(60), chance.one_in(2)),
        6 | 7 | 17..=19 => Mischief::Cut(chance.place(8)),
        8 => Mischief::Partition(node, other, chance.between(100, 60_000)),
        9 => Mischief::Full(node, chance.between(1_000, 300_000)),
        10 => Mischief::FullAfter(node, chance.below(30)),
        11 => Mischief::Slow(node, chance.between(1_000, 200_000)),
        12 => Mischief::FlushFails(node),
        13 => {
            let wide = if chance.one_in(2) { 30_000 } else { 900_000 };
            Mischief::ClockStep(node, signed(chance, wide))
        }
        14 => Mischief::Replay,
        _ => Mischief::Dial(node, other),
    }
}
