//! Who an authority is: keys, card, trust, and the signed statements it makes.

pub mod ca;
pub mod card;
pub mod keys;
pub mod note;
pub mod refusal;
pub mod revocation;
pub mod statement;
pub mod trust;
pub mod words;

pub use ca::{ca_id, ca_name};
pub use card::{Card, CardFault, CardKeys, Der};
pub use keys::{KeyFault, KeyName, PublicKey, Role, SecretKey};
pub use refusal::Refusal;
pub use revocation::{HeldList, RevocationList};
pub use statement::{Context, Note, NoteSignature, StatementFault};
pub use trust::{Peer, PeerSide, Trust, TrustedPeer};
