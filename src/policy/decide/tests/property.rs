//! A property of all questions: nothing is permitted that the law of this table does not permit.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::base::Date;
use crate::policy::consent::{Consent, Consented};
use crate::policy::exception::{Exception, Ground};
use crate::policy::facts::Team;
use crate::policy::instrument::INSTRUMENTS;
use crate::policy::terms::{Onward, Restriction};

const PEOPLE: &[&str] = &["a.murphy", "b.nolan", ""];
const PARTIES: &[&str] = &[OWN, PEER, THIRD];
const DAYS: &[&str] = &[
    "2026-11-22",
    "2026-11-23",
    "2026-11-24",
    "2031-12-31",
    "2032-01-01",
];

#[derive(Debug, Clone)]
struct Asked {
    action: Action,
    roles: Roles,
    parties: [AuthorityId; 3],
    purpose: Option<Purpose>,
    terms: Terms,
    now: Date,
    third: Option<AuthorityId>,
    consents: Vec<Consent>,
    related: bool,
    exception: Option<(Ground, &'static str, Option<&'static str>)>,
    hold: Option<Date>,
    reviewed: Option<Date>,
    ceiling: Option<Handling>,
}

fn party() -> impl Strategy<Value = AuthorityId> {
    select(PARTIES).prop_map(|id| id.parse().unwrap())
}

fn day() -> impl Strategy<Value = Date> {
    select(DAYS).prop_map(|day| day.parse().unwrap())
}

fn optional<S: Strategy>(of: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    proptest::option::of(of)
}

fn bound() -> impl Strategy<Value = Terms> {
    let codes: Vec<_> = INSTRUMENTS.iter().map(|it| it.code).collect();
    (
        select(codes),
        subsequence(Purpose::ALL.to_vec(), 0..=3),
        subsequence(Restriction::ALL.to_vec(), 0..=3),
        select(Onward::ALL),
        optional(select(Handling::ALL)),
        day(),
        [optional(day()), optional(day())],
    )
        .prop_map(
            |(code, purposes, restrictions, onward, handling, last, [sunset, review])| {
                let mut terms = Terms::new(code.parse().unwrap(), purposes, last);
                terms.restrictions = restrictions;
                terms.onward = onward;
                terms.handling = handling;
                terms.sunset = sunset;
                terms.review = review;
                terms
            },
        )
}

fn consent() -> impl Strategy<Value = Consent> {
    let to = prop_oneof![
        select(Purpose::ALL).prop_map(Consented::Use),
        party().prop_map(Consented::Onward),
    ];
    let package = prop_oneof![Just(Digest::of(b"package")), Just(Digest::of(b"another"))];
    (party(), package, to, day()).prop_map(|(by, package, to, until)| Consent {
        by,
        package,
        to,
        until,
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    let exception = (
        select(Ground::ALL),
        select(PEOPLE),
        optional(select(PEOPLE)),
    );
    let roles = subsequence(Role::ALL.to_vec(), 0..=4).prop_map(|roles| Roles::of(&roles));
    let more = (
        roles,
        optional(party()),
        proptest::collection::vec(consent(), 0..3),
        any::<bool>(),
        optional(exception),
        [optional(day()), optional(day())],
        optional(select(Handling::ALL)),
    );
    (
        select(Action::ALL),
        [party(), party(), party()],
        optional(select(Purpose::ALL)),
        bound(),
        day(),
        more,
    )
        .prop_map(|(action, parties, purpose, terms, now, more)| {
            let (roles, third, consents, related, exception, [hold, reviewed], ceiling) = more;
            Asked {
                action,
                roles,
                parties,
                purpose,
                terms,
                now,
                third,
                consents,
                related,
                exception,
                hold,
                reviewed,
                ceiling,
            }
        })
}

impl Asked {
    fn decide(&self) -> Result<Permit, Denial> {
        let [own, from, to] = &self.parties;
        let exception = self
            .exception
            .map(|(ground, declared_by, confirmed_by)| Exception {
                ground,
                declared_by,
                confirmed_by,
            });
        let facts = Facts {
            action: self.action,
            own,
            from,
            to,
            actor: "a.murphy",
            roles: self.roles,
            purpose: self.purpose.as_ref(),
            terms: &self.terms,
            package: Digest::of(b"package"),
            now: self.now.end_of_day(),
            circumstances: Circumstances {
                first: None,
                third: self.third.as_ref(),
                consents: &self.consents,
                related: self.related,
                exception,
                hold: self.hold,
                reviewed: self.reviewed,
                team: Some(Team::Other),
            },
        };
        decide(&PolicySet::new(self.ceiling), &facts)
    }

    fn has_consent(&self, to: &Consented) -> bool {
        let package = Digest::of(b"package");
        self.consents.iter().any(|it| {
            it.by == self.parties[1]
                && it.package == package
                && it.to == *to
                && it.until >= self.now
        })
    }

    fn has_exception(&self, ground: Ground) -> bool {
        self.exception.is_some_and(|(of, one, other)| {
            of == ground && other.is_some_and(|other| other != one && !other.is_empty())
        })
    }

    /// The law that must hold of anything that is permitted, said without the rules.
    fn may(&self) -> bool {
        let [own, from, to] = &self.parties;
        let terms = &self.terms;
        let is_kept = self.now <= terms.retain_until;
        let is_used = is_kept && terms.sunset.is_none_or(|last| self.now <= last);
        let is_held = self.hold.is_some_and(|last| self.now <= last);
        let is_ours = if self.action == Action::Send {
            own == from
        } else {
            own == to
        };
        let by_people = matches!(
            self.action,
            Action::Send | Action::Open | Action::Export | Action::Forward
        );
        let has_role = self.roles.contains(Role::Officer) || self.roles.contains(Role::Supervisor);
        let as_asked = match self.action {
            Action::Send | Action::Admit => {
                is_used
                    && self
                        .ceiling
                        .is_none_or(|top| terms.handling.is_none_or(|it| it <= top))
            }
            Action::Open | Action::Export => is_used && self.is_reviewed() && self.may_open(),
            Action::Forward => is_used && self.is_reviewed() && self.may_forward(),
            Action::Keep => is_used || is_held,
            Action::Erase => !is_held,
        };
        from != to && is_ours && as_asked && (has_role || !by_people)
    }

    fn is_reviewed(&self) -> bool {
        let on_record = self.reviewed;
        let asked = self.terms.review.filter(|day| self.now > *day);
        asked.is_none_or(|day| on_record.is_some_and(|it| it >= day))
    }

    fn may_open(&self) -> bool {
        let Some(purpose) = self.purpose else {
            return false;
        };
        let terms = &self.terms;
        let named = terms.purposes.contains(&purpose);
        let consented = self.has_consent(&Consented::Use(purpose));
        let excepted = (self.has_exception(Ground::Threat) && purpose == Purpose::PublicSecurity)
            || (self.has_exception(Ground::Exculpatory)
                && purpose == Purpose::ExculpatoryDisclosure);
        let related =
            self.related && purpose.is_proceeding() && terms.instrument.as_str() == "MLA-2000";
        let bound = [Restriction::Speciality, Restriction::StatedPurposesOnly];
        let special = bound.iter().any(|it| terms.restrictions.contains(it))
            && !named
            && !consented
            && purpose != Purpose::ExculpatoryDisclosure;
        let in_court = terms.handling == Some(Handling::H1) && purpose.is_judicial() && !consented;
        let privileged = terms
            .restrictions
            .contains(&Restriction::UnderPrivilegeReview);
        (named || consented || excepted || related) && !special && !in_court && !privileged
    }

    fn may_forward(&self) -> bool {
        let Some(third) = &self.third else {
            return false;
        };
        let consented = self.has_consent(&Consented::Onward(third.clone()));
        let has = third != &self.parties[0] && third != &self.parties[1];
        let terms = &self.terms;
        let privileged = terms
            .restrictions
            .contains(&Restriction::UnderPrivilegeReview);
        let bound = terms
            .restrictions
            .contains(&Restriction::StatedPurposesOnly);
        has && terms.onward == Onward::WithConsent
            && (consented || self.has_exception(Ground::Threat) && !bound)
            && !privileged
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_permitted_beyond_the_law(asked in asked()) {
        match asked.decide() {
            Ok(permit) => {
                prop_assert!(asked.may(), "{asked:?}: {permit:?}");
                prop_assert!(permit.covers(asked.action, &Digest::of(b"package"), asked.now.end_of_day()));
            }
            Err(denial) => {
                prop_assert!(denial.term.contains('='), "{denial:?}");
                prop_assert!(denial.clause.bytes().all(|b| (b' '..=b'~').contains(&b)));
                prop_assert!(!denial.clause.is_empty() && denial.clause.len() <= limits::CLAUSE_BYTES_MAX);
            }
        }
    }

    #[test]
    fn a_declaration_that_is_taken_back_permits_nothing_more(asked in asked()) {
        let bare = Asked { consents: Vec::new(), related: false, exception: None, ..asked };
        if bare.action.is_use() && bare.decide().is_ok() {
            prop_assert!(bare.purpose.is_some_and(|it| bare.terms.purposes.contains(&it)), "{bare:?}");
        }
    }
}
