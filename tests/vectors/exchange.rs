//! Every statement: two cards, one exchange with each way it can end, and what an authority says outside exchanges.

use rogatory::base::Digest;
use rogatory::identity::card::fingerprint;
use rogatory::identity::keys::{Role, SecretKey};
use rogatory::identity::statement::Note;
use rogatory::policy::{Onward, Purpose, Restriction};
use rogatory::receipt::{
    self, Disclosure, Head, Kind, Party as Signer, Reason, Receipt, Stamp, Used, disclosure,
};
use serde_json::{Value, json};

use crate::parties::{Party, at, half, seed};
use crate::sealed::Package;
use crate::small::exporter;
use crate::{Files, log};

struct Statement {
    name: &'static str,
    what: &'static str,
    note: Note,
    after: Option<&'static str>,
}

/// Statements in the order in which they were made, and the disclosures beside them.
pub(crate) struct Story {
    statements: Vec<Statement>,
    exchange: Vec<Disclosure>,
    access: Vec<Disclosure>,
    /// The papers that go with a second dispatch, and with the word of it.
    origin: Vec<Disclosure>,
    copy: Vec<Disclosure>,
    de: SecretKey,
    ie: SecretKey,
    clock: i64,
    /// Heads of logs that the next receipts name.
    heads: Vec<Head>,
}

fn stamp(story: &Story) -> Stamp {
    Stamp {
        t: at(story.clock),
        clk: 50,
        pol: Digest::from_bytes(seed("policy set")),
        ses: Some(Digest::of(&exporter())),
        heads: story.heads.clone(),
    }
}

impl Story {
    pub(crate) fn file(name: &str) -> String {
        format!("statements/{name}.note")
    }

    pub(crate) fn note(&self, name: &str) -> &Note {
        let found = self.statements.iter().find(|it| it.name == name);
        &found.expect("there is such a statement").note
    }

    pub(crate) fn receipt(&self, name: &str) -> Receipt {
        receipt::open(self.note(name)).expect("it is a receipt")
    }

    pub(crate) fn encoded(&self) -> Vec<String> {
        self.exchange.iter().map(Disclosure::encode).collect()
    }

    /// A receipt like one that follows `after`, complete but for what only its kind has.
    pub(crate) fn next(&self, after: &str, kind: Kind) -> Receipt {
        let before = self.receipt(after);
        let next = before.follow(self.note(after), kind);
        next.stamped(&stamp(self))
    }

    fn push(
        &mut self,
        name: &'static str,
        what: &'static str,
        note: Note,
        after: Option<&'static str>,
    ) {
        self.statements.push(Statement {
            name,
            what,
            note,
            after,
        });
    }

    fn issuer(&self, receipt: &Receipt) -> &SecretKey {
        let issuer = receipt.issuer().expect("every receipt has an issuer");
        if *issuer == Signer::of(1, &self.de.public()) {
            &self.de
        } else {
            &self.ie
        }
    }

    fn add(
        &mut self,
        name: &'static str,
        what: &'static str,
        receipt: &Receipt,
        after: Option<&'static str>,
    ) {
        let note = receipt.sign(self.issuer(receipt)).expect("it is complete");
        if let Some(after) = after {
            let before = self.receipt(after);
            receipt::continues(&before, self.note(after), receipt).expect("it follows");
        }
        if receipt.kind.is_exchange() {
            let keys = |key: &SecretKey| receipt::PartyKeys::new(1, key.public());
            let (de, ie) = (keys(&self.de), keys(&self.ie));
            let whole = !receipt.kind.profile().countersigned;
            receipt::verify(&note, receipt, &de, &ie, whole).expect("it is signed");
        } else {
            receipt::verify_own(
                &note,
                receipt,
                &receipt::PartyKeys::new(1, self.de.public()),
            )
            .expect("it is signed");
        }
        self.push(name, what, note, after);
        self.clock += 1;
    }

    /// The same with the sender's signature.
    fn complete(&mut self, name: &'static str, what: &'static str, half: &'static str) {
        let receipt = self.receipt(half);
        let note = receipt.countersign(self.note(half), &self.de);
        let note = note.expect("it may be countersigned");
        let keys = |key: &SecretKey| receipt::PartyKeys::new(1, key.public());
        let (de, ie) = (keys(&self.de), keys(&self.ie));
        receipt::verify(&note, &receipt, &de, &ie, true).expect("both signed");
        let found = self.statements.iter().find(|it| it.name == half);
        let after = found.and_then(|it| it.after);
        self.push(name, what, note, after);
    }

    fn disclosing(&self, receipt: Receipt) -> Receipt {
        receipt.disclosing(&self.access)
    }

    pub(crate) fn index(&self) -> Value {
        let statements = self.statements.iter().map(|it| {
            let fields = it.note.fields().expect("an object");
            let names = it.note.signatures().iter().map(|one| &one.name);
            json!({
                "file": Self::file(it.name),
                "what": it.what,
                "context": it.note.context().line(),
                "kind": fields.get("kind"),
                "follows": it.after.map(Self::file),
                "text_digest": it.note.text_digest(),
                "note_digest": it.note.digest(),
                "signed_by": names.collect::<Vec<_>>(),
            })
        });
        statements.collect()
    }

    pub(crate) fn fingerprints(&self) -> Value {
        let cards = ["card-bfj.example.de", "card-mla.example.ie"];
        let words = cards.map(|name| {
            let note = self.note(name);
            json!({
                "file": Self::file(name),
                "text_digest": note.text_digest(),
                "words": fingerprint(note),
            })
        });
        json!(words)
    }

    pub(crate) fn disclosures(&self) -> Value {
        let beside = [
            ("dispatch", &self.exchange),
            ("access", &self.access),
            ("onward-dispatch", &self.origin),
            ("onward", &self.copy),
        ];
        let listed = beside.into_iter().flat_map(|(name, disclosures)| {
            disclosures.iter().map(move |one| {
                json!({
                    "receipt": Self::file(name),
                    "salt": hex::encode(one.salt),
                    "name": one.name,
                    "value": one.value,
                    "encoded": one.encode(),
                    "digest": one.digest(),
                })
            })
        });
        listed.collect()
    }

    pub(crate) fn files(&self) -> Files {
        let notes = self.statements.iter();
        notes
            .map(|it| (Self::file(it.name), it.note.bytes().to_vec()))
            .collect()
    }
}

fn salted(name: &str, value: impl Into<Value>) -> Disclosure {
    Disclosure::new(half(&format!("salt of disclosure {name}")), name, value)
}

fn exchange_disclosures(package: &Package) -> Vec<Disclosure> {
    let manifest = &package.manifest;
    vec![
        salted(disclosure::MANIFEST, manifest.digest().to_string()),
        salted(disclosure::ITEM_ROOT, manifest.item_root().to_string()),
        salted(disclosure::CASE, manifest.case.as_str()),
        salted(disclosure::REQUEST, "IE/2026/000001"),
        salted(disclosure::TITLE, "Fernmeldeaufstellung"),
        salted(disclosure::OFFENCES, json!(["fraud", "money-laundering"])),
        salted(disclosure::PERSONS, json!(["Ó Briain, S."])),
    ]
}

fn reason(code: &str, clause: &str) -> Reason {
    Reason {
        code: code.to_owned(),
        clause: clause.to_owned(),
    }
}

pub(crate) fn story(de: &Party, ie: &Party, fr: &Party, package: &Package) -> Story {
    let mut story = Story {
        statements: Vec::new(),
        exchange: exchange_disclosures(package),
        access: vec![
            salted(disclosure::ACTOR, "s.murphy"),
            salted(disclosure::ITEMS, json!(["calls/märz 2026.csv"])),
            salted(disclosure::JUSTIFICATION, "Book of evidence, count 3"),
        ],
        origin: Vec::new(),
        copy: Vec::new(),
        de: de.key(Role::Receipts),
        ie: ie.key(Role::Receipts),
        clock: -3_600,
        heads: Vec::new(),
    };
    for (party, name) in [(de, "card-bfj.example.de"), (ie, "card-mla.example.ie")] {
        let note = party.card().issue(&party.key(Role::Card));
        story.push(name, "a card", note.expect("a good card"), None);
    }
    governance(&mut story);
    story.clock = 0;
    story.heads = vec![log::head_before_exchange(de, &story)];
    dispatched(&mut story, package);
    story.heads.insert(
        0,
        Head {
            origin: ie.log_origin(),
            size: 0,
            root: Digest::of(b""),
        },
    );
    delivered(&mut story);
    opened(&mut story);
    refused(&mut story);
    // What is made from the story later was made before there were these: its times stay.
    let clock = story.clock;
    let from = Signer::of(1, &story.de.public());
    let approved = Receipt::own(Kind::Approval, from, Some(Digest::of(b"approval")));
    let approved = approved.stamped(&stamp(&story));
    story.add("approval", "a second person approves", &approved, None);
    story.clock = clock;
    let from = Signer::of(1, &story.de.public());
    let ordered = Receipt::own(Kind::Order, from, Some(Digest::of(b"order")));
    let ordered = ordered.stamped(&stamp(&story));
    story.add("order", "a person orders a hold", &ordered, None);
    story.clock = clock;
    ended(&mut story);
    story.clock = clock;
    asked(&mut story);
    story.clock = clock;
    passed_on(&mut story, ie, fr);
    story.clock = clock;
    story
}

fn governance(story: &mut Story) {
    let card = story.note("card-mla.example.ie").digest();
    let keys = story.note("card-bfj.example.de").digest();
    let policy = Digest::from_bytes(seed("policy set"));
    let kinds = [
        (
            "key-announce",
            "keys come into use",
            Kind::KeyAnnounce,
            Some(keys),
        ),
        (
            "card-adopted",
            "the other's card is accepted",
            Kind::CardAdopted,
            Some(card),
        ),
        (
            "policy-adopted",
            "a policy comes into force",
            Kind::PolicyAdopted,
            Some(policy),
        ),
        ("clock-step", "the clock was set", Kind::ClockStep, None),
        (
            "recovered",
            "work goes on after a restored backup",
            Kind::Recovered,
            None,
        ),
    ];
    for (name, what, kind, subject) in kinds {
        let from = Signer::of(1, &story.de.public());
        let own = Receipt::own(kind, from, subject).stamped(&stamp(story));
        story.add(name, what, &own, None);
    }
}

fn dispatched(story: &mut Story, package: &Package) {
    let from = Signer::of(1, &story.de.public());
    let to = Signer::of(1, &story.ie.public());
    let terms = package.manifest.terms.clone();
    let dispatch = Receipt::dispatch(package.xid, from, to, package.pkg(), terms);
    let dispatch = dispatch.disclosing(&story.exchange).stamped(&stamp(story));
    story.add("dispatch", "the package is sealed", &dispatch, None);
}

fn delivered(story: &mut Story) {
    let consigned = story.next("dispatch", Kind::Consigned);
    let what = "the payload is there; signed by the receiver";
    story.add("consigned-1", what, &consigned, Some("dispatch"));
    story.complete("consigned-2", "the same, signed by both", "consigned-1");
    let handover = story.next("consigned-2", Kind::Handover);
    let what = "the header is there; signed by the receiver";
    story.add("handover-1", what, &handover, Some("consigned-2"));
    story.complete("handover-2", "the same, signed by both", "handover-1");
}

fn opened(story: &mut Story) {
    let mut access = story.disclosing(story.next("handover-2", Kind::Access));
    access.purpose = Some(Purpose::Trial);
    access.released = Some(4_096);
    story.add("access", "an item is opened", &access, Some("handover-2"));
    let mut denied = story.next("access", Kind::AccessDenied);
    denied.purpose = Some(Purpose::CivilClaim);
    let why = reason("purpose-not-permitted", "Directive 2014/41/EU art. 19(3)");
    let what = "an opening is refused";
    story.add("access-denied", what, &denied.because(why), Some("access"));
    let mismatch = story.next("access-denied", Kind::ContentMismatch);
    let mismatch = mismatch.because(Reason::technical("item-digest"));
    let what = "what is inside is not what the manifest says";
    story.add("content-mismatch", what, &mismatch, Some("access-denied"));
}

/// The statements after the handover: stricter terms, and the end of the package.
fn ended(story: &mut Story) {
    let mut stricter = story.next("handover-2", Kind::RestrictionChanged);
    let last = "2027-12-31".parse().expect("a date");
    let mut terms = stricter.terms.take().expect("there are terms").ending(last);
    terms.onward = Onward::Prohibited;
    terms.purposes.retain(|it| *it == Purpose::Trial);
    stricter.terms = Some(terms);
    let stricter = stricter.because(reason("restricted", "terms of the package"));
    let what = "the package is bound by stricter terms";
    story.add("restriction-changed", what, &stricter, Some("handover-2"));
    let destroyed = story.next("restriction-changed", Kind::Destroyed);
    let destroyed = destroyed.because(reason(
        "retention-ended",
        "Directive (EU) 2016/680 art. 4(1)(e)",
    ));
    let what = "it is destroyed; signed by the receiver";
    story.add("destroyed-1", what, &destroyed, Some("restriction-changed"));
    story.complete("destroyed-2", "the same, signed by both", "destroyed-1");
    let mut report = story.next("restriction-changed", Kind::UseReport);
    let used = |name| Used::of(&story.receipt(name), story.note(name));
    report.uses = ["access", "access-denied"]
        .into_iter()
        .filter_map(used)
        .collect();
    let what = "what was done with it";
    story.add("use-report", what, &report, Some("restriction-changed"));
}

/// Wishes for more than the terms permit, and the sender's answers.
fn asked(story: &mut Story) {
    let why = salted(disclosure::JUSTIFICATION, "Claim of the injured party");
    let mut asked = story.next("handover-2", Kind::ConsentAsked);
    asked.purpose = Some(Purpose::CivilClaim);
    let asked = asked.disclosing(std::slice::from_ref(&why));
    let what = "the receiver asks to use it for something else";
    story.add("consent-asked", what, &asked, Some("handover-2"));
    let mut given = story.next("consent-asked", Kind::ConsentGiven);
    given.purpose = Some(Purpose::CivilClaim);
    given.until = "2027-06-30".parse().ok();
    given.conditions = vec![Restriction::Confidential];
    let what = "the sender permits it";
    story.add("consent-given", what, &given, Some("consent-asked"));
    let third = "bepi.justice.example.fr".parse().ok();
    let mut onward = story.next("handover-2", Kind::ConsentAsked);
    onward.third.clone_from(&third);
    let what = "the receiver asks to pass it on";
    story.add("consent-asked-onward", what, &onward, Some("handover-2"));
    let mut refused = story.next("consent-asked-onward", Kind::ConsentRefused);
    refused.third = third;
    let refused = refused.because(reason("refused", "terms of the package"));
    let what = "the sender does not permit it";
    story.add(
        "consent-refused",
        what,
        &refused,
        Some("consent-asked-onward"),
    );
}

/// The receiver passes the package on: the beginning of a second exchange, what the first sender is told of it, and a
/// refusal.
fn passed_on(story: &mut Story, ie: &Party, fr: &Party) {
    let (by, third) = (ie.key(Role::Receipts), fr.key(Role::Receipts));
    let first = story.receipt("dispatch");
    let (mut pkg, mut terms) = (
        first.pkg.clone().expect("a package"),
        first.terms.clone().expect("there are terms"),
    );
    pkg.hdr = Digest::from_bytes(seed("header for the third authority"));
    terms.onward = Onward::Prohibited;
    let terms = terms.ending("2028-12-31".parse().expect("a date"));
    let origin = String::from_utf8_lossy(story.note("dispatch").bytes()).into_owned();
    let origin = salted(disclosure::ORIGIN, origin);
    let stamp = |story: &Story| Stamp {
        heads: Vec::new(),
        ..stamp(story)
    };
    let parties = (Signer::of(1, &by.public()), Signer::of(1, &third.public()));
    let xid = rogatory::base::Xid::from_bytes(half("xid of the second exchange"));
    let dispatch = Receipt::dispatch(xid, parties.0, parties.1, pkg, terms)
        .disclosing(std::slice::from_ref(&origin))
        .stamped(&stamp(story));
    let found = receipt::onward::origin(&dispatch, std::slice::from_ref(&origin));
    found.expect("it passes the first on").expect("it is there");
    let note = dispatch.sign(&by).expect("it is complete");
    let what = "the receiver passes the package on: the dispatch of a second exchange";
    story.push("onward-dispatch", what, note, None);
    for (kind, name, after) in [
        (Kind::Consigned, "onward-consigned-2", "onward-dispatch"),
        (Kind::Handover, "onward-handover-2", "onward-consigned-2"),
    ] {
        let next = story.receipt(after).follow(story.note(after), kind);
        let next = next.stamped(&stamp(story));
        let note = next
            .sign(&third)
            .and_then(|one| next.countersign(&one, &by));
        let note = note.expect("both sign");
        story.push(name, "the same exchange, signed by both", note, Some(after));
    }
    let copy = story.note("onward-handover-2").clone();
    let text = String::from_utf8_lossy(copy.bytes()).into_owned();
    story.copy = vec![salted(disclosure::RECEIPT, text)];
    story.origin = vec![origin];
    let mut told = story.next("handover-2", Kind::Onward);
    told.third = Some(fr.id.clone());
    told.subject = Some(copy.text_digest());
    let told = told.disclosing(&story.copy);
    let sealed = first.terms.expect("there are terms");
    receipt::onward::copy(&told, &story.copy, &sealed).expect("it is a copy");
    let what = "the first sender is told of it, with what the third authority has signed";
    story.add("onward", what, &told, Some("handover-2"));
    let mut not = story.next("handover-2", Kind::OnwardRefused);
    not.third = Some(fr.id.clone());
    let why = reason(
        "onward-needs-consent",
        "Directive (EU) 2016/680 art. 35(1)(c)",
    );
    let what = "passing on is refused";
    story.add(
        "onward-refused",
        what,
        &not.because(why),
        Some("handover-2"),
    );
}

/// The other ends that the same exchange could have had.
fn refused(story: &mut Story) {
    let failed = story.next("consigned-2", Kind::HandoverFailed);
    let failed = failed.because(Reason::technical("header-mac"));
    let what = "instead of handover: the header does not open the payload; signed by the receiver";
    story.add("handover-failed-1", what, &failed, Some("consigned-2"));
    story.complete(
        "handover-failed-2",
        "the same, signed by both",
        "handover-failed-1",
    );
    let ends = [
        (
            "rejected",
            "instead of consigned: not taken",
            Kind::Rejected,
            "not-requested",
        ),
        (
            "expired",
            "instead of consigned: a term ended",
            Kind::Expired,
            "retention-over",
        ),
        (
            "withdrawn",
            "instead of consigned: taken back",
            Kind::Withdrawn,
            "withdrawn",
        ),
    ];
    for (name, what, kind, code) in ends {
        let end = story
            .next("dispatch", kind)
            .because(Reason::technical(code));
        story.add(name, what, &end, Some("dispatch"));
    }
}
