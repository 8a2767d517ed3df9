//! Acts on packages.

use crate::policy::code::vocabulary;

vocabulary! {
    /// An act on a package that somebody wants to do.
    Action: "action" {
        /// Seal it for another authority and hand it to the daemon.
        Send = "send",
        /// Take it in from another authority.
        Admit = "admit",
        /// Read its plaintext.
        Open = "open",
        /// Take its age file away, still encrypted: whoever has the age identity reads it where nothing is enforced any
        /// more.
        Export = "export",
        /// Pass it on to a third authority.
        Forward = "forward",
        /// Go on keeping it.
        Keep = "keep",
        /// Destroy it here.
        Erase = "erase",
    }
}

impl Action {
    /// Whether it gives content to a person here, for a purpose.
    pub const fn is_use(self) -> bool {
        match self {
            Self::Open | Self::Export => true,
            Self::Send | Self::Admit | Self::Forward | Self::Keep | Self::Erase => false,
        }
    }
}
