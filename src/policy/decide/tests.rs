mod heard;
mod property;

use super::*;
use crate::base::{AuthorityId, Timestamp, limits};
use crate::policy::action::Action;
use crate::policy::consent::{Consent, Consented};
use crate::policy::facts::Circumstances;
use crate::policy::purpose::Purpose;
use crate::policy::role::{Role, Roles};
use crate::policy::terms::Terms;

const OWN: &str = "mla.example.ie";
const PEER: &str = "bfj.example.de";
const THIRD: &str = "mj.example.fr";
/// In the retention and the sunset of `terms()`.
const NOW: &str = "2026-11-23T09:00:00.000Z";

fn terms() -> Terms {
    let purposes = [Purpose::Investigation, Purpose::Prosecution];
    let mut terms = Terms::new(
        "EIO".parse().unwrap(),
        purposes,
        "2031-12-31".parse().unwrap(),
    );
    terms.sunset = "2030-06-30".parse().ok();
    terms
}

/// One row of the decision table: the ordinary case of an action, and what differs.
#[derive(Clone)]
struct Row {
    action: Action,
    own: &'static str,
    from: &'static str,
    to: &'static str,
    roles: Roles,
    purpose: Option<Purpose>,
    now: &'static str,
    ceiling: Option<Handling>,
    terms: Terms,
}

fn row(action: Action) -> Row {
    let (from, to) = match action {
        Action::Send => (OWN, PEER),
        Action::Admit
        | Action::Open
        | Action::Export
        | Action::Forward
        | Action::Keep
        | Action::Erase => (PEER, OWN),
    };
    Row {
        action,
        own: OWN,
        from,
        to,
        roles: match action {
            Action::Send | Action::Open | Action::Export | Action::Forward => {
                Roles::of(&[Role::Officer])
            }
            Action::Admit | Action::Keep | Action::Erase => Roles::NONE,
        },
        purpose: action.is_use().then_some(Purpose::Prosecution),
        now: NOW,
        ceiling: None,
        terms: terms(),
    }
}

fn asked<T>(row: &Row, of: impl FnOnce(&Facts<'_>) -> T) -> T {
    let id = |text: &str| text.parse::<AuthorityId>().unwrap();
    of(&Facts {
        action: row.action,
        own: &id(row.own),
        from: &id(row.from),
        to: &id(row.to),
        actor: "a.murphy",
        roles: row.roles,
        purpose: row.purpose.as_ref(),
        terms: &row.terms,
        package: Digest::of(b"package"),
        now: row.now.parse().unwrap(),
        circumstances: Circumstances::default(),
    })
}

fn ask(row: &Row, set: &PolicySet) -> Result<Permit, Denial> {
    asked(row, |facts| decide(set, facts))
}

/// `want`: `None` is a permit; otherwise rule and reason of the denial.
fn check(what: &str, change: impl Fn(&mut Row), want: [Option<(&str, ReasonCode)>; 3]) {
    for (action, want) in Action::ALL.iter().zip(want) {
        let mut row = row(*action);
        change(&mut row);
        let set = PolicySet::new(row.ceiling);
        let got = ask(&row, &set);
        assert_eq!(
            got.as_ref()
                .err()
                .map(|denial| (denial.rule.clone(), denial.reason)),
            want.map(|(rule, reason)| (rule.into(), reason)),
            "{what}, {action}: {got:?}"
        );
        if *action == Action::Open {
            let exported = Row {
                action: Action::Export,
                ..row.clone()
            };
            let exported = ask(&exported, &set);
            let said = |it: &Result<Permit, Denial>| {
                let denial = it.as_ref().err();
                denial.map(|denial| (denial.rule.clone(), denial.reason))
            };
            assert_eq!(said(&exported), said(&got), "{what}: export is as opening");
        }
        if let Err(denial) = got {
            assert!(
                denial.clause.len() <= limits::CLAUSE_BYTES_MAX,
                "{denial:?}"
            );
            assert!(denial.clause.bytes().all(|b| (b' '..=b'~').contains(&b)));
            assert!(denial.term.contains('='), "{denial:?}");
            assert_eq!(denial, ask(&row, &set).unwrap_err(), "deterministic");
        }
    }
}

/// Actions that need no consent.
const ORDINARY: [Action; 6] = [
    Action::Send,
    Action::Admit,
    Action::Open,
    Action::Export,
    Action::Keep,
    Action::Erase,
];
const PERMITTED: [Option<(&str, ReasonCode)>; 3] = [None; 3];

fn all(rule: &str, reason: ReasonCode) -> [Option<(&str, ReasonCode)>; 3] {
    [Some((rule, reason)); 3]
}

#[test]
fn the_decision_table_of_directions() {
    let ours = Some(("direction", ReasonCode::NotTheReceiver));
    let others = [Some(("direction", ReasonCode::NotTheSender)), ours, ours];
    let same = all("direction", ReasonCode::SameAuthority);
    check("the ordinary case", |_| (), PERMITTED);
    check("to itself", |r| r.to = r.from, same);
    check("not concerned at all", |r| r.own = THIRD, others);
    let swap = |r: &mut Row| std::mem::swap(&mut r.from, &mut r.to);
    check("the wrong way round", swap, others);
    let everything = |r: &mut Row| {
        r.purpose = Some(Purpose::Trial);
        r.now = "2040-01-01T00:00:00.000Z";
        r.to = r.from;
    };
    check("several deny: the first is named", everything, same);
}

#[test]
fn the_decision_table_of_roles() {
    let refused = Some(("role", ReasonCode::RoleNotPermitted));
    let refused = [refused, None, refused];
    let (officer, supervisor) = (Role::Officer, Role::Supervisor);
    let (operator, auditor) = (Role::Operator, Role::Auditor);
    for (roles, want) in [
        (&[officer][..], PERMITTED),
        (&[supervisor], PERMITTED),
        (&[operator, auditor, supervisor], PERMITTED),
        (Role::ALL, PERMITTED),
        (&[], refused),
        (&[operator], refused),
        (&[auditor], refused),
        (&[operator, auditor], refused),
    ] {
        let roles = Roles::of(roles);
        check(&roles.to_string(), |r| r.roles = roles, want);
    }
    let everything = |r: &mut Row| {
        r.roles = Roles::NONE;
        r.terms.purposes.clear();
        r.now = "2040-01-01T00:00:00.000Z";
    };
    let ended = Some(("retention", ReasonCode::RetentionEnded));
    let [send, _, open] = refused;
    check("before the terms", everything, [send, ended, open]);
    let mut asked = row(Action::Open);
    asked.roles = Roles::of(&[auditor, operator]);
    let denial = ask(&asked, &PolicySet::new(None)).unwrap_err();
    assert_eq!(denial.term, "roles=operator,auditor");
    assert_eq!(denial.clause, "configuration of this authority");
    for part in ["officer or supervisor", "a.murphy", "[roles]"] {
        assert!(denial.text.contains(part), "{part}: {denial}");
    }
}

#[test]
fn the_decision_table_of_dates() {
    let ended = all("retention", ReasonCode::RetentionEnded);
    let passed = all("sunset", ReasonCode::SunsetPassed);
    for (sunset, now, want) in [
        (None, NOW, PERMITTED),
        (None, "2031-12-31T23:59:59.999Z", PERMITTED),
        (None, "2032-01-01T00:00:00.000Z", ended),
        (Some("2030-06-30"), "2030-06-30T23:59:59.999Z", PERMITTED),
        (Some("2030-06-30"), "2030-07-01T00:00:00.000Z", passed),
        (Some("2030-06-30"), "2032-01-01T00:00:00.000Z", ended),
    ] {
        let dated = |r: &mut Row| {
            r.terms.sunset = sunset.and_then(|day| day.parse().ok());
            r.now = now;
        };
        check(now, dated, want);
    }
}

#[test]
fn the_decision_table_of_purposes() {
    let open = |reason| [None, None, Some(("purpose", reason))];
    let missing = open(ReasonCode::PurposeMissing);
    check("no purpose", |r| r.purpose = None, missing);
    let empty = all("purpose", ReasonCode::PurposesEmpty);
    check("terms name none", |r| r.terms.purposes.clear(), empty);
    for purpose in Purpose::ALL {
        let named = terms().purposes.contains(purpose);
        let other = open(ReasonCode::PurposeNotPermitted);
        let want = if named { PERMITTED } else { other };
        check(purpose.as_str(), |r| r.purpose = Some(*purpose), want);
    }
}

#[test]
fn the_decision_table_of_handling_codes() {
    let handling = |reason| Some(("handling", reason));
    let above = handling(ReasonCode::HandlingAboveCeiling);
    let forbids = handling(ReasonCode::HandlingForbidsUse);
    let ok = PERMITTED;
    for code in Handling::ALL {
        check("no ceiling", |r| r.terms.handling = Some(*code), ok);
        for ceiling in Handling::ALL {
            let want = if code > ceiling {
                [above, above, None]
            } else {
                ok
            };
            check(
                "a ceiling",
                |r| {
                    r.terms.handling = Some(*code);
                    r.ceiling = Some(*ceiling);
                },
                want,
            );
        }
        check("no code", |r| r.ceiling = Some(*code), ok);
        for purpose in Purpose::ALL {
            let h1 = *code == Handling::H1 && purpose.is_judicial();
            let want = if h1 { [forbids, None, forbids] } else { ok };
            check(
                purpose.as_str(),
                |r| {
                    r.terms.handling = Some(*code);
                    r.terms.purposes = vec![*purpose];
                    r.purpose = r.action.is_use().then_some(*purpose);
                },
                want,
            );
        }
    }
}

#[test]
fn a_denial_says_what_is_permitted_and_what_to_do() {
    let mut asked = row(Action::Open);
    asked.purpose = Some(Purpose::CivilClaim);
    let denial = ask(&asked, &PolicySet::new(None)).unwrap_err();
    assert_eq!(denial.term, "purposes=investigation,prosecution");
    for part in [
        "investigation, prosecution",
        "civil-claim",
        "ask bfj.example.de",
        "Directive (EU) 2016/680 art. 4(1)(b)",
    ] {
        assert!(denial.text.contains(part), "{part}: {denial}");
    }
    for (instrument, clause) in [
        ("MLA-2000", "MLA Convention 2000 art. 23"),
        ("UNTOC", "UNTOC art. 18(19)"),
        ("XY-1999", "terms of the package"),
    ] {
        asked.terms.instrument = instrument.parse().unwrap();
        let denial = ask(&asked, &PolicySet::new(None)).unwrap_err();
        assert_eq!(denial.clause, clause);
    }
}

#[test]
fn a_permit_is_bound_to_what_was_asked() {
    let package = Digest::of(b"package");
    let now: Timestamp = NOW.parse().unwrap();
    for action in &ORDINARY {
        let permit = ask(&row(*action), &PolicySet::new(None)).unwrap();
        assert_eq!((permit.action(), permit.actor()), (*action, "a.murphy"));
        let purpose = action.is_use().then_some("prosecution");
        assert_eq!(permit.purpose(), purpose);
        assert_eq!(permit.until(), now.plus_millis(limits::PERMIT_MS_MAX));
        for other in Action::ALL {
            assert_eq!(permit.covers(*other, &package, now), other == action);
        }
        assert!(!permit.covers(*action, &Digest::of(b"another"), now));
        assert!(permit.covers(*action, &package, permit.until()));
        assert!(!permit.covers(*action, &package, permit.until().plus_millis(1)));
    }
    let mut late = row(Action::Open);
    late.now = "2030-06-30T20:00:00.000Z";
    let permit = ask(&late, &PolicySet::new(None)).unwrap();
    assert_eq!(permit.until().to_string(), "2030-06-30T23:59:59.999Z");
}

/// Of what was passed on, only the first sender can consent to more, and whoever passed it on has to ask it.
#[test]
fn consent_is_asked_of_whoever_can_give_it() {
    let first = "bepi.justice.example.fr".parse().unwrap();
    let mut row = row(Action::Open);
    row.purpose = Some(Purpose::CivilClaim);
    for (first, want) in [
        (None, format!("or ask {PEER} for consent to its use")),
        (
            Some(&first),
            format!("or ask {PEER} to ask {first} for consent to its use"),
        ),
    ] {
        let text = asked(&row, |facts| {
            let mut facts = *facts;
            facts.circumstances.first = first;
            decide(&PolicySet::new(None), &facts).unwrap_err().text
        });
        assert!(text.contains(&want), "{text}");
    }
}

/// Where items are under terms of their own, each has to permit it, and the permission ends with the first of them.
#[test]
fn items_under_stricter_terms_have_their_say() {
    let (own, from) = (OWN.parse().unwrap(), PEER.parse().unwrap());
    let package = terms();
    let with = |change: &dyn Fn(&mut Terms)| {
        let mut terms = terms();
        change(&mut terms);
        terms
    };
    let shorter = with(&|it| it.sunset = "2026-11-23".parse().ok());
    let narrower = with(&|it| it.purposes = vec![Purpose::Investigation]);
    let over = with(&|it| it.sunset = "2026-11-22".parse().ok());
    let check = |items: &[&Terms], want: Result<&str, (Option<usize>, ReasonCode)>| {
        let facts = Facts {
            action: Action::Open,
            own: &own,
            from: &from,
            to: &own,
            actor: "a.murphy",
            roles: Roles::of(&[Role::Officer]),
            purpose: Some(&Purpose::Prosecution),
            terms: &package,
            package: Digest::of(b"package"),
            now: NOW.parse().unwrap(),
            circumstances: Circumstances::default(),
        };
        let got = decide_all(&PolicySet::new(None), &facts, items.iter().copied());
        let got = got.map(|permit| permit.until().to_string());
        let got = got.map_err(|refused| (refused.0, refused.1.reason));
        assert_eq!(got, want.map(str::to_owned), "{items:?}");
    };
    let whole_day = "2026-11-24T09:00:00.000Z";
    check(&[], Ok(whole_day));
    check(&[&package], Ok(whole_day));
    check(&[&package, &shorter], Ok("2026-11-23T23:59:59.999Z"));
    check(&[&shorter, &package], Ok("2026-11-23T23:59:59.999Z"));
    check(
        &[&shorter, &narrower],
        Err((Some(1), ReasonCode::PurposeNotPermitted)),
    );
    check(
        &[&over, &narrower],
        Err((Some(0), ReasonCode::SunsetPassed)),
    );
}

#[test]
fn content_is_given_to_a_person_by_opening_and_exporting_alone() {
    for action in Action::ALL {
        let gives = [Action::Open, Action::Export].contains(action);
        assert_eq!(action.is_use(), gives, "{action}");
    }
}

#[test]
fn a_denial_has_one_word_for_machines() {
    let refused = |set: &PolicySet, purpose| {
        let mut row = row(Action::Open);
        row.purpose = Some(purpose);
        ask(&row, set).unwrap_err().code()
    };
    let set = PolicySet::new(None);
    assert_eq!(refused(&set, Purpose::Trial), "purpose-not-permitted");
    let set = set.restricted_by(Some(Arc::new(heard::Nothing)));
    let code = refused(&set, Purpose::Prosecution);
    assert_eq!(code, "no-rule-permits.no-agreement");
}

#[test]
fn the_digest_names_rules_and_parameters() {
    assert_eq!(
        PolicySet::new(Some(Handling::H2)).description(),
        r#"{"handling_max":"H2","rules":[{"id":"direction","version":3},{"id":"role","version":2},{"id":"team","version":2},{"id":"retention","version":3},{"id":"sunset","version":3},{"id":"review","version":1},{"id":"privilege","version":2},{"id":"hold","version":1},{"id":"speciality","version":1},{"id":"conditions","version":1},{"id":"related","version":1},{"id":"exculpatory","version":1},{"id":"threat","version":2},{"id":"consent","version":2},{"id":"purpose","version":3},{"id":"handling","version":3},{"id":"onward","version":1}],"v":1}"#
    );
    let digest = |ceiling| PolicySet::new(ceiling).digest();
    assert_eq!(digest(None), digest(None));
    assert_ne!(digest(None), digest(Some(Handling::H3)));
    assert_ne!(digest(Some(Handling::H1)), digest(Some(Handling::H2)));
}

#[test]
fn a_permit_says_whether_it_stands_on_a_consent() {
    let (own, from) = (OWN.parse().unwrap(), PEER.parse::<AuthorityId>().unwrap());
    let (terms, package) = (terms(), Digest::of(b"package"));
    let consents = [Consent {
        by: from.clone(),
        package,
        to: Consented::Use(Purpose::CivilClaim),
        until: "2026-11-23".parse().unwrap(),
    }];
    let asked = |purpose: &Purpose| {
        let facts = Facts {
            action: Action::Open,
            own: &own,
            from: &from,
            to: &own,
            actor: "a.murphy",
            roles: Roles::of(&[Role::Officer]),
            purpose: Some(purpose),
            terms: &terms,
            package,
            now: NOW.parse().unwrap(),
            circumstances: Circumstances {
                consents: &consents,
                ..Circumstances::default()
            },
        };
        let permit = decide(&PolicySet::new(None), &facts);
        permit.map(|permit| (permit.is_by_consent(), permit.until().to_string()))
    };
    // An opening lasts a day, and by consent no longer than that.
    let last = "2026-11-23T23:59:59.999Z".to_owned();
    let day_on = NOW.parse::<Timestamp>().unwrap();
    let day_on = day_on.plus_millis(limits::PERMIT_MS_MAX).to_string();
    assert!(day_on > last);
    assert_eq!(asked(&Purpose::CivilClaim), Ok((true, last)));
    assert_eq!(asked(&Purpose::Prosecution), Ok((false, day_on)));
    assert!(asked(&Purpose::AssetRecovery).is_err());
}
