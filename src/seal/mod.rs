//! Sealing and opening packages with age.
//!
//! [`seal()`] turns files and folders into one age file in one pass; [`Plaintext`] decrypts byte ranges of it, and only
//! with a permit to open; [`unpack()`] and [`unpack_items`] write the items of a plaintext into a [`Target`] and
//! nowhere else, after [`sandbox()`] has taken the right to do anything else from the process. [`rewrap()`] makes a
//! package readable for others without touching its payload.

mod fault;
mod identity;
mod inputs;
mod names;
mod plaintext;
mod plan;
mod random;
mod rewrap;
mod sandbox;
mod sealing;
mod stream;
mod tree;
mod unpack;

pub use fault::{SealError, UnpackError};
pub use identity::{Identity, IdentityFault, check_recipient};
pub use inputs::{Survey, survey};
pub use names::find_items;
pub use plaintext::{Plaintext, check_header, is_undecryptable};
pub use plan::{SealPlan, Sealed};
pub use random::random;
pub use rewrap::rewrap;
pub use sandbox::{Sandbox, SandboxFault, sandbox};
pub use sealing::{SMALL_BYTES_MAX, seal, seal_small};
pub use tree::Target;
pub use unpack::{Unpacked, find_manifest, unpack, unpack_items, unpack_rest};

#[cfg(test)]
mod tests;
