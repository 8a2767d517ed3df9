//! The words that every other module speaks: digests, names, time, canonical JSON, limits.

pub mod bucket;
pub mod clock;
pub mod digest;
pub mod ids;
pub mod json;
pub mod limits;
pub mod number;
pub mod page;
pub mod ranges;
pub mod spelling;
pub mod text;
pub mod time;
pub mod words;

pub use digest::{Digest, Hasher};
pub use ids::{Alias, AuthorityId, KeyId, Xid};
pub use number::len_u64;
pub use page::{Cursor, CursorFault, Page};
pub use ranges::{Range, Ranges};
pub use time::{Date, Instant, Timestamp};
pub use words::WordFault;
