//! Receipts: statements about an exchange, who signs them, and what they must hold.
//!
//! [`kind`] says of each kind who issues it, whether the other side signs too and what it may follow; [`body`] is what
//! a receipt holds, and which fields a kind needs; [`chain`] reads, signs, verifies and links them by the [`keys`] of
//! each party; [`disclosure`] is what travels beside a receipt and is in it only as a salted digest, [`items`] what
//! that says of single items, and [`particulars`] all that stands beside a dispatch, each value of its type; [`onward`]
//! is what ties what is passed on to its first sender.

pub mod body;
pub mod chain;
pub mod disclosure;
mod fault;
pub mod items;
pub mod keys;
pub mod kind;
pub mod onward;
pub mod particulars;
pub mod parts;
pub mod signed;

pub use body::{Receipt, Stamp};
pub use chain::{continues, newest, open, verify, verify_own};
pub use disclosure::{Disclosure, DisclosureFault};
pub use fault::ReceiptFault;
pub use items::ItemsFault;
pub use keys::{OwnKeys, PartyKeys};
pub use kind::{Issuer, Kind, Profile};
pub use onward::OnwardFault;
pub use particulars::{Particulars, ParticularsFault};
pub use parts::{Head, Party, Pkg, Reason, Used};
pub use signed::Signed;

#[cfg(test)]
mod tests;
