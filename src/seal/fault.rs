//! Why sealing, opening or unpacking did not happen.

use std::io;
use std::path::PathBuf;

use crate::package::content::{ContentFault, Halt};
use crate::package::header::HeaderFault;
use crate::package::item_terms::ItemTermsFault;
use crate::package::manifest::ManifestFault;
use crate::package::path::PathFault;
use crate::package::tape::TapeError;
use crate::policy::Action;
use crate::seal::identity::IdentityFault;
use crate::seal::plaintext;

/// Why a package was not sealed, or its header or payload not opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No path was given.
    #[error("nothing to seal: name at least one file or folder")]
    NoInput,
    /// The folders hold no file.
    #[error("nothing to seal: the folders named hold no file")]
    Empty,
    /// A symbolic link among the inputs.
    #[error("{}: a symbolic link; name the file it points to, or remove it", .path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// Neither a regular file nor a folder.
    #[error("{}: a {kind}; only regular files and folders can be sealed", .path.display())]
    NotRegular {
        /// The entry.
        path: PathBuf,
        /// The kind of file.
        kind: &'static str,
    },
    /// A file name that is not UTF-8.
    #[error("{}: the name is not UTF-8; rename it", .path.display())]
    NotUtf8 {
        /// The entry.
        path: PathBuf,
    },
    /// A path that no item may have, or that collides with another.
    #[error("{}: {fault}", .path.display())]
    Path {
        /// The entry.
        path: PathBuf,
        /// The rule that it breaks.
        fault: PathFault,
    },
    /// Two inputs with the same last part.
    #[error("{}: another input has the same name; rename one, or seal the folder above both", .path.display())]
    SameName {
        /// The second of them.
        path: PathBuf,
    },
    /// A file that was written to while it was read.
    #[error("{}: it changed while it was being sealed; seal again when nothing writes to it", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder that cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The entry.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More items, bytes or manifest than a package may have.
    #[error("too much for one package ({what}); send it as several packages")]
    TooLarge {
        /// The limit that is reached.
        what: &'static str,
    },
    /// The case, request, title, actor or terms cannot stand in a manifest.
    #[error("{0}")]
    Plan(ManifestFault),
    /// Items under terms of their own are not there, do not lie side by side, or are under looser terms.
    #[error("{0}")]
    ItemTerms(ItemTermsFault),
    /// No recipient, or one that cannot be encrypted to.
    #[error("{0}")]
    Identity(#[from] IdentityFault),
    /// No recipient at all.
    #[error("no recipient to seal for; the peer's card names none")]
    NoRecipient,
    /// The sealed bytes could not be written.
    #[error("the sealed package cannot be written: {0}")]
    Write(io::Error),
    /// Not the header of a package.
    #[error("{0}")]
    Header(#[from] HeaderFault),
    /// The identity is none of the recipients.
    #[error("the package is not sealed for this authority's age identity")]
    NotForUs,
    /// A stanza for us does not hold a file key.
    #[error("the age header is malformed: no file key can be unwrapped from it")]
    Stanza,
    /// The header's MAC is wrong.
    #[error("the age header was altered: its MAC is wrong")]
    Mac,
    /// The payload does not belong to the header, or was altered or truncated.
    #[error("the payload does not decrypt under its header: {0}")]
    Payload(io::Error),
    /// The permit is for something else.
    #[error("the permit is for {0}, and not for this")]
    Permit(Action),
}

impl SealError {
    /// Whether sealed bytes that came do not decrypt.
    pub fn is_undecryptable(&self) -> bool {
        matches!(self, Self::Payload(e) if plaintext::is_undecryptable(e))
    }
}

/// Why a plaintext was not unpacked. Nothing stays on disk.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The sender's: the content is not what was signed.
    #[error("{0}")]
    Content(#[from] ContentFault),
    /// The target cannot be the name of a new folder.
    #[error("{}: not the name of a new folder", .0.display())]
    Out(PathBuf),
    /// The target exists.
    #[error("{}: exists already; name a folder that does not", .0.display())]
    Exists(PathBuf),
    /// Something else has the name of the folder under way.
    #[error("{}: is in the way and was not left by an opening; move it away and try again", .0.display())]
    PartialExists(PathBuf),
    /// Another opening fills the folder under way.
    #[error("{}: another opening is writing there", .0.display())]
    PartialBusy(PathBuf),
    /// The target's file system is full.
    #[error("{path}: no space left; make room and try again")]
    NoSpace {
        /// The file that was being written.
        path: String,
    },
    /// The target cannot be written.
    #[error("{path}: cannot be written: {source}")]
    Write {
        /// The file that was being written.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The plaintext does not come to its end; why, whoever decrypts it knows.
    #[error("the package cannot be read on: {0}")]
    Read(io::Error),
    /// An item asked for that the package does not have.
    #[error("the package has no item {0:?}")]
    NoSuchItem(String),
}

impl From<Halt<Self>> for UnpackError {
    fn from(halt: Halt<Self>) -> Self {
        match halt {
            Halt::Content(fault) => Self::Content(fault),
            Halt::Source(error) => Self::Read(error),
            Halt::Sink(fault) => fault,
        }
    }
}

impl From<TapeError> for UnpackError {
    fn from(error: TapeError) -> Self {
        Halt::from(error).into()
    }
}
