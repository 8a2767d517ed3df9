//! The fields of a receipt, and those that each kind needs.

use serde::{Deserialize, Serialize};

use crate::base::{AuthorityId, Date, Digest, Timestamp, Xid, limits};
use crate::identity::keys::{KeyName, Role};
use crate::policy::{Purpose, Restriction, Terms};
use crate::receipt::disclosure::Disclosure;
use crate::receipt::fault::ReceiptFault;
use crate::receipt::kind::{Issuer, Kind};
use crate::receipt::parts::{Head, Party, Pkg, Reason, Used};

/// The fields that an issuer adds to every receipt of its own at the moment of signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The issuer's time.
    pub t: Timestamp,
    /// Its declared uncertainty, in milliseconds.
    pub clk: u64,
    /// The digest of the policy set in force at the issuer.
    pub pol: Digest,
    /// The session, if it is issued while connected: SHA-256 of the TLS exporter.
    pub ses: Option<Digest>,
    /// The issuer's own last checkpoint, and the peer's last seen.
    pub heads: Vec<Head>,
}

/// A receipt, version 1 (`docs/protocol/receipt.schema.json`). What is absent is not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Its declared uncertainty, in milliseconds.
    pub clk: u64,
    /// Restrictions under which a consent is given, ascending: at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Restriction>,
    /// The sender of the package; outside exchanges, the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Party>,
    /// Heads of logs: the issuer's own last checkpoint, and the peer's last seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<Head>,
    /// Its kind.
    pub kind: Kind,
    /// The package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pkg: Option<Pkg>,
    /// The digest of the policy set in force at the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pol: Option<Digest>,
    /// SHA-256 of the text of the receipt before it in the exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Digest>,
    /// For what it was opened, or was to be opened; for which use consent is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// Why something was not done, why possession was changed or ended, or the exception that an opening stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// No more bytes of the package than this have left its receiver's daemon under this opening: of its plaintext or,
    /// where it was exported, of its age file. At least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<u64>,
    /// Digests of salted disclosures, ascending (RFC 9901): the exchange's; of a receipt about access, its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sd: Vec<Digest>,
    /// The session: SHA-256 of the TLS exporter; only where it was issued while connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ses: Option<Digest>,
    /// Its place in the exchange; `dispatch` is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// The subject of a receipt outside exchanges: digest of a card's note, of a policy's description, of a key list.
    /// On `onward`: SHA-256 of the text of the third authority's receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// The issuer's time.
    pub t: Timestamp,
    /// The terms that bind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// To which authority the package is to be passed on with the consent that is asked for, was passed on, or was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub third: Option<AuthorityId>,
    /// The receiver of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Party>,
    /// The last day of a consent, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The uses of the package, oldest first: at most 40.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<Used>,
    /// The version of the format: 1.
    pub v: u64,
    /// The exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xid: Option<Xid>,
}

/// Whether a kind has a field.
enum Need {
    Required,
    Optional,
    Absent,
}

impl Need {
    fn required_if(required: bool) -> Self {
        if required {
            Self::Required
        } else {
            Self::Absent
        }
    }

    fn optional_if(optional: bool) -> Self {
        if optional {
            Self::Optional
        } else {
            Self::Absent
        }
    }
}

impl Receipt {
    /// The first receipt of an exchange, by its sender; to be stamped.
    pub fn dispatch(xid: Xid, from: Party, to: Party, pkg: Pkg, terms: Terms) -> Self {
        Self {
            xid: Some(xid),
            step: Some(1),
            to: Some(to),
            pkg: Some(pkg),
            terms: Some(terms),
            ..Self::own(Kind::Dispatch, from, None)
        }
    }

    /// A receipt outside exchanges about what has this digest; to be stamped.
    pub fn own(kind: Kind, from: Party, subject: Option<Digest>) -> Self {
        Self {
            v: 1,
            kind,
            xid: None,
            step: None,
            prev: None,
            from: Some(from),
            to: None,
            pkg: None,
            terms: None,
            sd: Vec::new(),
            pol: None,
            ses: None,
            t: Timestamp::from_millis(0),
            clk: 0,
            heads: Vec::new(),
            reason: None,
            purpose: None,
            released: None,
            subject,
            uses: Vec::new(),
            conditions: Vec::new(),
            third: None,
            until: None,
        }
    }

    /// This receipt with the issuer's time, policy, session and heads. A session is left out where the kind has none.
    #[must_use]
    pub fn stamped(mut self, stamp: &Stamp) -> Self {
        self.t = stamp.t;
        self.clk = stamp.clk;
        self.pol = Some(stamp.pol);
        self.ses = stamp.ses.filter(|_| self.kind.profile().connected);
        self.heads.clone_from(&stamp.heads);
        self
    }

    /// This receipt with the reason that a negative kind needs.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// This receipt with the digests of these disclosures beside those it has, in order.
    #[must_use]
    pub fn disclosing(mut self, disclosures: &[Disclosure]) -> Self {
        self.sd.extend(disclosures.iter().map(Disclosure::digest));
        self.sd.sort_unstable();
        self.sd.dedup();
        self
    }

    /// The party that signs first.
    pub fn issuer(&self) -> Option<&Party> {
        match self.kind.profile().issuer {
            Issuer::Sender | Issuer::Own => self.from.as_ref(),
            Issuer::Receiver => self.to.as_ref(),
        }
    }

    /// The party that signs the same note after that, where the kind asks for it.
    pub fn countersigner(&self) -> Option<&Party> {
        let other = match self.kind.profile().issuer {
            Issuer::Sender => self.to.as_ref(),
            Issuer::Receiver => self.from.as_ref(),
            Issuer::Own => None,
        };
        other.filter(|_| self.kind.profile().countersigned)
    }

    /// Checks the profile of the kind: every field that it needs, none that it does not have, and each field's own
    /// rule.
    pub fn check(&self) -> Result<(), ReceiptFault> {
        if self.v != 1 {
            return Err(ReceiptFault::Version(self.v));
        }
        self.check_fields()?;
        if let (Some(from), Some(to)) = (&self.from, &self.to)
            && from.id == to.id
        {
            let why = "it is the sender itself";
            return Err(ReceiptFault::Value { field: "to", why });
        }
        for (party, field) in [(&self.from, "from"), (&self.to, "to")] {
            let numbers = 1..=limits::JSON_INTEGER_MAX.unsigned_abs();
            if party.as_ref().is_some_and(|it| !numbers.contains(&it.card)) {
                let why = "its card is not 1 to 2^53 - 1";
                return Err(ReceiptFault::Value { field, why });
            }
        }
        self.check_place()?;
        if let Some(pkg) = &self.pkg {
            pkg.check()?;
        }
        if let Some(terms) = &self.terms {
            terms.check()?;
        }
        if let Some(reason) = &self.reason {
            reason.check()?;
        }
        self.check_digests()?;
        self.check_released()?;
        self.check_uses()?;
        self.check_consent()?;
        self.check_heads()
    }

    fn check_released(&self) -> Result<(), ReceiptFault> {
        let whole = u64::try_from(limits::JSON_INTEGER_MAX).unwrap_or(u64::MAX);
        if self.released.is_none_or(|it| (1..=whole).contains(&it)) {
            return Ok(());
        }
        let why = "not 1 to 2^53 - 1";
        let field = "released";
        Err(ReceiptFault::Value { field, why })
    }

    fn check_uses(&self) -> Result<(), ReceiptFault> {
        let field = "uses";
        if self.uses.len() > limits::USES_MAX {
            let why = "more than 40";
            return Err(ReceiptFault::Value { field, why });
        }
        if self.uses.iter().any(|used| !Used::is_use(used.kind)) {
            let why = "something that is no use of a package";
            return Err(ReceiptFault::Value { field, why });
        }
        Ok(())
    }

    fn check_consent(&self) -> Result<(), ReceiptFault> {
        if self.kind.is_consent() && self.purpose.is_some() == self.third.is_some() {
            let why = "a consent is either to a use or to passing on";
            let field = "purpose";
            return Err(ReceiptFault::Value { field, why });
        }
        let parties = [&self.from, &self.to].into_iter().flatten();
        let third = self.third.as_ref();
        if third.is_some_and(|third| parties.into_iter().any(|party| party.id == *third)) {
            let why = "it has the package already";
            let field = "third";
            return Err(ReceiptFault::Value { field, why });
        }
        let ascending = self.conditions.is_sorted_by(|a, b| a < b);
        if !ascending || self.conditions.len() > limits::TERM_CODES_MAX {
            let why = "not in ascending order without doubles, or more than 32";
            let field = "conditions";
            return Err(ReceiptFault::Value { field, why });
        }
        Ok(())
    }

    fn check_fields(&self) -> Result<(), ReceiptFault> {
        let kind = self.kind;
        let profile = kind.profile();
        let exchange = kind.is_exchange();
        let in_exchange = || Need::required_if(exchange);
        let pol = if exchange {
            Need::Required
        } else {
            Need::Optional
        };
        let fields = [
            ("xid", self.xid.is_some(), in_exchange()),
            ("step", self.step.is_some(), in_exchange()),
            (
                "prev",
                self.prev.is_some(),
                Need::required_if(exchange && !kind.is_first()),
            ),
            ("from", self.from.is_some(), Need::Required),
            ("to", self.to.is_some(), in_exchange()),
            ("pkg", self.pkg.is_some(), in_exchange()),
            ("terms", self.terms.is_some(), in_exchange()),
            ("sd", !self.sd.is_empty(), Need::Optional),
            ("pol", self.pol.is_some(), pol),
            (
                "ses",
                self.ses.is_some(),
                Need::optional_if(profile.connected),
            ),
            ("reason", self.reason.is_some(), reason_need(kind)),
            ("purpose", self.purpose.is_some(), purpose_need(kind)),
            (
                "released",
                self.released.is_some(),
                Need::required_if(kind == Kind::Access),
            ),
            ("subject", self.subject.is_some(), subject_need(kind)),
            (
                "uses",
                !self.uses.is_empty(),
                Need::optional_if(kind == Kind::UseReport),
            ),
            ("third", self.third.is_some(), third_need(kind)),
            (
                "until",
                self.until.is_some(),
                Need::required_if(kind == Kind::ConsentGiven),
            ),
            (
                "conditions",
                !self.conditions.is_empty(),
                Need::optional_if(kind == Kind::ConsentGiven),
            ),
        ];
        for (field, is_there, need) in fields {
            match (need, is_there) {
                (Need::Required, false) => return Err(ReceiptFault::Missing { kind, field }),
                (Need::Absent, true) => return Err(ReceiptFault::NotAllowed { kind, field }),
                (Need::Required, true) | (Need::Absent, false) | (Need::Optional, _) => {}
            }
        }
        Ok(())
    }

    fn check_place(&self) -> Result<(), ReceiptFault> {
        let field = "step";
        match self.step {
            Some(1) if !self.kind.is_first() => {
                let why = "only a dispatch is the first of its exchange";
                Err(ReceiptFault::Value { field, why })
            }
            Some(step) if self.kind.is_first() && step != 1 => {
                let why = "a dispatch is the first of its exchange: 1";
                Err(ReceiptFault::Value { field, why })
            }
            Some(0) => {
                let why = "steps are counted from 1";
                Err(ReceiptFault::Value { field, why })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_digests(&self) -> Result<(), ReceiptFault> {
        let field = "sd";
        if self.sd.len() > limits::DISCLOSURES_MAX {
            let why = "more than 64 disclosures";
            return Err(ReceiptFault::Value { field, why });
        }
        if !self.sd.is_sorted_by(|a, b| a < b) {
            let why = "digests are not ascending without doubles";
            return Err(ReceiptFault::Value { field, why });
        }
        let whole = u64::try_from(limits::JSON_INTEGER_MAX).unwrap_or(u64::MAX);
        if self.clk > whole {
            let why = "larger than 2^53 - 1";
            return Err(ReceiptFault::Value { field: "clk", why });
        }
        Ok(())
    }

    fn check_heads(&self) -> Result<(), ReceiptFault> {
        let fault = |why| {
            let field = "heads";
            Err(ReceiptFault::Value { field, why })
        };
        if self.heads.len() > limits::HEADS_MAX {
            return fault("more than two");
        }
        let whole = u64::try_from(limits::JSON_INTEGER_MAX).unwrap_or(u64::MAX);
        let parties = [&self.from, &self.to];
        for head in &self.heads {
            let Ok(name) = head.origin.parse::<KeyName>() else {
                return fault("an origin is not <authority id>/log");
            };
            let concerned = parties.iter().any(|party| {
                party
                    .as_ref()
                    .is_some_and(|party| party.id == *name.authority())
            });
            if name.role() != Role::Log {
                return fault("an origin is not <authority id>/log");
            }
            if self.kind.is_exchange() && !concerned {
                return fault("a log is that of an authority outside the exchange");
            }
            if head.size > whole {
                return fault("a size is larger than 2^53 - 1");
            }
            if head.size == 0 && head.root != Digest::of(b"") {
                return fault("an empty log has the root of nothing");
            }
        }
        match self.heads.as_slice() {
            [one, other] if one.origin == other.origin => fault("two heads of one log"),
            [] | [_] | [_, _] | [_, _, _, ..] => Ok(()),
        }
    }
}

/// An opening has a reason where an exception was declared.
fn reason_need(kind: Kind) -> Need {
    if kind == Kind::Access {
        Need::Optional
    } else {
        Need::required_if(kind.is_reasoned())
    }
}

fn purpose_need(kind: Kind) -> Need {
    if kind == Kind::Access {
        Need::Required
    } else {
        Need::optional_if(kind == Kind::AccessDenied || kind.is_consent())
    }
}

fn third_need(kind: Kind) -> Need {
    if kind.is_onward() {
        Need::Required
    } else {
        Need::optional_if(kind.is_consent())
    }
}

fn subject_need(kind: Kind) -> Need {
    match kind {
        Kind::Approval
        | Kind::CardAdopted
        | Kind::KeyAnnounce
        | Kind::Onward
        | Kind::Order
        | Kind::PolicyAdopted => Need::Required,
        Kind::ClockStep | Kind::Recovered => Need::Optional,
        Kind::Access
        | Kind::AccessDenied
        | Kind::ConsentAsked
        | Kind::ConsentGiven
        | Kind::ConsentRefused
        | Kind::Consigned
        | Kind::ContentMismatch
        | Kind::Destroyed
        | Kind::Dispatch
        | Kind::Expired
        | Kind::Handover
        | Kind::HandoverFailed
        | Kind::OnwardRefused
        | Kind::Rejected
        | Kind::RestrictionChanged
        | Kind::UseReport
        | Kind::Withdrawn => Need::Absent,
    }
}
