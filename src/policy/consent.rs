//! Consents: what the sender of a package has permitted beyond its terms.

use crate::base::{AuthorityId, Date, Digest, Timestamp};
use crate::policy::purpose::Purpose;

/// The object of a consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consented {
    /// Use for a purpose that the terms do not name.
    Use(Purpose),
    /// Passing the package on to this authority.
    Onward(AuthorityId),
}

/// A consent of the authority that sent a package (Directive (EU) 2016/680 art. 35(1)(c) and (e); MLA Convention 2000
/// art. 23(1)(d)). It holds for one package, one use or recipient, and until the end of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The authority that gave it.
    pub by: AuthorityId,
    /// The `body` digest of the package.
    pub package: Digest,
    /// The object of the consent.
    pub to: Consented,
    /// The last day of it, UTC.
    pub until: Date,
}

/// The answer of the consents at hand to one wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// One holds; its last day, of several the latest.
    Given(Date),
    /// There was one; its last day is past.
    Expired(Date),
    /// There is one for another package only.
    OtherPackage,
    /// There is none.
    None,
}

impl Standing {
    pub(super) const fn is_given(self) -> bool {
        matches!(self, Self::Given(_))
    }
}

/// Looks for a consent of this authority to this wish; the best that is found counts.
pub(super) fn standing(
    consents: &[Consent],
    by: &AuthorityId,
    package: &Digest,
    to: &Consented,
    now: Timestamp,
) -> Standing {
    let mut best = Standing::None;
    for consent in consents.iter().filter(|it| it.by == *by && it.to == *to) {
        let found = if consent.package != *package {
            Standing::OtherPackage
        } else if now > consent.until.end_of_day() {
            Standing::Expired(consent.until)
        } else {
            Standing::Given(consent.until)
        };
        best = match (best, found) {
            (Standing::Given(known), Standing::Given(new)) => Standing::Given(known.max(new)),
            (Standing::Given(last), _) | (_, Standing::Given(last)) => Standing::Given(last),
            (Standing::Expired(known), Standing::Expired(new)) => Standing::Expired(known.max(new)),
            (Standing::Expired(known), _) => Standing::Expired(known),
            (_, found) => found,
        };
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_consent_counts() {
        let (by, package) = ("peer.example".parse().unwrap(), Digest::of(b"package"));
        let day = |text: &str| text.parse::<Date>().unwrap();
        let to = Consented::Use(Purpose::CivilClaim);
        let consent = |until: &str, of: &[u8]| Consent {
            by: AuthorityId::clone(&by),
            package: Digest::of(of),
            to: to.clone(),
            until: day(until),
        };
        let (earlier, later) = ("2026-01-01", "2026-06-30");
        let (held, first) = (
            consent("2026-11-23", b"package"),
            consent(earlier, b"package"),
        );
        let longer = consent("2026-12-01", b"package");
        let given = |until: &str| Standing::Given(day(until));
        let (last, other) = (
            consent(later, b"package"),
            consent("2027-01-01", b"another"),
        );
        for (consents, want) in [
            (&[][..], Standing::None),
            (&[&other], Standing::OtherPackage),
            (&[&first, &last, &other], Standing::Expired(day(later))),
            (&[&other, &last, &first], Standing::Expired(day(later))),
            (&[&first, &other, &held], given("2026-11-23")),
            (&[&held, &first, &other], given("2026-11-23")),
            (&[&held, &longer, &held], given("2026-12-01")),
        ] {
            let consents: Vec<_> = consents.iter().copied().cloned().collect();
            let now = day("2026-11-23").end_of_day();
            let got = standing(&consents, &by, &package, &to, now);
            assert_eq!(got, want, "{consents:?}");
        }
    }
}
