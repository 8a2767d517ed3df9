mod chain;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::base::{AuthorityId, Digest, Xid};
use crate::identity::keys::{KeyName, Role, SecretKey};
use crate::policy::{Purpose, Terms};
use crate::receipt::{Issuer, Kind, Party, Pkg, Reason, Receipt, Signed, Stamp};

const SENDER: &str = "bfj.example.de";
const RECEIVER: &str = "mla.example.ie";

fn key(authority: &str) -> SecretKey {
    let name = KeyName::new(authority.parse().unwrap(), Role::Receipts);
    SecretKey::from_seed(name, &[authority.len().try_into().unwrap(); 32])
}

fn stamp() -> Stamp {
    Stamp {
        t: "2026-11-23T09:00:00.000Z".parse().unwrap(),
        clk: 50,
        pol: Digest::of(b"policy"),
        ses: Some(Digest::of(b"session")),
        heads: Vec::new(),
    }
}

fn dispatch() -> Signed {
    let terms = Terms::new(
        "EIO".parse().unwrap(),
        [Purpose::Prosecution],
        "2031-12-31".parse().unwrap(),
    );
    let receipt = Receipt::dispatch(
        Xid::from_bytes([7; 16]),
        Party::of(1, &key(SENDER).public()),
        Party::of(1, &key(RECEIVER).public()),
        Pkg::new(Digest::of(b"body"), Digest::of(b"hdr"), 4096),
        terms,
    );
    let receipt = receipt.stamped(&stamp());
    let note = receipt.sign(&key(SENDER)).unwrap();
    Signed { receipt, note }
}

/// A statement of this kind after that one, signed by its issuer.
fn next(before: &Signed, kind: Kind) -> Signed {
    let mut receipt = before.receipt.follow(&before.note, kind).stamped(&stamp());
    receipt.reason = kind.is_reasoned().then(|| Reason {
        code: "retention-ended".to_owned(),
        clause: "Directive (EU) 2016/680 art. 5".to_owned(),
    });
    receipt.released = (kind == Kind::Access).then_some(1);
    if kind == Kind::Access || kind.is_consent() {
        receipt.purpose = Some(Purpose::Prosecution);
    }
    if kind == Kind::ConsentGiven {
        receipt.until = "2027-06-30".parse().ok();
    }
    if kind == Kind::Onward {
        receipt.third = "mj.example.fr".parse().ok();
        receipt.subject = Some(Digest::of(b"handover"));
    }
    let issuer = match kind.profile().issuer {
        Issuer::Receiver => RECEIVER,
        Issuer::Sender | Issuer::Own => SENDER,
    };
    let note = receipt.sign(&key(issuer)).unwrap();
    Signed { receipt, note }
}

/// The same statement with the signature of the other side.
fn both(one: &Signed) -> Signed {
    let other = match one.receipt.kind.profile().issuer {
        Issuer::Receiver => SENDER,
        Issuer::Sender | Issuer::Own => RECEIVER,
    };
    let note = one.receipt.countersign(&one.note, &key(other)).unwrap();
    let receipt = one.receipt.clone();
    Signed { receipt, note }
}

/// All that is kept of a package that was handed over, used, restricted and destroyed, at the sender and at the
/// receiver.
fn lives() -> [(Direction, Vec<Signed>); 2] {
    let dispatch = dispatch();
    let consigned = next(&dispatch, Kind::Consigned);
    let handover = next(&consigned, Kind::Handover);
    let access = next(&handover, Kind::Access);
    let asked = next(&handover, Kind::ConsentAsked);
    let given = next(&asked, Kind::ConsentGiven);
    let changed = next(&handover, Kind::RestrictionChanged);
    let destroyed = next(&changed, Kind::Destroyed);
    let told = [&access, &asked, &given, &changed].map(Clone::clone);
    let mut sent = vec![dispatch.clone(), both(&consigned), both(&handover)];
    sent.extend(told.clone());
    sent.push(both(&destroyed));
    let mut received = vec![dispatch, consigned.clone(), both(&consigned)];
    received.extend([handover.clone(), both(&handover)]);
    received.extend(told);
    received.extend([destroyed.clone(), both(&destroyed)]);
    [(Direction::Out, sent), (Direction::In, received)]
}

/// The phases by the statements that are there, whatever their order.
fn by_presence(direction: Direction, statements: &[Signed]) -> Vec<Phase> {
    let has = |kind, signatures| {
        let is_it =
            |it: &Signed| it.receipt.kind == kind && it.note.signatures().len() == signatures;
        statements.iter().any(is_it)
    };
    let words = [Kind::RestrictionChanged, Kind::ConsentGiven];
    match direction {
        _ if has(Kind::Destroyed, 2) => vec![Phase::Destroyed],
        Direction::Out if words.iter().any(|kind| has(*kind, 1)) => {
            vec![Phase::RestrictionSigned, Phase::Closed]
        }
        Direction::Out if has(Kind::Handover, 2) => vec![Phase::Delivered, Phase::Closed],
        Direction::Out if has(Kind::Consigned, 2) => vec![Phase::Consigned],
        Direction::Out => vec![Phase::Dispatched],
        Direction::In if has(Kind::Destroyed, 1) => vec![Phase::DestructionSigned],
        Direction::In if has(Kind::Handover, 2) => vec![Phase::Held],
        Direction::In if has(Kind::Handover, 1) => vec![Phase::HandoverSigned],
        Direction::In if has(Kind::Consigned, 1) => vec![Phase::Consigned],
        Direction::In => vec![Phase::Receiving],
    }
}

fn own(direction: Direction) -> AuthorityId {
    let own = match direction {
        Direction::Out => SENDER,
        Direction::In => RECEIVER,
    };
    own.parse().unwrap()
}

#[test]
fn each_prefix_of_a_life_folds_to_its_phase() {
    for (direction, life) in lives() {
        for length in 1..=life.len() {
            let kept = life[..length].to_vec();
            let expected = by_presence(direction, &kept);
            let history = History::fold(&own(direction), kept).unwrap();
            assert_eq!(history.phases(), expected, "{direction} {length}");
            assert_eq!(history.direction(), direction);
        }
        assert_eq!(
            History::fold(&"mj.example.fr".parse().unwrap(), life).unwrap_err(),
            HistoryFault::NotBetween
        );
    }
}

proptest! {
    /// Statements in any order, the last ones missing, fold to the phase that their presence gives, or are refused.
    #[test]
    fn any_order_folds_to_one_state_or_is_refused(
        moves in prop::collection::vec((any::<Index>(), any::<Index>()), 0..6),
        dropped in prop::option::of(any::<Index>()),
    ) {
        for (direction, mut life) in lives() {
            for (from, to) in &moves {
                let moved = life.remove(from.index(life.len()));
                life.insert(to.index(life.len() + 1), moved);
            }
            if let Some(dropped) = &dropped {
                life.truncate(dropped.index(life.len()));
            }
            let expected = by_presence(direction, &life);
            if let Ok(history) = History::fold(&own(direction), life) {
                prop_assert_eq!(history.phases(), expected);
            }
        }
    }
}

/// After the handover, what both sides say may cross on its way: each order of it folds, and to the same state.
#[test]
fn statements_after_the_handover_may_cross() {
    for (direction, life) in lives() {
        let begins = life.iter().position(|it| it.receipt.kind == Kind::Access);
        let begins = begins.unwrap();
        // The wish comes before its answer.
        for order in [[0, 1, 2, 3], [3, 1, 2, 0], [1, 3, 0, 2], [1, 2, 3, 0]] {
            let mut kept = life[..begins].to_vec();
            kept.extend(order.map(|at| life[begins + at].clone()));
            let expected = by_presence(direction, &kept);
            let history = History::fold(&own(direction), kept).unwrap();
            assert_eq!(history.phases(), expected, "{direction} {order:?}");
        }
    }
}

fn folded(direction: Direction, kept: &[&Signed]) -> Result<Vec<Phase>, HistoryFault> {
    let kept = kept.iter().map(|it| (*it).clone()).collect();
    History::fold(&own(direction), kept).map(|it| it.phases().to_vec())
}

#[test]
fn a_delivery_that_ends_without_a_handover() {
    let dispatch = dispatch();
    let lapses = [Kind::Expired, Kind::Withdrawn].map(|kind| next(&dispatch, kind));
    let rejected = next(&dispatch, Kind::Rejected);
    let consigned = next(&dispatch, Kind::Consigned);
    let both_consigned = both(&consigned);
    let failed = next(&consigned, Kind::HandoverFailed);
    let both_failed = both(&failed);
    let ends = [Phase::Expired, Phase::Withdrawn];
    for (lapse, end) in lapses.iter().zip(ends) {
        let sent = folded(Direction::Out, &[&dispatch, lapse]);
        assert_eq!(sent, Ok(vec![end]));
        for before in [&[][..], &[&consigned]] {
            let kept: Vec<_> = [&[&dispatch], before, &[lapse]].concat();
            assert_eq!(folded(Direction::In, &kept), Ok(vec![Phase::Lapsed]));
        }
        let late = folded(Direction::Out, &[&dispatch, &both_consigned, lapse]);
        let (kind, phase) = (lapse.receipt.kind, Phase::Consigned);
        assert_eq!(late, Err(HistoryFault::TooEarlyOrLate { kind, phase }));
    }
    for (direction, end) in [
        (Direction::Out, Phase::Rejected),
        (Direction::In, Phase::Refused),
    ] {
        let refused = folded(direction, &[&dispatch, &rejected]);
        assert_eq!(refused, Ok(vec![end]));
    }
    let sent = [&dispatch, &both_consigned, &both_failed];
    assert_eq!(folded(Direction::Out, &sent), Ok(vec![Phase::Failed]));
    let received = [&dispatch, &consigned, &both_consigned, &failed];
    let signed = Ok(vec![Phase::HandoverSigned]);
    assert_eq!(folded(Direction::In, &received), signed);
    let received = [&received[..], &[&both_failed]].concat();
    assert_eq!(folded(Direction::In, &received), Ok(vec![Phase::Failed]));
}

/// Once a destruction is signed, the receiver states nothing new of the package but openings that were cut off, and
/// what the sender says may still come.
#[test]
fn statements_beside_a_destruction() {
    let dispatch = dispatch();
    let consigned = next(&dispatch, Kind::Consigned);
    let handover = next(&consigned, Kind::Handover);
    let destroyed = next(&handover, Kind::Destroyed);
    let [both_consigned, both_handover, both_destroyed] =
        [&consigned, &handover, &destroyed].map(both);
    let sent = [&dispatch, &both_consigned, &both_handover];
    let received = [
        &dispatch,
        &consigned,
        &both_consigned,
        &handover,
        &both_handover,
    ];
    for (kind, is_late) in [
        (Kind::Access, true),
        (Kind::RestrictionChanged, true),
        (Kind::AccessDenied, false),
        (Kind::ConsentAsked, false),
        (Kind::ContentMismatch, false),
        (Kind::Onward, false),
        (Kind::UseReport, false),
    ] {
        let late = next(&handover, kind);
        let held = folded(Direction::In, &[&received[..], &[&late]].concat());
        assert_eq!(held, Ok(vec![Phase::Held]), "{kind}");
        let told = folded(
            Direction::In,
            &[&received[..], &[&destroyed, &late]].concat(),
        );
        let phase = Phase::DestructionSigned;
        let refused = HistoryFault::TooEarlyOrLate { kind, phase };
        let expected = if is_late {
            Ok(vec![phase])
        } else {
            Err(refused)
        };
        assert_eq!(told, expected, "{kind}");
        let ended = [&destroyed, &both_destroyed, &late];
        let ended = folded(Direction::In, &[&received[..], &ended].concat());
        let may = is_late || kind == Kind::Onward;
        assert_eq!(ended.is_ok(), may, "{kind}");
        // The sender hears what it is told of, before and after; its own stricter terms bind nothing that is destroyed.
        let is_told = matches!(
            kind,
            Kind::Access
                | Kind::ConsentAsked
                | Kind::ContentMismatch
                | Kind::Onward
                | Kind::UseReport
        );
        let heard = folded(
            Direction::Out,
            &[&sent[..], &[&both_destroyed, &late]].concat(),
        );
        assert_eq!(heard.is_ok(), is_told, "{kind}");
    }
}

/// The acknowledgement of a handover does not stand for that of stricter terms.
#[test]
fn each_acknowledgement_is_of_its_own_statement() {
    for (phase, of, next) in [
        (Phase::Delivered, Kind::Handover, Some(Phase::Closed)),
        (Phase::Delivered, Kind::RestrictionChanged, None),
        (Phase::RestrictionSigned, Kind::Handover, None),
        (
            Phase::RestrictionSigned,
            Kind::RestrictionChanged,
            Some(Phase::Closed),
        ),
        (Phase::Closed, Kind::Handover, None),
    ] {
        let after = phase.after(Direction::Out, Step::Acknowledged(of));
        assert_eq!(after, next, "{phase} {of}");
    }
}

#[test]
fn statements_that_do_not_belong_there_are_named() {
    let [(_, sent), (_, received)] = lives();
    let at = |life: &[Signed], places: &[usize]| {
        let kept = places.iter().map(|at| life[*at].clone()).collect();
        let direction = if life.len() == sent.len() {
            Direction::Out
        } else {
            Direction::In
        };
        History::fold(&own(direction), kept).unwrap_err()
    };
    assert_eq!(at(&sent, &[]), HistoryFault::Empty);
    let (kind, number) = (Kind::Consigned, 1);
    assert_eq!(at(&sent, &[1, 2]), HistoryFault::Beginning { kind, number });
    let (kind, number) = (Kind::Dispatch, 2);
    assert_eq!(at(&sent, &[0, 0]), HistoryFault::Beginning { kind, number });
    let unlinked = HistoryFault::Unlinked(Kind::Handover);
    assert_eq!(at(&sent, &[0, 2]), unlinked);
    // Both sign a handover after its receiver has, and a package is destroyed once.
    let (kind, phase) = (Kind::Handover, Phase::Consigned);
    let early = HistoryFault::TooEarlyOrLate { kind, phase };
    assert_eq!(at(&received, &[0, 1, 4]), early);
    let (kind, phase) = (Kind::Destroyed, Phase::Destroyed);
    let late = HistoryFault::TooEarlyOrLate { kind, phase };
    assert_eq!(at(&sent, &[0, 1, 2, 6, 7, 7]), late);
}

/// From its beginning, every phase of a side is reached, and no phase of the other side.
#[test]
fn the_table_reaches_each_phase_of_its_side() {
    let steps: Vec<_> = Kind::ALL
        .iter()
        .flat_map(|kind| [Step::Signed(*kind), Step::Countersigned(*kind)])
        .chain([Kind::Handover, Kind::RestrictionChanged].map(Step::Acknowledged))
        .collect();
    let mut sides = Vec::new();
    for direction in Direction::ALL {
        let mut reached = vec![Phase::first(*direction)];
        let mut looked_at = 0;
        while let Some(phase) = reached.get(looked_at).copied() {
            looked_at += 1;
            for step in &steps {
                let after = phase.after(*direction, *step);
                reached.extend(after.filter(|after| !reached.contains(after)));
            }
        }
        sides.push(reached);
    }
    for phase in Phase::ALL {
        let on = sides.iter().filter(|side| side.contains(phase)).count();
        let both = [Phase::Consigned, Phase::Failed, Phase::Destroyed];
        assert_eq!(on, 1 + usize::from(both.contains(phase)), "{phase}");
    }
}

/// Only what both sides sign is ever countersigned, and each kind about a package has a step at the side that issues
/// it.
#[test]
fn the_table_agrees_with_the_kinds() {
    for kind in Kind::ALL {
        let taken = |direction: Direction, step| {
            let mut all = Phase::ALL.iter();
            all.any(|phase| phase.after(direction, step).is_some())
        };
        for direction in Direction::ALL {
            let both = taken(*direction, Step::Countersigned(*kind));
            assert_eq!(both, kind.profile().countersigned, "{direction} {kind}");
        }
        let issuer = match kind.profile().issuer {
            Issuer::Sender => Direction::Out,
            Issuer::Receiver => Direction::In,
            Issuer::Own => continue,
        };
        let is_step = taken(issuer, Step::Signed(*kind));
        assert_eq!(is_step, !kind.is_first(), "{kind}");
    }
}
