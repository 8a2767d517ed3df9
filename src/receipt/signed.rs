//! Receipts together with the notes that they stand in.

use crate::identity::statement::Note;
use crate::receipt::body::Receipt;
use crate::receipt::chain;
use crate::receipt::fault::ReceiptFault;
use crate::receipt::keys::PartyKeys;

/// A receipt and the note that it stands in.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The receipt.
    pub receipt: Receipt,
    /// Its note.
    pub note: Note,
}

impl Signed {
    /// Reads the receipt in a note and checks everything but the signatures.
    pub fn open(note: Note) -> Result<Self, ReceiptFault> {
        let receipt = chain::open(&note)?;
        Ok(Self { receipt, note })
    }

    /// Checks its signatures, as [`chain::verify`] does.
    pub fn verify(
        &self,
        sender: &PartyKeys,
        receiver: &PartyKeys,
        complete: bool,
    ) -> Result<(), ReceiptFault> {
        chain::verify(&self.note, &self.receipt, sender, receiver, complete)
    }

    /// Whether it may follow that one ([`chain::continues`]).
    pub fn follows(&self, earlier: &Self) -> Result<(), ReceiptFault> {
        chain::continues(&earlier.receipt, &earlier.note, &self.receipt)
    }
}
