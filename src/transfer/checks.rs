//! Checks that sender and receiver share: is this note what the exchange needs next?

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
}

impl Fault {
    /// A fault with this code.
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            text: text.into(),
        }
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
