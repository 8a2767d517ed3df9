//! The files that a configuration names: do they exist, who may read them, do they belong together.
//!
//! The keyring reads its keys through the same functions, so that what was checked is what is loaded.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::base::{AuthorityId, len_u64, limits};
use crate::config::crls;
use crate::config::fault::ConfigFault;
use crate::config::typed::Config;
use crate::config::values::KeyFiles;
use crate::identity::ca::{foreign_key_kind, is_issued_by};
use crate::identity::card::Card;
use crate::identity::keys::{KeyName, Role, SecretKey};
use crate::identity::refusal::Refusal;
use crate::identity::revocation::{self, RevocationList};

/// Why a file of the keyring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFault {
    /// It is not there.
    #[error("{0} does not exist; `rogatory init` makes it, or correct [identity]")]
    Missing(PathBuf),
    /// Others than its owner may read or write it.
    #[error("{path} is open to others (mode {mode:04o}); run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A folder, a device, or longer than allowed.
    #[error("{path} is not a regular file of at most {limit} bytes")]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// It could not be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Its content is not what it should be.
    #[error("{path} is not {wanted}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The expected content.
        wanted: String,
    },
}

impl SecretFault {
    fn malformed(path: &Path, wanted: impl Into<String>) -> Self {
        let path = path.to_owned();
        let wanted = wanted.into();
        Self::Malformed { path, wanted }
    }
}

/// The bytes of a regular file; a secret one must be closed to everybody but its owner.
fn read(path: &Path, secret: bool, limit: u64) -> Result<Zeroizing<Vec<u8>>, SecretFault> {
    let unreadable = |source: io::Error| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            SecretFault::Missing(path)
        } else {
            SecretFault::Unreadable { path, source }
        }
    };
    let not_a_key_file = || SecretFault::NotAKeyFile {
        path: path.to_owned(),
        limit,
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > limit {
        return Err(not_a_key_file());
    }
    let mode = metadata.mode() & 0o7777;
    // As newer systemd hands a credential to a unit's user: readable for root's group too, which may read all anyway.
    let credential = mode == 0o440 && metadata.uid() == 0 && metadata.gid() == 0;
    if secret && mode & 0o077 != 0 && !credential {
        let path = path.to_owned();
        return Err(SecretFault::Exposed { path, mode });
    }
    // With room for all of it, so that no part is left behind by a growing buffer.
    let room = usize::try_from(metadata.len()).ok();
    let room = room.and_then(|length| length.checked_add(1));
    let room = room.ok_or_else(not_a_key_file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(len_u64(room))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() == room {
        return Err(not_a_key_file());
    }
    Ok(bytes)
}

/// A secret text file.
pub fn secret_text(path: &Path) -> Result<Zeroizing<String>, SecretFault> {
    let bytes = read(path, true, limits::KEY_FILE_BYTES_MAX)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(SecretFault::malformed(path, "text")),
    }
}

/// A public file: a card, a certificate chain, a revocation list; at most 1 MiB.
pub fn public_bytes(path: &Path) -> Result<Vec<u8>, SecretFault> {
    read(path, false, len_u64(limits::CRL_BYTES_MAX)).map(|bytes| bytes.to_vec())
}

/// An Ed25519 key in PKCS#8 PEM.
pub fn signing_key(
    path: &Path,
    authority: &AuthorityId,
    role: Role,
) -> Result<SecretKey, SecretFault> {
    let pem = secret_text(path)?;
    let name = KeyName::new(authority.clone(), role);
    SecretKey::from_pkcs8_pem(name, &pem)
        .map_err(|e| SecretFault::malformed(path, format!("an Ed25519 key in PKCS#8 PEM: {e}")))
}

/// The first X25519 identity in a file as `age-keygen` writes it.
pub fn age_identity(path: &Path) -> Result<age::x25519::Identity, SecretFault> {
    let text = secret_text(path)?;
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .and_then(|line| line.parse().ok())
        .ok_or_else(|| SecretFault::malformed(path, "an age identity (AGE-SECRET-KEY-1…)"))
}

/// 64 random bytes as hex.
pub fn reset_key(path: &Path) -> Result<Zeroizing<[u8; 64]>, SecretFault> {
    let text = secret_text(path)?;
    let mut key = Zeroizing::new([0; 64]);
    hex::decode_to_slice(text.trim_end(), key.as_mut_slice())
        .map_err(|_| SecretFault::malformed(path, "64 bytes as 128 hex digits"))?;
    Ok(key)
}

/// A TLS private key in PEM.
pub fn tls_key(path: &Path) -> Result<PrivateKeyDer<'static>, SecretFault> {
    let pem = secret_text(path)?;
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| SecretFault::malformed(path, "a private key in PEM"))
}

/// One to four certificates in PEM, leaf first.
pub fn tls_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, SecretFault> {
    let malformed = || {
        let wanted = "1 to 4 certificates in PEM, leaf first";
        SecretFault::malformed(path, wanted)
    };
    let pem = public_bytes(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|_| malformed())?;
    let good = (1..=limits::CHAIN_CERTIFICATES_MAX).contains(&chain.len());
    good.then_some(chain).ok_or_else(malformed)
}

/// The TLS chain in use, leaf first: where the built-in CA is, the one that was renewed, if it is of this key and CA.
pub fn chain_in_use(files: &KeyFiles) -> Result<Vec<CertificateDer<'static>>, SecretFault> {
    let configured = tls_chain(&files.tls_cert)?;
    Ok(renewed_chain(files).unwrap_or(configured))
}

fn renewed_chain(files: &KeyFiles) -> Option<Vec<CertificateDer<'static>>> {
    let (ca, chain) = (built_in_ca(files)?, tls_chain(&files.renewed_cert()).ok()?);
    let key = tls_key(&files.tls_key).ok()?;
    let leaf = chain.first()?;
    (are_pair(&key, leaf) && is_issued_by(leaf, &ca)).then_some(chain)
}

/// Own revocation lists, the newest of each CA, by CA: those in the file that is configured, and where the built-in CA
/// is, the one that was renewed. They are of `cas`, which are on the own card, or of CAs below them, whose certificates
/// stand in the file or in `chain`.
///
/// # Errors
/// Names the configured file and its fault.
pub fn lists_in_use(
    files: &KeyFiles,
    cas: &[CertificateDer<'_>],
    chain: &[CertificateDer<'_>],
) -> Result<Vec<RevocationList>, String> {
    let file = crl_file(&files.crl).map_err(|e| e.to_string())?;
    let mut lists = revocation::lists_in(&file, cas, chain)
        .map_err(|e| format!("{}: {}", files.crl.display(), e.for_owner()))?;
    lists.extend(renewed_crl(files));
    Ok(revocation::newest(lists))
}

fn renewed_crl(files: &KeyFiles) -> Option<RevocationList> {
    let (ca, list) = (
        built_in_ca(files)?,
        public_bytes(&files.renewed_crl()).ok()?,
    );
    RevocationList::open(&list, &[ca]).ok()
}

/// A file with own revocation lists: one in DER, or PEM.
pub fn crl_file(path: &Path) -> Result<Vec<u8>, SecretFault> {
    read(path, false, len_u64(limits::CRL_FILE_BYTES_MAX)).map(|bytes| bytes.to_vec())
}

/// The certificate of the CA, where its private key is here, so that nobody else renews.
pub fn built_in_ca(files: &KeyFiles) -> Option<CertificateDer<'static>> {
    let ca = files
        .tls_ca_key
        .exists()
        .then(|| tls_chain(&files.tls_ca_cert));
    ca?.ok()?.into_iter().next()
}

/// Whether this is the private key of this certificate, of a kind that TLS here can use.
pub fn are_pair(key: &PrivateKeyDer<'_>, certificate: &CertificateDer<'_>) -> bool {
    let public = public_key(key);
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, certificate)| public.is_some_and(|it| it == certificate.public_key().raw))
}

/// The public key (`SubjectPublicKeyInfo`, DER) of a TLS private key, if it is of a kind that TLS here can use.
fn public_key(key: &PrivateKeyDer<'_>) -> Option<Vec<u8>> {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).ok()?;
    Some(key.public_key()?.to_vec())
}

impl Config {
    /// Judges every file that the configuration names: secrets exist, have the right form and are closed to others;
    /// certificate, key, CA, card and id belong together; nobody else may write the configuration. Reports every fault
    /// at once.
    pub fn check_files(&self) -> Result<(), Vec<ConfigFault>> {
        let mut found = Findings(Vec::new());
        found.configuration(&self.file);
        found.signing_keys(&self.identity, &self.authority.id);
        found.tls(&self.identity, &self.authority.id);
        found.card(&self.identity, &self.authority.id);
        found.journal(&self.journal, &self.state_dir);
        match found.0 {
            faults if faults.is_empty() => Ok(()),
            faults => Err(faults),
        }
    }
}

struct Findings(Vec<ConfigFault>);

impl Findings {
    fn fault(&mut self, key: &str, text: impl Into<String>) {
        self.0
            .push(ConfigFault::of(format!("identity.{key}"), text));
    }

    fn take<T>(&mut self, key: &str, read: Result<T, SecretFault>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fault(key, fault.to_string());
                None
            }
        }
    }

    fn configuration(&mut self, path: &Path) {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.mode() & 0o002 != 0 => {
                let shown = path.display();
                let text = format!("everybody may write it; run: chmod o-w {shown}");
                self.0.push(ConfigFault::of(shown.to_string(), text));
            }
            Ok(_) => {}
            Err(e) => {
                let text = format!("cannot be examined: {e}");
                self.0
                    .push(ConfigFault::of(path.display().to_string(), text));
            }
        }
    }

    /// It is a file, if it is there, and not in the folder of the state by another name.
    fn journal(&mut self, path: &Path, state: &Path) {
        let mut fault = |text: &str| self.0.push(ConfigFault::of("retention.journal", text));
        if std::fs::metadata(path).is_ok_and(|about| !about.is_file()) {
            fault("is not a regular file");
        }
        let folder = path.parent().and_then(|it| it.canonicalize().ok());
        let state = state.canonicalize().ok();
        if folder
            .zip(state)
            .is_some_and(|(folder, state)| folder.starts_with(state))
        {
            fault("is in the folder of the state: a restored backup would bring back an older one");
        }
    }

    fn signing_keys(&mut self, files: &KeyFiles, id: &AuthorityId) {
        for (name, path, role) in files.signing() {
            self.take(name, signing_key(path, id, role));
        }
        self.take("age_identity", age_identity(&files.age_identity));
        self.take("reset_key", reset_key(&files.reset_key));
    }

    fn tls(&mut self, files: &KeyFiles, id: &AuthorityId) {
        let chain = self.take("tls_cert", tls_chain(&files.tls_cert));
        let key = self.take("tls_key", tls_key(&files.tls_key));
        let ca = self.take("tls_ca_cert", tls_chain(&files.tls_ca_cert));
        let ca_key = match tls_key(&files.tls_ca_key) {
            Err(SecretFault::Missing(_)) => None,
            other => self.take("tls_ca_key", other),
        };
        if let (Some([leaf, ..]), Some(key)) = (chain.as_deref(), &key) {
            self.pair("tls_key", key, leaf, &files.tls_cert);
        }
        if let (Some([ca, ..]), Some(key)) = (ca.as_deref(), &ca_key) {
            self.pair("tls_ca_key", key, ca, &files.tls_ca_cert);
        }
        if let Some([leaf, ..]) = chain.as_deref() {
            self.names(leaf, id);
            if let Some(kind) = foreign_key_kind(leaf) {
                let id = id.clone();
                self.fault("tls_cert", Refusal::KeyKind { id, kind }.for_owner());
            }
        }
        if let (Some(chain), Some([ca, ..])) = (chain.as_deref(), ca.as_deref()) {
            let cas = std::slice::from_ref(ca);
            let signed = chain.iter().zip(chain.iter().skip(1).chain(cas));
            for (certificate, issuer) in signed {
                if certificate != issuer && !is_issued_by(certificate, issuer) {
                    let text = format!(
                        "the chain does not end in {}: each certificate must be signed by the next, the last by the CA",
                        files.tls_ca_cert.display()
                    );
                    self.fault("tls_cert", text);
                    break;
                }
            }
        }
    }

    /// The card must be this authority's, with these keys and this CA; there must be the revocation lists of the CAs.
    fn card(&mut self, files: &KeyFiles, id: &AuthorityId) {
        let crl = self.take("crl", crl_file(&files.crl));
        let Some(note) = self.take("card", public_bytes(&files.card)) else {
            return;
        };
        let card = match Card::open(&note) {
            Ok((card, _)) => card,
            Err(e) => return self.fault("card", e.to_string()),
        };
        if card.id != *id {
            let text = format!("is the card of {}, not of {id}", card.id);
            return self.fault("card", text);
        }
        if let Some(crl) = crl {
            let chain = tls_chain(&files.tls_cert).unwrap_or_default();
            for fault in crls::faults(&crl, &card, &chain) {
                self.fault("crl", fault);
            }
        }
        let keys = card.keys.all();
        for (name, path, role) in files.signing() {
            let own = signing_key(path, id, role).map(|key| key.public());
            let named = keys.iter().find(|(named, _)| *named == role);
            if let (Ok(own), Some((_, named))) = (own, named)
                && own != **named
            {
                self.fault(name, "is not the key on the card");
            }
        }
        let age = age_identity(&files.age_identity).map(|own| own.to_public().to_string());
        if let Ok(own) = age
            && !card.age.contains(&own)
        {
            let text = format!("opens nothing that peers seal: {own} is not on the card");
            self.fault("age_identity", text);
        }
        let ca = tls_chain(&files.tls_ca_cert).ok();
        if let Some([ca, ..]) = ca.as_deref()
            && !card.tls_cas.iter().any(|named| named.0 == ca.as_ref())
        {
            self.fault("tls_ca_cert", "is not on the card: peers would refuse it");
        }
    }

    fn pair(
        &mut self,
        name: &str,
        key: &PrivateKeyDer<'_>,
        certificate: &CertificateDer<'_>,
        path: &Path,
    ) {
        if public_key(key).is_none() {
            self.fault(name, "is of a kind that cannot be used; take ECDSA P-256");
        } else if !are_pair(key, certificate) {
            let text = format!("is not the key of the certificate in {}", path.display());
            self.fault(name, text);
        }
    }

    fn names(&mut self, leaf: &[u8], id: &AuthorityId) {
        let Ok((_, leaf)) = X509Certificate::from_der(leaf) else {
            return self.fault("tls_cert", "the first certificate cannot be parsed");
        };
        let names: Vec<String> = match leaf.subject_alternative_name() {
            Ok(Some(names)) => names.value.general_names.iter().map(shown).collect(),
            Ok(None) | Err(_) => Vec::new(),
        };
        if names != [id.as_str()] {
            let text = format!(
                "the certificate must carry exactly one DNS SAN, {id}; it carries {names:?}"
            );
            self.fault("tls_cert", text);
        }
    }
}

fn shown(name: &GeneralName<'_>) -> String {
    if let GeneralName::DNSName(dns) = name {
        (*dns).to_owned()
    } else {
        name.to_string()
    }
}
