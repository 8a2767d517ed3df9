//! Checks that sender and receiver share: is this note what the exchange needs next?

use crate::identity::refusal::Refusal;
use crate::identity::statement::{Note, StatementFault};
use crate::receipt;
use crate::receipt::{Kind, PartyKeys, ReceiptFault, Signed};

/// The other end broke the protocol; `code` goes on the wire, `text` into our log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Fault {
    /// Stable kebab-case word.
    pub code: String,
    /// The fault, in words.
    pub text: String,
    /// A statement that the other end has signed although it excludes a statement of it that is held here: with that
    /// one, a proof.
    pub proof: Option<Box<Note>>,
}

impl From<StatementFault> for Fault {
    fn from(fault: StatementFault) -> Self {
        Self::new(fault.code(), fault.to_string())
    }
}

impl From<ReceiptFault> for Fault {
    fn from(fault: ReceiptFault) -> Self {
        Self::new(fault.code(), fault.to_string())
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

impl Fault {
    /// A fault with this code.
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            text: text.into(),
            proof: None,
        }
    }

    /// The same, proved by this note of the other end, whose signature is good.
    pub(crate) fn proved_by(self, note: &Note) -> Self {
        let proof = Some(Box::new(note.clone()));
        Self { proof, ..self }
    }
}

/// Reads a receipt; signatures are not yet looked at.
pub(crate) fn receipt_in(bytes: &[u8]) -> Result<Signed, Fault> {
    Ok(Signed::open(Note::parse(bytes)?)?)
}

/// This fault, proved by what came if that is so: another text in the place of one that is held, signed by its issuer.
pub(crate) fn contradiction(came: &Signed, held: &Note, keys: &Keys<'_>, fault: Fault) -> Fault {
    let complete = !came.receipt.kind.profile().countersigned;
    let same_place = receipt::open(held)
        .is_ok_and(|held| (held.xid, held.prev) == (came.receipt.xid, came.receipt.prev));
    let is_signed = || keys.verify(came, complete).is_ok();
    if same_place && held.text() != came.note.text() && is_signed() {
        return fault.proved_by(&came.note);
    }
    fault
}

/// Checks that this is the same statement as one that is held, however often signed. No receipt may contradict an
/// earlier one.
pub(crate) fn repeats(came: &Signed, held: &Note) -> Result<(), Fault> {
    if came.note.text() == held.text() {
        return Ok(());
    }
    Err(Fault::new(
        "contradicts-earlier",
        format!("another {} than the one already signed", came.receipt.kind),
    ))
}

/// The receipt keys of both parties of an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) sender: &'a PartyKeys,
    pub(crate) receiver: &'a PartyKeys,
}

impl Keys<'_> {
    /// Checks the signatures on a receipt of this exchange ([`receipt::verify`]).
    pub(crate) fn verify(&self, signed: &Signed, complete: bool) -> Result<(), ReceiptFault> {
        signed.verify(self.sender, self.receiver, complete)
    }
}

/// A frame or receipt came that this state does not allow.
pub(crate) fn unexpected(what: &str, state: &str) -> Fault {
    Fault::new(
        "unexpected-frame",
        format!("{what} does not belong here: {state}"),
    )
}

/// As [`unexpected`], for a receipt.
pub(crate) fn unexpected_kind(kind: Kind, state: &str) -> Fault {
    unexpected(&format!("a receipt of kind {kind}"), state)
}
