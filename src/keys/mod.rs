//! Keys of this authority: secret files, the keyring, and the PKI, built in or brought from a folder.

pub mod keyring;
pub mod pki;
pub mod pki_folder;
