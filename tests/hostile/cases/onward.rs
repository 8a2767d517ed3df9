//! Packages that the attacker claims to pass on, and what it claims that others have passed on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rogatory::base::Xid;
use rogatory::identity::keys::{KeyName, Role, SecretKey};
use rogatory::identity::{Card, Context, Note};
use rogatory::policy::{Onward, Restriction};
use rogatory::receipt::{Disclosure, Kind, Party, Receipt, disclosure};
use rogatory::wire::Frame;
use serde_json::{Value, json};

use crate::attack::{self, Attacker, Parcel, raw, stamp, texts};
use crate::script::{Case, Say, Scene, Stage};

/// An authority of which the victim has never heard.
fn nobody() -> SecretKey {
    let name = KeyName::new("mla.example.es".parse().unwrap(), Role::Receipts);
    SecretKey::from_seed(name, &[3; 32])
}

/// The dispatch to the attacker that this parcel would pass on.
fn origin(parcel: &Parcel) -> Receipt {
    let second = &parcel.receipt;
    let mut terms = second.terms.clone().unwrap();
    terms.onward = Onward::WithConsent;
    let from = Party::of(1, &nobody().public());
    let to = second.from.clone().unwrap();
    let pkg = second.pkg.clone().unwrap();
    Receipt::dispatch(Xid::from_bytes([9; 16]), from, to, pkg, terms).stamped(&stamp())
}

/// An offer of the attacker beside which this stands for the first dispatch.
fn passing_on(
    attacker: &Attacker,
    name: &str,
    want: &str,
    change: impl Fn(&mut Receipt, &mut Parcel) -> Option<String>,
) -> Case {
    let mut parcel = attacker.honest();
    let mut first = origin(&parcel);
    let text = change(&mut first, &mut parcel);
    let text = text.unwrap_or_else(|| {
        let note = Note::issue(Context::Receipt, &first, &nobody()).unwrap();
        String::from_utf8(note.bytes().to_vec()).unwrap()
    });
    let along = Disclosure::new([5; 16], disclosure::ORIGIN, text);
    parcel.receipt = parcel.receipt.disclosing(std::slice::from_ref(&along));
    let mut all = attack::beside();
    all.push(along);
    let list = raw(17, &serde_json::to_vec(&texts(&all)).unwrap());
    Case::bytes(Scene::Offered, name, want, list).of(parcel)
}

/// An offer beside which this is said of items, under terms that say that something is, or that do not.
fn of_items(
    attacker: &Attacker,
    name: &str,
    want: &str,
    marked: bool,
    said: Option<Value>,
) -> Case {
    let mut parcel = attacker.honest();
    if marked {
        let terms = parcel.receipt.terms.as_mut().unwrap();
        terms.restrictions = vec![Restriction::ItemTerms];
    }
    let said = said.map(|value| Disclosure::new([6; 16], disclosure::ITEM_TERMS, value));
    parcel.receipt = parcel.receipt.disclosing(said.as_slice());
    let all: Vec<_> = attack::beside().into_iter().chain(said).collect();
    let list = raw(17, &serde_json::to_vec(&texts(&all)).unwrap());
    Case::bytes(Scene::Offered, name, want, list).of(parcel)
}

/// Offers with items under terms of their own that are not as they must be: each is refused with a signed reason.
pub(crate) fn items(attacker: &Attacker) -> Vec<Case> {
    let mut terms = attacker.honest().receipt.terms.unwrap();
    terms.restrictions = vec![Restriction::ItemTerms];
    let terms = serde_json::to_value(terms).unwrap();
    let one = |offset: u64, size: u64, terms: &Value| {
        Some(json!([{ "offset": offset, "path": "a", "size": size, "terms": terms }]))
    };
    let mut looser = terms.clone();
    looser["retain_until"] = "2090-01-01".into();
    let many: Vec<_> = (0..65)
        .map(|n| json!({ "offset": n, "path": format!("f{n}"), "size": 1, "terms": {} }))
        .collect();
    let case = |name: &str, code: &str, marked, said| {
        of_items(
            attacker,
            name,
            &format!("rejected:item-terms-{code}"),
            marked,
            said,
        )
    };
    vec![
        case(
            "items that the terms do not speak of",
            "missing",
            false,
            one(0, 1, &terms),
        ),
        case(
            "terms that speak of items that there are not",
            "missing",
            true,
            None,
        ),
        case("no items", "missing", true, Some(json!([]))),
        case(
            "items that are no list",
            "malformed",
            true,
            Some(json!("all")),
        ),
        case("items without terms", "malformed", true, Some(json!(many))),
        case(
            "items under looser terms",
            "looser",
            true,
            one(0, 1, &looser),
        ),
        case(
            "items behind the end",
            "order",
            true,
            one(1 << 50, 1, &terms),
        ),
        case("items of no bytes", "order", true, one(0, 0, &terms)),
        case(
            "items at the end of numbers",
            "order",
            true,
            one((1 << 53) - 1, (1 << 53) - 1, &terms),
        ),
    ]
}

/// This dispatch as one of the honest peer, whose key somebody else claims to have signed it with.
fn in_its_name(attacker: &Attacker, first: &mut Receipt) -> Option<String> {
    let card = std::fs::read(attacker.folder.join("at/at.card")).ok()?;
    let (card, _) = Card::open(&card).ok()?;
    let key = &card.keys.receipts;
    first.from = Some(Party::of(card.number, key));
    let note = Note::issue(Context::Receipt, first, &nobody()).ok()?;
    let whole = std::str::from_utf8(note.bytes()).ok()?;
    let (text, signature) = whole.split_once("\n\n")?;
    let signature = signature.trim_end().rsplit(' ').next()?;
    let signature = STANDARD.decode(signature).ok()?;
    let signature = [key.id().as_bytes(), signature.get(4..)?].concat();
    let (name, signature) = (key.name(), STANDARD.encode(signature));
    Some(format!("{text}\n\n\u{2014} {name} {signature}\n"))
}

/// Offers of what is passed on: each is refused with a signed reason.
pub(crate) fn offered(attacker: &Attacker) -> Vec<Case> {
    let victim = attacker.honest().receipt.to.unwrap();
    vec![
        passing_on(
            attacker,
            "from an authority that is not known here",
            "rejected:originator-unknown",
            |_, _| None,
        ),
        passing_on(
            attacker,
            "in the name of one that is known here, and has not signed",
            "rejected:statement-bad-signature",
            |first, _| in_its_name(attacker, first),
        ),
        passing_on(
            attacker,
            "the first dispatch is none",
            "rejected:note-no-final-newline",
            |_, _| Some("a note".to_owned()),
        ),
        passing_on(
            attacker,
            "under looser terms than the first",
            "rejected:onward-looser-terms",
            |first, _| {
                first.terms.as_mut()?.retain_until = "2080-12-31".parse().ok()?;
                None
            },
        ),
        passing_on(
            attacker,
            "to be passed on once more",
            "rejected:onward-looser-terms",
            |_, parcel| {
                parcel.receipt.terms.as_mut()?.onward = Onward::WithConsent;
                None
            },
        ),
        passing_on(
            attacker,
            "another payload than the first",
            "rejected:onward-package",
            |first, _| {
                first.pkg.as_mut()?.len += 1;
                None
            },
        ),
        passing_on(
            attacker,
            "what was sent to somebody else",
            "rejected:onward-parties",
            |first, _| {
                first.to.as_mut()?.id = "mla.example.it".parse().ok()?;
                None
            },
        ),
        passing_on(
            attacker,
            "what came from the victim itself",
            "rejected:onward-parties",
            move |first, _| {
                first.from = Some(victim.clone());
                None
            },
        ),
    ]
}

/// The word of the attacker that it has passed a package of the victim on.
fn word(stage: &Stage<'_>, sd: &[Disclosure]) -> Note {
    let dispatch = stage.attacker.sign(&stage.parcel.receipt);
    let mut next = stage
        .parcel
        .receipt
        .follow(&dispatch, Kind::Onward)
        .stamped(&stamp());
    next.third = "mla.example.es".parse().ok();
    next.subject = Some(dispatch.text_digest());
    let next = next.disclosing(sd);
    Note::issue(Context::Receipt, &next, &stage.attacker.keys.receipts).unwrap()
}

fn beside(note: &Note, words: &[Disclosure]) -> Vec<Say> {
    let words = words.iter().map(Disclosure::encode).collect();
    vec![
        Say::Bytes(Frame::Receipt(note.bytes().to_vec()).encode()),
        Say::Bytes(Frame::Disclosures(words).encode()),
    ]
}

/// Words of passing on that nothing stands behind.
pub(crate) fn told() -> Vec<Case> {
    let told = |name: &str, want: &str, says: fn(&Stage<'_>) -> Vec<Say>| {
        Case::new(Scene::Fresh, name, want, says)
    };
    vec![
        told(
            "a package of nobody is passed on",
            "not-handed-over",
            |stage| {
                let copy = Disclosure::new([6; 16], disclosure::RECEIPT, "a note");
                beside(&word(stage, std::slice::from_ref(&copy)), &[copy])
            },
        ),
        told(
            "more than a receipt goes with the word of it",
            "disclosure-unexpected",
            |stage| {
                let why = Disclosure::new([6; 16], disclosure::JUSTIFICATION, "why");
                beside(&word(stage, std::slice::from_ref(&why)), &[why])
            },
        ),
        told(
            "another receipt than was announced",
            "disclosure-not-in-receipt",
            |stage| {
                let copy = Disclosure::new([6; 16], disclosure::RECEIPT, "a note");
                beside(&word(stage, &[]), &[copy])
            },
        ),
        told(
            "a header goes with the word of it",
            "unexpected-frame",
            |stage| {
                let mut says = beside(&word(stage, &[]), &[]);
                says.pop();
                says.push(Say::Bytes(Frame::Header(b"x".to_vec()).encode()));
                says
            },
        ),
    ]
}
