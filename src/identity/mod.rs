//! Who an authority is: keys, card, trust, and the signed statements it makes.

pub mod keys;
pub mod note;
pub mod statement;

pub use keys::{KeyFault, KeyName, PublicKey, Role, SecretKey};
pub use statement::{Context, Note, NoteSignature, StatementFault};
