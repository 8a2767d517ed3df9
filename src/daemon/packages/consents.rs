//! Consent: a receiver asks for more than the terms permit, and the sender gives it until the end of a day, or refuses.
//! Both are statements of their own, told until they are acknowledged; the words of either side travel beside them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use crate::api::server::ApiFailure;
use crate::api::types::{AskConsent, ConsentView, GrantConsent};
use crate::base::{Digest, Page, Timestamp, Xid, limits};
use crate::daemon::Daemon;
use crate::daemon::failure::altered;
use crate::daemon::packages::chain::read;
use crate::daemon::packages::notices::Notice;
use crate::daemon::packages::restrictions::only_sealing_sets;
use crate::daemon::packages::statements::Stated;
use crate::daemon::packages::wish::{check_justification, who_and_why};
use crate::daemon::page::Part;
use crate::exchange::{Chain, Direction, Phase};
use crate::policy::{Denial, Onward, ReasonCode, Restriction, instrument};
use crate::receipt::{Disclosure, Kind, Reason, Receipt, Signed, disclosure};
use crate::store::{self, Exchange, Op, StatementRow};

/// Wishes and answers.
const CONSENT: &[Kind] = &[Kind::ConsentAsked, Kind::ConsentGiven, Kind::ConsentRefused];
/// Wishes read at a time.
const PAGE: u32 = 1_000;
/// Hex digits of the name of a wish.
const NAME_DIGITS: usize = 16;
/// The fewest digits by which one is found.
const NAME_DIGITS_MIN: usize = 8;

/// A wish and its answer, as the ledger has them.
struct Wished {
    row: Exchange,
    asked: Signed,
    answer: Option<Signed>,
}

/// The sender's answer.
pub(crate) enum ConsentAnswer {
    Given(GrantConsent),
    Refused { justification: String },
}

impl Wished {
    fn name(&self) -> String {
        name(&self.asked)
    }

    fn state(&self, now: Timestamp) -> &'static str {
        let Some(answer) = &self.answer else {
            let stands = self.asked.receipt.terms == self.row.terms_now();
            return if stands { "waiting" } else { "lapsed" };
        };
        let until = answer.receipt.until;
        if answer.receipt.kind == Kind::ConsentRefused {
            "refused"
        } else if until.is_some_and(|until| now > until.end_of_day()) {
            "expired"
        } else {
            "given"
        }
    }
}

fn name(asked: &Signed) -> String {
    let mut name = asked.note.text_digest().to_string();
    name.truncate(NAME_DIGITS);
    name
}

impl ConsentAnswer {
    const fn justification(&self) -> &String {
        match self {
            Self::Given(grant) => &grant.justification,
            Self::Refused { justification } => justification,
        }
    }

    /// The answer to this wish; to be stamped.
    fn receipt(&self, asked: &Signed, now: Timestamp) -> Result<Receipt, ApiFailure> {
        let follow = |kind| {
            let mut next = asked.receipt.follow(&asked.note, kind);
            next.purpose = asked.receipt.purpose;
            next.third.clone_from(&asked.receipt.third);
            next
        };
        match self {
            Self::Given(grant) => {
                if grant.until.end_of_day() < now {
                    let message = format!("{} is over: name a day to come", grant.until);
                    return Err(ApiFailure::usage("until-past", message));
                }
                if grant.conditions.contains(&Restriction::ItemTerms) {
                    return Err(only_sealing_sets());
                }
                let mut next = follow(Kind::ConsentGiven);
                next.until = Some(grant.until);
                next.conditions.clone_from(&grant.conditions);
                next.conditions.sort_unstable();
                next.conditions.dedup();
                Ok(next)
            }
            Self::Refused { .. } => {
                let reason = Reason {
                    code: "refused".to_owned(),
                    clause: instrument::BY_TERMS.to_owned(),
                };
                Ok(follow(Kind::ConsentRefused).because(reason))
            }
        }
    }
}

impl Daemon {
    /// Asks the sender of a package that is held here for its consent.
    pub(crate) async fn ask_consent(
        &self,
        actor: &str,
        xid: Xid,
        wish: AskConsent,
    ) -> Result<ConsentView, ApiFailure> {
        check_justification(&wish.justification)?;
        let row = self
            .held_here(&xid, "consent is asked for a package that is held here")
            .await?;
        self.check_there(&xid)?;
        let chain = self.chain_of(&row).await?;
        if chain.is_passed_on {
            let message = format!(
                "{} has the package from {}, which alone can consent to more: ask {} to ask it",
                row.peer, chain.manifest.from, row.peer
            );
            return Err(ApiFailure::refused("not-the-first-sender", message));
        }
        check_wish(&wish, &row, &chain)?;
        let same = |it: &Wished| {
            let asked = &it.asked.receipt;
            let waits = it.state(self.station.clock()) == "waiting";
            waits && (asked.purpose, &asked.third) == (wish.purpose, &wish.third)
        };
        let asked = self.wishes_of(&row).await?;
        if asked.len() >= limits::NOTICES_MAX {
            let message = format!(
                "{} was asked {} times about this package already: it takes no more",
                row.peer,
                asked.len()
            );
            return Err(ApiFailure::usage("too-many-wishes", message));
        }
        if let Some(known) = asked.into_iter().find(same) {
            let message = format!("this was asked already, as {}", known.name());
            return Err(ApiFailure::nothing("asked-already", message).next("rogatory consent list"));
        }
        let notice = Notice {
            purpose: wish.purpose,
            third: wish.third,
            disclosures: who_and_why(actor, wish.justification.trim()),
            ..Notice::of(Kind::ConsentAsked)
        };
        let note = self.notify(&row, notice, Vec::new()).await?;
        let wishes = self.wishes_of(&row).await?;
        let asked = wishes.iter().find(|it| it.asked.note.digest() == note);
        self.consent_view(asked.ok_or_else(|| altered("wish"))?)
            .await
    }

    /// Answers a wish of the receiver of a package of this authority; a wish is answered once.
    pub(crate) async fn answer_consent(
        &self,
        actor: &str,
        name: &str,
        answer: &ConsentAnswer,
    ) -> Result<ConsentView, ApiFailure> {
        check_justification(answer.justification())?;
        let _one_at_a_time = self.access.lock().await;
        let wished = self.wish(name).await?;
        let row = &wished.row;
        if row.direction == Direction::In {
            let message = "this authority asked for it: the sender of the package answers";
            return Err(ApiFailure::usage("not-sender", message));
        }
        let now = self.station.clock();
        if wished.answer.is_some() {
            let message = format!(
                "the wish {} is {} already",
                wished.name(),
                wished.state(now)
            );
            return Err(ApiFailure::nothing("answered-already", message));
        }
        if !matches!(row.phase, Phase::Closed | Phase::RestrictionSigned) {
            let message = format!("the package is {}", row.phase);
            return Err(ApiFailure::temporary("not-handed-over", message)
                .next("rogatory package show ID tells its state"));
        }
        let chain = self.chain_of(row).await?;
        if chain.is_passed_on && matches!(answer, ConsentAnswer::Given(_)) {
            let message = format!(
                "the package is from {}, which alone can consent to more",
                chain.manifest.from
            );
            return Err(ApiFailure::refused("not-the-first-sender", message));
        }
        if wished.asked.receipt.terms.as_ref() != Some(chain.terms()) {
            let message = "the terms were changed after this was asked: it is to be asked again";
            return Err(ApiFailure::usage("terms-changed", message));
        }
        let disclosures = who_and_why(actor, answer.justification().trim());
        let next = answer.receipt(&wished.asked, now)?;
        let next = next.stamped(&self.stamp()).disclosing(&disclosures);
        let kind = next.kind;
        let note = self.sign(next)?;
        let stated = Stated {
            kind,
            note: &note,
            disclosures: &disclosures,
        };
        let mut ops = self.stated(row.xid, &stated);
        ops.push(Op::calm(row.xid));
        ops.push(Op::Meta {
            key: store::tell_key(&note.digest()),
            value: store::DUE.to_vec(),
        });
        self.station.ledger.commit(ops).await?;
        self.ring(&row.peer);
        self.consent_view(&self.wish(name).await?).await
    }

    /// A page of the wishes that were asked here or of this authority, newest first.
    pub(crate) async fn consent_views(&self, part: Part) -> Result<Page<ConsentView>, ApiFailure> {
        let page = self.station.ledger.asked(part.limit, part.after).await;
        let (rows, more) = page?.into_parts();
        let mut views = Vec::with_capacity(rows.len());
        let mut known: HashMap<Xid, BTreeMap<Digest, Wished>> = HashMap::new();
        for row in rows {
            let xid = row.xid.ok_or_else(|| altered("wish"))?;
            let wishes = match known.entry(xid) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let wishes = self.wishes_of(&self.exchange(&xid).await?).await?;
                    let named = wishes.into_iter().map(|it| (it.asked.note.digest(), it));
                    new.insert(named.collect())
                }
            };
            let this = wishes.remove(&row.digest);
            let this = this.ok_or_else(|| altered("wish"))?;
            views.push(self.consent_view(&this).await?);
        }
        Ok(Page::new(views, more))
    }

    /// One wish, by its name or the first digits of it.
    pub(crate) async fn one_consent(&self, name: &str) -> Result<ConsentView, ApiFailure> {
        self.consent_view(&self.wish(name).await?).await
    }

    async fn wish(&self, wanted: &str) -> Result<Wished, ApiFailure> {
        if wanted.len() < NAME_DIGITS_MIN {
            let message = format!("name a wish by at least {NAME_DIGITS_MIN} of its digits");
            return Err(ApiFailure::usage("short-id", message));
        }
        let mut found = Vec::new();
        let mut next = Some(None);
        while let Some(after) = next {
            let page = self.station.ledger.asked(PAGE, after).await;
            let (rows, more) = page?.into_parts();
            next = more.map(Some);
            for row in rows {
                if name(&read(&row)?).starts_with(wanted) {
                    found.push(row);
                }
            }
        }
        match found.as_slice() {
            [one] => self.wished(one).await,
            [] => {
                let message = format!("no wish for consent is called {wanted}");
                Err(ApiFailure::missing("no-such-consent", message).next("rogatory consent list"))
            }
            [_, _, ..] => {
                let message = format!("{} wishes are called {wanted}…", found.len());
                Err(ApiFailure::usage("ambiguous-id", message).next("rogatory consent list"))
            }
        }
    }

    async fn wished(&self, asked: &StatementRow) -> Result<Wished, ApiFailure> {
        let xid = asked.xid.ok_or_else(|| altered("wish"))?;
        let row = self.exchange(&xid).await?;
        let wishes = self.wishes_of(&row).await?;
        let is_it = |it: &Wished| it.asked.note.digest() == asked.digest;
        let found = wishes.into_iter().find(is_it);
        found.ok_or_else(|| altered("wish"))
    }

    /// The wishes about this package, oldest first.
    async fn wishes_of(&self, row: &Exchange) -> Result<Vec<Wished>, ApiFailure> {
        let rows = self.station.ledger.statements_of(&row.xid, CONSENT).await?;
        let of = |is: fn(Kind) -> bool| {
            let kind = move |row: &&StatementRow| Kind::parse(&row.kind).is_ok_and(is);
            rows.iter().filter(kind).map(read)
        };
        let mut answers = HashMap::new();
        for answer in of(Kind::is_answer) {
            let answer = answer?;
            // A wish is answered once; another answer would not have been taken.
            answers.entry(answer.receipt.prev).or_insert(answer);
        }
        let mut wishes = Vec::new();
        for asked in of(|kind| kind == Kind::ConsentAsked) {
            let asked = asked?;
            let answer = answers.remove(&Some(asked.note.text_digest()));
            let row = row.clone();
            wishes.push(Wished { row, asked, answer });
        }
        Ok(wishes)
    }

    async fn consent_view(&self, wished: &Wished) -> Result<ConsentView, ApiFailure> {
        let answer = wished.answer.as_ref();
        let answered = match answer {
            Some(answer) => self.words(answer).await?,
            None => None,
        };
        let asked = &wished.asked.receipt;
        let said = answer.map(|it| &it.receipt);
        Ok(ConsentView {
            id: wished.name(),
            package: wished.row.xid,
            direction: wished.row.direction.to_string(),
            peer: wished.row.peer.clone(),
            purpose: asked.purpose,
            third: asked.third.clone(),
            asked_at: asked.t,
            justification: self.words(&wished.asked).await?,
            state: wished.state(self.station.clock()).to_owned(),
            until: said.and_then(|it| it.until),
            conditions: said.map(|it| it.conditions.clone()).unwrap_or_default(),
            answered_at: said.map(|it| it.t),
            answer: answered,
        })
    }

    /// The words beside a statement, if they are here.
    async fn words(&self, signed: &Signed) -> Result<Option<String>, ApiFailure> {
        let key = store::disclosures_key(&signed.note.digest());
        let kept = self.station.ledger.meta(&key).await;
        let Some(kept) = kept? else {
            return Ok(None);
        };
        let kept: Vec<String> = serde_json::from_slice(&kept).map_err(|_| altered("words"))?;
        let read = disclosure::check_against(&signed.receipt.sd, &kept);
        let read: Vec<Disclosure> = read.map_err(|_| altered("words"))?;
        let words = disclosure::text(&read, disclosure::JUSTIFICATION);
        Ok(words.map(str::to_owned))
    }
}

/// Whether there is anything to ask for.
fn check_wish(wish: &AskConsent, row: &Exchange, chain: &Chain) -> Result<(), ApiFailure> {
    let terms = chain.terms();
    if wish.purpose.is_some() == wish.third.is_some() {
        let message = "consent is asked either for a use or for passing on";
        return Err(ApiFailure::usage("bad-wish", message));
    }
    let items = chain.items.iter().map(|item| &item.terms);
    let mut all = std::iter::once(terms).chain(items);
    if let Some(purpose) = wish.purpose
        && all.all(|it| it.purposes.contains(&purpose))
    {
        let message = format!("the terms permit to use it for {purpose} already");
        return Err(ApiFailure::nothing("permitted-already", message));
    }
    let Some(third) = &wish.third else {
        return Ok(());
    };
    if *third == row.peer {
        let message = format!("{third} has sent the package itself");
        return Err(ApiFailure::usage("same-authority", message));
    }
    if terms.onward == Onward::Prohibited {
        return Err(ApiFailure::denied(&Denial {
            rule: "onward".into(),
            detail: None,
            term: format!("onward={}", terms.onward),
            reason: ReasonCode::OnwardProhibited,
            clause: instrument::BY_TERMS.to_owned(),
            text: format!(
                "the terms prohibit passing this package on; {} would have to send it again with --onward with-consent",
                row.peer
            ),
        }));
    }
    Ok(())
}
