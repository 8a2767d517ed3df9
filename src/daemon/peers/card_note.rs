//! A card as its authority signed it.

use crate::base::{Digest, Timestamp};
use crate::identity::card::{Card, CardFault};
use crate::identity::statement::Note;
use crate::store::{CardRow, Op};

/// A card and the note that it stands in.
#[derive(Debug, Clone)]
pub(crate) struct CardNote {
    pub(crate) card: Card,
    pub(crate) note: Note,
}

impl CardNote {
    pub(crate) fn open(bytes: &[u8]) -> Result<Self, CardFault> {
        let (card, note) = Card::open(bytes)?;
        Ok(Self { card, note })
    }

    /// Names the card: its six words are the first bits of this.
    pub(crate) fn digest(&self) -> Digest {
        self.note.text_digest()
    }

    /// Its row; `adopted` from now on, or not yet.
    pub(crate) fn row(&self, now: Timestamp, adopted: bool) -> Op {
        Op::CardPut(Box::new(CardRow {
            authority: self.card.id.clone(),
            digest: self.digest(),
            number: self.card.number,
            note: self.note.bytes().to_vec(),
            came: now,
            adopted: adopted.then_some(now),
        }))
    }
}
