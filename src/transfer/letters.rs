//! Statements about a package after its handover: the sender's stricter terms, and the receiver's word that it is
//! destroyed, that it was opened under an exception, that it is not what was signed, what was done with it, or that it
//! was passed on; the receiver's wish for a consent, and the sender's answer.
//!
//! One statement goes over a stream of its own, with the words of whoever wishes or answers, or the third authority's
//! receipt. It is answered with `done` once it is committed; `destroyed` with the same note, signed by both. A repeated
//! statement gets the same answer again.

use crate::base::{Xid, limits};
use crate::identity::statement::Note;
use crate::receipt::{Issuer, Kind, Receipt, Signed, disclosure, onward};
use crate::transfer::checks::{Fault, receipt_in, unexpected_kind};
use crate::transfer::{Other, Own};

/// The consequence of a statement that came.
#[derive(Debug)]
pub enum After {
    /// It is known: nothing is to be kept. Where it is one that both sign, this is the note with both signatures.
    Known(Option<Note>),
    /// The sender's stricter terms.
    Restricted(Note),
    /// A notice of one side to the other: an opening under an exception, content that does not match, a wish, an
    /// answer.
    Noted(Note, Kind),
    /// The receiver's word, with our signature added.
    Destroyed(Note),
}

/// Reads a statement that may be said after a handover, and the exchange that it names.
///
/// # Errors
/// It is none.
pub fn read(bytes: &[u8]) -> Result<(Note, Xid, Kind), Fault> {
    let signed = receipt_in(bytes)?;
    let kind = signed.receipt.kind;
    match signed.receipt.xid {
        Some(xid) if is_after(kind) => Ok((signed.note, xid, kind)),
        Some(_) | None => Err(unexpected_kind(kind, "a new exchange begins with an offer")),
    }
}

fn is_after(kind: Kind) -> bool {
    is_marked(kind) || matches!(kind, Kind::Destroyed | Kind::RestrictionChanged)
}

/// Whether the sender of a package is told of it by the receiver, without having to sign it.
pub const fn is_notice(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Access | Kind::ConsentAsked | Kind::ContentMismatch | Kind::Onward | Kind::UseReport
    )
}

/// Every kind that [`is_marked`].
pub const MARKED: &[Kind] = &[
    Kind::Access,
    Kind::ContentMismatch,
    Kind::UseReport,
    Kind::Onward,
    Kind::ConsentAsked,
    Kind::ConsentGiven,
    Kind::ConsentRefused,
];

/// Whether it is marked as to be told: a notice, or an answer to one.
pub const fn is_marked(kind: Kind) -> bool {
    is_notice(kind) || kind.is_answer()
}

/// The one disclosure that goes beside a statement of this kind, if any does: why somebody wishes or answers, or what a
/// third authority has signed.
pub const fn goes_along(kind: Kind) -> Option<&'static str> {
    if kind.is_consent() {
        Some(disclosure::JUSTIFICATION)
    } else if matches!(kind, Kind::Onward) {
        Some(disclosure::RECEIPT)
    } else {
        None
    }
}

/// Checks what goes beside a statement: at most the one value that does, whose digest the statement holds.
///
/// # Errors
/// They are another statement's, or more than that.
pub fn check_words(note: &Note, encoded: &[String]) -> Result<(), Fault> {
    let signed = Signed::open(note.clone())?;
    let read = disclosure::check_against(&signed.receipt.sd, encoded);
    let read = read.map_err(|e| Fault::new(e.code(), e.to_string()))?;
    let along = goes_along(signed.receipt.kind);
    let more = read.iter().find(|it| Some(it.name.as_str()) != along);
    more.map_or(Ok(()), |more| {
        let text = format!("{:?} does not go beside this", more.name);
        Err(Fault::new("disclosure-unexpected", text))
    })
}

/// Reads the third authority's receipt that goes beside `onward`: about the same payload, between the authorities
/// concerned, and under no looser terms than those of the dispatch, which is among the notes held here. Its signatures
/// are still to be checked.
///
/// # Errors
/// The fault of the other side.
pub fn copy(held: &[Note], note: &Note, encoded: &[String]) -> Result<(Note, Receipt), Fault> {
    let onward = Signed::open(note.clone())?.receipt;
    let read = disclosure::check_against(&onward.sd, encoded);
    let read = read.map_err(|e| Fault::new(e.code(), e.to_string()))?;
    let dispatch = readable(held)
        .into_iter()
        .find(|it| it.receipt.kind == Kind::Dispatch);
    let sealed = dispatch.and_then(|it| it.receipt.terms);
    let sealed = sealed.ok_or_else(|| Fault::new("prev-unknown", "no dispatch is known here"))?;
    onward::copy(&onward, &read, &sealed).map_err(|e| Fault::new(e.code(), e.to_string()))
}

/// Judges a statement of the other side about a package that was handed over, given the notes of its exchange that are
/// held here. Signatures, chain and terms are checked.
///
/// # Errors
/// The fault of the other side.
pub fn judge(own: &Own, other: &Other, held: &[Note], came: Note) -> Result<After, Fault> {
    let signed = Signed::open(came)?;
    let kind = signed.receipt.kind;
    if !is_after(kind) {
        return Err(unexpected_kind(kind, "nothing of it is awaited"));
    }
    verify(own, other, &signed, false)?;
    if kind == Kind::Access && signed.receipt.reason.is_none() {
        let text = "an opening is told only where an exception was declared, or a consent used";
        return Err(Fault::new("unexpected-frame", text));
    }
    let held = readable(held);
    let completed =
        |it: &&Signed| it.receipt.kind == Kind::Destroyed && it.note.signatures().len() == 2;
    if kind == Kind::Destroyed
        && let Some(completed) = held.iter().find(completed)
    {
        // A receiver that went back to an older state destroys again: what was said first stays.
        return Ok(After::Known(Some(completed.note.clone())));
    }
    if held.iter().any(|it| it.note.text() == signed.note.text()) {
        return Ok(After::Known(None));
    }
    follows(&held, &signed)?;
    let count = |is: fn(Kind) -> bool| held.iter().filter(|it| is(it.receipt.kind)).count();
    if kind == Kind::Destroyed {
        let both = own.keys.countersign(&signed.receipt, &signed.note);
        return Ok(After::Destroyed(both?));
    }
    if kind.is_answer() {
        let prev = signed.receipt.prev;
        let is_answer = |it: &Signed| it.receipt.kind.is_answer() && it.receipt.prev == prev;
        if held.iter().any(is_answer) {
            let text = "this wish was answered already, in another way";
            let fault = Fault::new("answered-already", text);
            return Err(fault.proved_by(&signed.note));
        }
        return Ok(After::Noted(signed.note, kind));
    }
    if kind != Kind::RestrictionChanged {
        if count(is_notice) >= limits::NOTICES_MAX {
            let text = "this authority was told of this package 256 times already";
            return Err(Fault::new("too-many-notices", text));
        }
        return Ok(After::Noted(signed.note, kind));
    }
    let is_restriction = |kind| kind == Kind::RestrictionChanged;
    follows_newest(&held, &signed)?;
    if count(is_restriction) >= limits::RESTRICTIONS_CHANGED_MAX {
        let text = "the terms of this package were changed 64 times already";
        return Err(Fault::new("too-many-restrictions", text));
    }
    Ok(After::Restricted(signed.note))
}

/// The note that completes this authority's `destroyed`: signed by both, of this exchange, and following what is held
/// here.
///
/// # Errors
/// The fault of the other side.
pub fn completed(own: &Own, other: &Other, held: &[Note], bytes: &[u8]) -> Result<Note, Fault> {
    let signed = receipt_in(bytes)?;
    if signed.receipt.kind != Kind::Destroyed {
        return Err(unexpected_kind(signed.receipt.kind, "destroyed is awaited"));
    }
    verify(own, other, &signed, true)?;
    follows(&readable(held), &signed)?;
    Ok(signed.note)
}

/// The right keys have signed, in the right order. The issuer of what came is the other side; of what is complete, this
/// one.
fn verify(own: &Own, other: &Other, signed: &Signed, complete: bool) -> Result<(), Fault> {
    let issuer = signed.receipt.kind.profile().issuer;
    let own_is_receiver = (issuer == Issuer::Receiver) == complete;
    let (sender, receiver) = if own_is_receiver {
        (&other.keys, own.keys.public())
    } else {
        (own.keys.public(), &other.keys)
    };
    Ok(signed.verify(sender, receiver, complete)?)
}

/// Those that are receipts; of what is damaged here, the other side is not at fault.
fn readable(held: &[Note]) -> Vec<Signed> {
    let held = held.iter().cloned();
    held.filter_map(|note| Signed::open(note).ok()).collect()
}

/// A change of terms follows the newest one: with another, nobody could say which terms are in force, and its issuer,
/// who alone changes them, has said two things.
fn follows_newest(held: &[Signed], signed: &Signed) -> Result<(), Fault> {
    let changes = [Kind::Handover, Kind::RestrictionChanged];
    let mut newest = held.iter().rev();
    let newest = newest.find(|it| changes.contains(&it.receipt.kind));
    if newest.map(|it| it.note.text_digest()) == signed.receipt.prev {
        return Ok(());
    }
    let text = "these terms follow others than the newest that its sender has signed";
    Err(Fault::new("follow-conflict", text).proved_by(&signed.note))
}

fn follows(held: &[Signed], signed: &Signed) -> Result<(), Fault> {
    let before = held
        .iter()
        .find(|it| Some(it.note.text_digest()) == signed.receipt.prev);
    let before = before.ok_or_else(|| {
        let text = format!(
            "the statement that {} follows is not known here",
            signed.receipt.kind
        );
        Fault::new("prev-unknown", text)
    })?;
    Ok(signed.follows(before)?)
}
