//! Checks that sender and receiver share: is this note what the exchange needs next?

use crate::identity::refusal::Refusal;
use crate::identity::statement::Note;
use crate::receipt;
use crate::receipt::{Kind, PartyKeys, Receipt};

/// The other end broke the protocol; `code` goes on the wire, `text` into our log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Fault {
    /// Stable kebab-case word.
    pub code: String,
    /// What was wrong.
    pub text: String,
    /// A statement that the other end has signed although it excludes a statement of it that is held here: with that one, a proof.
    pub proof: Option<Box<Note>>,
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

/// A receipt together with the note it was read from.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) receipt: Receipt,
    pub(crate) note: Note,
}

impl Signed {
    /// Reads a receipt; signatures are not yet looked at.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        Self::of(note_of(bytes)?)
    }

    /// The receipt in this note.
    pub(crate) fn of(note: Note) -> Result<Self, Fault> {
        let receipt = receipt::open(&note).map_err(|e| Fault::new(e.code(), e.to_string()))?;
        Ok(Self { receipt, note })
    }

    /// Whether exactly the right keys have signed.
    pub(crate) fn verify(&self, keys: &Keys<'_>, complete: bool) -> Result<(), Fault> {
        receipt::verify(
            &self.note,
            &self.receipt,
            keys.sender,
            keys.receiver,
            complete,
        )
        .map_err(|e| Fault::new(e.code(), e.to_string()))
    }

    /// Whether this one may follow that one.
    pub(crate) fn follows(&self, earlier: &Self) -> Result<(), Fault> {
        receipt::continues(&earlier.receipt, &earlier.note, &self.receipt)
            .map_err(|e| Fault::new(e.code(), e.to_string()))
    }

    /// This fault, proved by this statement if that is so: another text in the place of one that is held, signed by its issuer.
    pub(crate) fn contradicts(&self, held: &Note, keys: &Keys<'_>, fault: Fault) -> Fault {
        let complete = !self.receipt.kind.profile().countersigned;
        let same_place = receipt::open(held)
            .is_ok_and(|held| (held.xid, held.prev) == (self.receipt.xid, self.receipt.prev));
        if same_place && held.text() != self.note.text() && self.verify(keys, complete).is_ok() {
            return fault.proved_by(&self.note);
        }
        fault
    }

    /// Whether this is the same statement as one we hold, however often signed. No receipt may contradict an earlier one.
    pub(crate) fn repeats(&self, held: &Note) -> Result<(), Fault> {
        if self.note.text() == held.text() {
            return Ok(());
        }
        Err(Fault::new(
            "contradicts-earlier",
            format!("another {} than the one already signed", self.receipt.kind),
        ))
    }
}

/// Reads a note, whatever it is about; signatures are not yet looked at.
pub(crate) fn note_of(bytes: &[u8]) -> Result<Note, Fault> {
    Note::parse(bytes).map_err(|e| Fault::new(e.code(), e.to_string()))
}

/// The receipt keys of both parties of an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) sender: &'a PartyKeys,
    pub(crate) receiver: &'a PartyKeys,
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
