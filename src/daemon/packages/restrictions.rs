//! Stricter terms for what was handed over, and taking a package back: the sender's word, told until it is
//! acknowledged.

use crate::api::server::ApiFailure;
use crate::api::types::{PackageView, Restrict};
use crate::base::{Xid, limits};
use crate::daemon::Daemon;
use crate::daemon::failure::altered;
use crate::daemon::packages::statements::Stated;
use crate::daemon::packages::wish::{check_justification, who_and_why};
use crate::exchange::{Direction, Phase};
use crate::identity::statement::Note;
use crate::policy::{Onward, Restriction, Terms, instrument};
use crate::receipt::{self, Kind, Reason, Receipt};
use crate::store::{Exchange, Op};

impl Daemon {
    /// Binds a package of this authority by stricter terms, or takes it back altogether. Before its receiver holds it,
    /// taking back ends the exchange; after that, it ends the time for which it may be kept.
    pub(crate) async fn restrict(
        &self,
        actor: &str,
        xid: Xid,
        wish: &Restrict,
    ) -> Result<PackageView, ApiFailure> {
        check_justification(&wish.justification)?;
        let _one_at_a_time = self.access.lock().await;
        let row = self.exchange(&xid).await?;
        if row.direction == Direction::In {
            let message = "another authority sent this package: only its sender changes its terms";
            return Err(ApiFailure::usage("not-sender", message));
        }
        let (kind, next, disclosures) = if row.phase == Phase::Dispatched && wish.withdraw {
            let (note, earlier) = last(&row)?;
            let withdrawn = earlier.follow(&note, Kind::Withdrawn);
            let withdrawn = withdrawn.because(Reason::technical("withdrawn"));
            // It has the disclosures of its exchange, and none of its own.
            (Kind::Withdrawn, withdrawn, Vec::new())
        } else if matches!(row.phase, Phase::Closed | Phase::RestrictionSigned) {
            let next = self.stricter(&row, wish).await?;
            let disclosures = who_and_why(actor, &wish.justification);
            let next = next.disclosing(&disclosures);
            (Kind::RestrictionChanged, next, disclosures)
        } else if row.phase == Phase::Destroyed || row.phase.is_over_without_handover() {
            let message = format!(
                "the package is {}: nobody holds it, so its terms bind nobody",
                row.phase
            );
            return Err(ApiFailure::nothing("nobody-bound", message));
        } else {
            let message = format!(
                "the package is {}: its terms can be changed once it was handed over",
                row.phase
            );
            return Err(ApiFailure::temporary("not-handed-over", message)
                .next("rogatory package show ID tells its state"));
        };
        let next = next.stamped(&self.stamp());
        let note = self.sign(next)?;
        let stated = Stated {
            kind,
            note: &note,
            disclosures: &disclosures,
        };
        let mut ops = self.stated(xid, &stated);
        ops.push(Op::calm(xid));
        if kind == Kind::Withdrawn {
            ops.push(Op::Shred { xid });
        }
        self.station.ledger.commit(ops).await?;
        self.ring(&row.peer);
        let row = self.exchange(&xid).await?;
        self.package_view(&row).map_err(ApiFailure::from)
    }

    async fn stricter(&self, row: &Exchange, wish: &Restrict) -> Result<Receipt, ApiFailure> {
        let chain = self.chain_of(row).await?;
        if chain.shared.len() > limits::RESTRICTIONS_CHANGED_MAX {
            let message = "the terms of this package were changed 64 times already";
            return Err(ApiFailure::usage("too-many-restrictions", message));
        }
        let before = chain.last()?;
        let yesterday = self.station.clock().date().plus_days(-1);
        let after = changed(chain.terms(), wish, yesterday)?;
        let code = if wish.withdraw {
            "withdrawn"
        } else {
            "restricted"
        };
        let mut next = before
            .receipt
            .follow(&before.note, Kind::RestrictionChanged);
        next.terms = Some(after);
        Ok(next.because(Reason {
            code: code.to_owned(),
            clause: instrument::BY_TERMS.to_owned(),
        }))
    }
}

fn last(row: &Exchange) -> Result<(Note, Receipt), ApiFailure> {
    let note = Note::parse(&row.last_note).map_err(|_| altered("dispatch"))?;
    let receipt = receipt::open(&note).map_err(|_| altered("dispatch"))?;
    Ok((note, receipt))
}

/// The terms as they are to be: other terms than before.
fn changed(
    terms: &Terms,
    wish: &Restrict,
    yesterday: crate::base::Date,
) -> Result<Terms, ApiFailure> {
    let after = narrowed(terms, wish, yesterday)?;
    if after == *terms {
        let message = "the terms are as strict as that already";
        return Err(ApiFailure::nothing("no-change", message));
    }
    Ok(after)
}

/// That items are under terms of their own is so from the sealing on, or never.
pub(crate) fn only_sealing_sets() -> ApiFailure {
    let message =
        "the restriction item-terms is set where a package is sealed, and cannot be added";
    ApiFailure::usage("bad-terms", message)
}

/// The terms with what is to be stricter. A package that is taken back may be kept until yesterday, which is to say no
/// longer.
pub(crate) fn narrowed(
    terms: &Terms,
    wish: &Restrict,
    yesterday: crate::base::Date,
) -> Result<Terms, ApiFailure> {
    let marked = |restrictions: &[Restriction]| restrictions.contains(&Restriction::ItemTerms);
    if marked(&wish.restrictions) && !marked(&terms.restrictions) {
        return Err(only_sealing_sets());
    }
    let mut after = terms.clone();
    if wish.withdraw {
        after = after.ending(yesterday);
    }
    if let Some(last) = wish.retain_until {
        after = after.ending(last);
    }
    if let Some(last) = wish.sunset {
        after.sunset = Some(after.sunset.map_or(last, |before| before.min(last)));
        after.sunset = after.sunset.map(|it| it.min(after.retain_until));
    }
    if let Some(day) = wish.review {
        let day = after.review.map_or(day, |before| before.min(day));
        after.review = Some(day.min(after.retain_until));
    }
    if !wish.purposes.is_empty() {
        after.purposes.clone_from(&wish.purposes);
        after.purposes.sort_unstable();
        after.purposes.dedup();
    }
    after.restrictions.extend(&wish.restrictions);
    after.restrictions.sort_unstable();
    after.restrictions.dedup();
    after.use_report |= wish.use_report;
    if wish.no_onward {
        after.onward = Onward::Prohibited;
    }
    after
        .check()
        .map_err(|e| ApiFailure::usage("bad-terms", e.to_string()))?;
    if !after.is_within(terms) {
        let message = "the terms would permit more than before: they can only become stricter";
        return Err(ApiFailure::usage("looser-terms", message));
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Purpose;

    fn terms() -> Terms {
        let date = |text: &str| text.parse().unwrap();
        let mut terms = Terms::new(
            "EIO".parse().unwrap(),
            [Purpose::Prosecution, Purpose::Trial],
            date("2031-12-31"),
        );
        terms.onward = Onward::WithConsent;
        terms.review = Some(date("2028-01-01"));
        terms
    }

    fn check(wish: &str, want: Result<&str, &str>) {
        let wish: Restrict = serde_json::from_str(wish).expect(wish);
        let got = changed(&terms(), &wish, "2026-11-23".parse().unwrap());
        match (got, want) {
            (Ok(after), Ok(want)) => {
                assert!(
                    after.is_within(&terms()) && !terms().is_within(&after),
                    "{wish:?}"
                );
                let shown = serde_json::to_string(&after).unwrap();
                assert!(shown.contains(want), "{wish:?}: {shown}");
            }
            (Err(failure), Err(want)) => assert_eq!(failure.0.error, want, "{wish:?}"),
            (got, want) => panic!("{wish:?}: {got:?}, not {want:?}"),
        }
    }

    #[test]
    fn terms_become_stricter_and_nothing_else() {
        for (wish, want) in [
            (
                r#""withdraw":true"#,
                Ok(r#""retain_until":"2026-11-23","review":"2026-11-23""#),
            ),
            (
                r#""retain_until":"2027-01-01""#,
                Ok(r#""retain_until":"2027-01-01","review":"2027-01-01""#),
            ),
            (r#""retain_until":"2032-01-01""#, Err("no-change")),
            (r#""sunset":"2027-01-01""#, Ok(r#""sunset":"2027-01-01""#)),
            (r#""sunset":"2040-01-01""#, Ok(r#""sunset":"2031-12-31""#)),
            (r#""purposes":["trial"]"#, Ok(r#""purposes":["trial"]"#)),
            (r#""purposes":["trial","civil-claim"]"#, Err("looser-terms")),
            (
                r#""restrictions":["return"]"#,
                Ok(r#""restrictions":["return"]"#),
            ),
            (r#""restrictions":["item-terms"]"#, Err("bad-terms")),
            (r#""review":"2027-01-01""#, Ok(r#""review":"2027-01-01""#)),
            (r#""review":"2030-01-01""#, Err("no-change")),
            (r#""use_report":true"#, Ok(r#""use_report":true"#)),
            (r#""no_onward":true"#, Ok(r#""onward":"prohibited""#)),
            (r#""purposes":["trial","prosecution"]"#, Err("no-change")),
        ] {
            check(&format!(r#"{{"justification":"why",{wish}}}"#), want);
        }
        assert!(
            Restriction::ALL.len() < 32,
            "a list of terms takes all of them"
        );
    }
}
