//! What is said of a package after its handover: the sender's stricter terms, and the receiver's word that it is destroyed,
//! that it was opened under an exception, that it is not what was signed, or what was done with it.
//!
//! One statement goes over a stream of its own. It is answered with `done` once it is committed; `destroyed` with the same
//! note, signed by both. A repeated statement gets the same answer again.

use crate::base::Xid;
use crate::base::limits;
use crate::identity::statement::Note;
use crate::receipt::Issuer;
use crate::receipt::Kind;
use crate::transfer::checks::{Fault, Keys, Signed, unexpected_kind};
use crate::transfer::{Other, Own};

/// What a statement that came asks for.
#[derive(Debug)]
pub enum After {
    /// It is known: nothing is to be kept. Where it is one that both sign, this is the note with both signatures.
    Known(Option<Note>),
    /// The sender's stricter terms.
    Restricted(Note),
    /// What the receiver has the sender told: an opening under an exception, content that does not match.
    Noted(Note),
    /// The receiver's word, with our signature added.
    Destroyed(Note),
}

/// Reads a statement that may be said after a handover, and the exchange that it names.
///
/// # Errors
/// It is none.
pub fn read(bytes: &[u8]) -> Result<(Note, Xid), Fault> {
    let signed = Signed::parse(bytes)?;
    let kind = signed.receipt.kind;
    match signed.receipt.xid {
        Some(xid) if is_after(kind) => Ok((signed.note, xid)),
        Some(_) | None => Err(unexpected_kind(kind, "a new exchange begins with an offer")),
    }
}

fn is_after(kind: Kind) -> bool {
    is_notice(kind) || matches!(kind, Kind::Destroyed | Kind::RestrictionChanged)
}

/// Whether the sender of a package is told of it by the receiver, without having to sign it.
pub const fn is_notice(kind: Kind) -> bool {
    matches!(kind, Kind::Access | Kind::ContentMismatch | Kind::UseReport)
}

/// Judges a statement of the other side about a package that was handed over, given the notes of its exchange that are
/// held here. Signatures, chain and terms are checked.
///
/// # Errors
/// What the other side did wrong.
pub fn judge(own: &Own, other: &Other, held: &[Note], came: Note) -> Result<After, Fault> {
    let signed = Signed::of(came)?;
    let kind = signed.receipt.kind;
    if !is_after(kind) {
        return Err(unexpected_kind(kind, "nothing of it is awaited"));
    }
    verify(own, other, &signed, false)?;
    let of_kind = |kind: Kind| {
        let notes = held.iter().filter_map(|note| Signed::of(note.clone()).ok());
        notes.filter(move |it| it.receipt.kind == kind)
    };
    let completed = of_kind(Kind::Destroyed).find(|it| it.note.signatures().len() == 2);
    if let Some(completed) = completed.filter(|_| kind == Kind::Destroyed) {
        // A receiver that went back to an older state destroys again: what was said first stays.
        return Ok(After::Known(Some(completed.note)));
    }
    if held.iter().any(|note| note.text() == signed.note.text()) {
        return Ok(After::Known(None));
    }
    follows(held, &signed)?;
    if kind == Kind::Destroyed {
        let both = signed.receipt.countersign(&signed.note, &own.key);
        return both
            .map(After::Destroyed)
            .map_err(|e| Fault::new(e.code(), e.to_string()));
    }
    if kind != Kind::RestrictionChanged {
        let notices = held.iter().filter_map(|note| Signed::of(note.clone()).ok());
        let notices = notices.filter(|it| is_notice(it.receipt.kind));
        if notices.count() >= limits::NOTICES_MAX {
            let text = "this authority was told of this package 256 times already";
            return Err(Fault::new("too-many-notices", text));
        }
        return Ok(After::Noted(signed.note));
    }
    if of_kind(Kind::RestrictionChanged).count() >= limits::RESTRICTIONS_CHANGED_MAX {
        let text = "the terms of this package were changed 64 times already";
        return Err(Fault::new("too-many-restrictions", text));
    }
    Ok(After::Restricted(signed.note))
}

/// The note that completes this authority's `destroyed`: signed by both, of this exchange, and following what is held here.
///
/// # Errors
/// What the other side did wrong.
pub fn completed(own: &Own, other: &Other, held: &[Note], bytes: &[u8]) -> Result<Note, Fault> {
    let signed = Signed::parse(bytes)?;
    if signed.receipt.kind != Kind::Destroyed {
        return Err(unexpected_kind(signed.receipt.kind, "destroyed is awaited"));
    }
    verify(own, other, &signed, true)?;
    follows(held, &signed)?;
    Ok(signed.note)
}

/// The right keys have signed, in the right order. The issuer of what came is the other side; of what is complete, this one.
fn verify(own: &Own, other: &Other, signed: &Signed, complete: bool) -> Result<(), Fault> {
    let own_key = own.key.public();
    let issuer = signed.receipt.kind.profile().issuer;
    let own_is_receiver = (issuer == Issuer::Receiver) == complete;
    let (sender, receiver) = if own_is_receiver {
        (&other.key, &own_key)
    } else {
        (&own_key, &other.key)
    };
    signed.verify(&Keys { sender, receiver }, complete)
}

fn follows(held: &[Note], signed: &Signed) -> Result<(), Fault> {
    let before = held
        .iter()
        .find(|note| Some(note.text_digest()) == signed.receipt.prev);
    let before = before.ok_or_else(|| {
        let text = format!(
            "the statement that {} follows is not known here",
            signed.receipt.kind
        );
        Fault::new("prev-unknown", text)
    })?;
    signed.follows(&Signed::of(before.clone())?)
}
