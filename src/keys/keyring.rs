//! An authority's keys: made once, read at each start. Certificate and revocation list are renewed where the built-in
//! CA can, in the folder of the state: those that were made first, and the keys, need not be writable.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

use age::secrecy::ExposeSecret as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::base::{AuthorityId, Timestamp};
use crate::config::{KeyFiles, SecretFault, files};
use crate::identity::keys::{KeyName, Role, SecretKey};
use crate::keys::pki;
use crate::keys::pki::{Ca, PkiFault};
use crate::keys::pki_folder::Brought;

/// Why a keyring could not be made, read or renewed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFault {
    /// A file of it cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretFault),
    /// A certificate or list could not be made.
    #[error(transparent)]
    Pki(#[from] PkiFault),
    /// A file could not be written.
    #[error("{path} cannot be written: {source}")]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The CA's private key is kept elsewhere, so nothing can be issued here.
    #[error(
        "the TLS CA's private key is not here ({0}); issue with your CA and replace the files (certs/README.md)"
    )]
    NoCaKey(PathBuf),
}

/// All keys of one authority, in memory.
pub struct Keyring {
    /// The built-in CA, where its private key is kept here.
    pub ca: Option<Ca>,
    /// The CA's certificate, for the card.
    pub ca_certificate: CertificateDer<'static>,
    /// The TLS certificate chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub tls_key: PrivateKeyDer<'static>,
    /// Signs receipts.
    pub receipts: SecretKey,
    /// Signs checkpoints of the own log.
    pub log: SecretKey,
    /// Cosigns checkpoints of others' logs.
    pub witness: SecretKey,
    /// Signs the card.
    pub card: SecretKey,
    /// Opens packages.
    pub age: age::x25519::Identity,
    /// Makes QUIC's stateless resets.
    pub reset: Zeroizing<[u8; 64]>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring")
    }
}

impl Keyring {
    /// Makes a folder (0700) with new keys (0600 each; certificates 0644) for this authority. Refuses a folder that
    /// exists.
    ///
    /// `tls-ca.pem tls-ca.key tls.pem tls.key receipts.key log.key witness.key card.key age.key reset.key`
    pub fn create(dir: &Path, id: &AuthorityId, now: Timestamp) -> Result<Self, KeyringFault> {
        Self::create_with(dir, id, now, None)
    }

    /// The same with TLS certificates of another PKI, where such are brought: then there is no `tls-ca.key`.
    pub fn create_with(
        dir: &Path,
        id: &AuthorityId,
        now: Timestamp,
        brought: Option<&Brought>,
    ) -> Result<Self, KeyringFault> {
        let not_written = |source| KeyringFault::NotWritten {
            path: dir.to_owned(),
            source,
        };
        let files = KeyFiles::standard(dir, PathBuf::new(), PathBuf::new(), dir);
        DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(not_written)?;
        match brought {
            Some(brought) => {
                let chain: String = brought.chain.iter().map(pem).collect();
                write_new(&files.tls_ca_cert, pem(&brought.ca).as_bytes(), 0o644)?;
                write_new(&files.tls_cert, chain.as_bytes(), 0o644)?;
                write_new(&files.tls_key, brought.key_pem.as_bytes(), 0o600)?;
            }
            None => build_pki(&files, id, now)?,
        }
        for (_, path, role) in files.signing() {
            let seed = random::<32>()?;
            let name = KeyName::new(id.clone(), role);
            let key = SecretKey::from_seed(name, &seed);
            write_new(path, key.to_pkcs8_pem().as_bytes(), 0o600)?;
        }
        let age = age_file(&age::x25519::Identity::generate(), now);
        write_new(&files.age_identity, age.as_bytes(), 0o600)?;
        let reset = random::<64>()?;
        let reset = Zeroizing::new(format!("{}\n", hex::encode(reset.as_slice())));
        write_new(&files.reset_key, reset.as_bytes(), 0o600)?;
        sync_folder(dir)?;
        Self::load(&files, id)
    }

    /// Reads the keys. A secret that others than its owner may read is refused.
    pub fn load(files: &KeyFiles, id: &AuthorityId) -> Result<Self, KeyringFault> {
        let signing = |path, role| files::signing_key(path, id, role);
        let ca_certificate = files::tls_chain(&files.tls_ca_cert)?.swap_remove(0);
        let ca = match files::secret_text(&files.tls_ca_key) {
            Ok(pem) => Some(Ca::from_parts(ca_certificate.clone(), &pem)?),
            Err(SecretFault::Missing(_)) => None,
            Err(fault) => return Err(fault.into()),
        };
        Ok(Self {
            ca,
            ca_certificate,
            chain: files::chain_in_use(files)?,
            tls_key: files::tls_key(&files.tls_key)?,
            receipts: signing(&files.receipts_key, Role::Receipts)?,
            log: signing(&files.log_key, Role::Log)?,
            witness: signing(&files.witness_key, Role::Witness)?,
            card: signing(&files.card_key, Role::Card)?,
            age: files::age_identity(&files.age_identity)?,
            reset: files::reset_key(&files.reset_key)?,
        })
    }

    /// The age recipient that opens with this keyring (`age1…`).
    pub fn recipient(&self) -> String {
        self.age.to_public().to_string()
    }

    /// The age identity as text (`AGE-SECRET-KEY-1…`).
    pub fn age_text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.age.to_string().expose_secret().to_owned())
    }

    /// A new leaf certificate for the key in use, from now on in place of the one before.
    pub fn renew_leaf(
        &mut self,
        files: &KeyFiles,
        id: &AuthorityId,
        now: Timestamp,
    ) -> Result<(), KeyringFault> {
        let ca = self.issuing(files)?;
        let key = files::secret_text(&files.tls_key)?;
        let leaf = pki::renew_leaf(ca, id, &key, now, pki::LEAF_DAYS)?;
        replace(&files.renewed_cert(), pem(&leaf).as_bytes())?;
        self.chain = vec![leaf];
        Ok(())
    }

    /// A new revocation list with this number, from now on in place of the one before.
    pub fn renew_crl(
        &self,
        files: &KeyFiles,
        number: u64,
        now: Timestamp,
        revoked: &[pki::Revoked],
    ) -> Result<CertificateRevocationListDer<'static>, KeyringFault> {
        let crl = pki::make_crl(self.issuing(files)?, number, now, revoked)?;
        replace(&files.renewed_crl(), &crl)?;
        Ok(crl)
    }

    fn issuing(&self, files: &KeyFiles) -> Result<&Ca, KeyringFault> {
        let absent = || KeyringFault::NoCaKey(files.tls_ca_key.clone());
        self.ca.as_ref().ok_or_else(absent)
    }
}

/// A CA and a leaf of our own making.
fn build_pki(files: &KeyFiles, id: &AuthorityId, now: Timestamp) -> Result<(), KeyringFault> {
    let ca = pki::make_ca(id, now)?;
    let leaf = pki::issue_leaf(&ca, id, now, pki::LEAF_DAYS)?;
    write_new(&files.tls_ca_cert, pem(ca.certificate()).as_bytes(), 0o644)?;
    write_new(&files.tls_ca_key, ca.key_pem().as_bytes(), 0o600)?;
    write_new(&files.tls_cert, pem(&leaf.certificate).as_bytes(), 0o644)?;
    write_new(&files.tls_key, leaf.key_pem.as_bytes(), 0o600)
}

/// The file form of `age-keygen`, so that `age -d -i` reads it.
fn age_file(identity: &age::x25519::Identity, now: Timestamp) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "# created: {now}\n# public key: {}\n{}\n",
        identity.to_public(),
        identity.to_string().expose_secret()
    ))
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyringFault> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| PkiFault::Randomness)?;
    Ok(bytes)
}

/// A certificate as PEM (RFC 7468).
pub fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push('\n');
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Writes a file that must not exist, durably up to its folder's entry; its mode is this one, whatever the umask is.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyringFault> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| KeyringFault::NotWritten {
        path: path.to_owned(),
        source,
    })
}

/// Makes a folder's entries durable.
pub fn sync_folder(path: &Path) -> Result<(), KeyringFault> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(|source| KeyringFault::NotWritten {
        path: path.to_owned(),
        source,
    })
}

/// Puts new content in place of the old at once, if there is any; the folder is made if it is missing.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyringFault> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let not_written = |source| KeyringFault::NotWritten {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(folder)
        .map_err(not_written)?;
    // Left by an earlier attempt that was interrupted.
    match fs::remove_file(&partial) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(not_written(e)),
    }
    write_new(&partial, bytes, 0o644)?;
    fs::rename(&partial, path).map_err(not_written)?;
    sync_folder(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> AuthorityId {
        "mla.example.ie".parse().unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-23T09:00:00.000Z".parse().unwrap()
    }

    fn made(root: &Path) -> (Keyring, KeyFiles) {
        let keys = root.join("keys");
        let keyring = Keyring::create(&keys, &id(), now()).unwrap();
        let (card, crl) = (root.join("ie.card"), root.join("ie.crl"));
        let files = KeyFiles::standard(&keys, card, crl, &root.join("state"));
        let list = pki::make_crl(keyring.ca.as_ref().unwrap(), 1, now(), &[]).unwrap();
        write_new(&files.crl, &list, 0o644).unwrap();
        (keyring, files)
    }

    /// The one list in use, DER.
    fn list_in_use(files: &KeyFiles, keyring: &Keyring) -> Vec<u8> {
        let cas = [keyring.ca_certificate.clone()];
        let lists = files::lists_in_use(files, &cas, &[]).unwrap();
        assert_eq!(lists.len(), 1);
        lists[0].list().to_vec()
    }

    #[test]
    fn keys_are_made_closed_and_read_back() {
        let root = tempfile::tempdir().unwrap();
        let (keyring, files) = made(root.path());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let folder = root.path().join("keys");
        assert_eq!(mode(&folder), 0o700);
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        assert_eq!(names.len(), 10);
        for path in &names {
            let public = path.extension().is_some_and(|it| it == "pem");
            let wanted = if public { 0o644 } else { 0o600 };
            assert_eq!(mode(path), wanted, "{}", path.display());
        }
        let again = Keyring::load(&files, &id()).unwrap();
        assert_eq!(again.receipts.public(), keyring.receipts.public());
        assert_eq!(again.recipient(), keyring.recipient());
        assert_eq!(*again.reset, *keyring.reset);
        assert_eq!(again.chain, keyring.chain);
        assert!(again.age_text().starts_with("AGE-SECRET-KEY-1"));
        let publics = [&again.receipts, &again.log, &again.witness, &again.card];
        let publics: std::collections::BTreeSet<_> =
            publics.map(|key| *key.public().bytes()).into();
        assert_eq!(publics.len(), 4);
    }

    #[test]
    fn nothing_is_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let (_, files) = made(root.path());
        let before = fs::read(&files.card_key).unwrap();
        let refused = Keyring::create(&root.path().join("keys"), &id(), now());
        assert!(matches!(refused, Err(KeyringFault::NotWritten { .. })));
        assert_eq!(fs::read(&files.card_key).unwrap(), before);
    }

    #[test]
    fn each_open_missing_or_broken_secret_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (_, files) = made(root.path());
        let secrets = [
            &files.tls_ca_key,
            &files.tls_key,
            &files.receipts_key,
            &files.log_key,
            &files.witness_key,
            &files.card_key,
            &files.age_identity,
            &files.reset_key,
        ];
        for path in secrets {
            let good = fs::read(path).unwrap();
            for mode in [0o640, 0o604, 0o620, 0o601] {
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
                let text = Keyring::load(&files, &id()).unwrap_err().to_string();
                assert!(text.contains("chmod 600"), "{text}");
            }
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
            fs::write(path, "broken").unwrap();
            assert!(Keyring::load(&files, &id()).is_err(), "{}", path.display());
            fs::write(path, vec![b'a'; 65_537]).unwrap();
            let text = Keyring::load(&files, &id()).unwrap_err().to_string();
            assert!(text.contains("65536"), "{text}");
            fs::remove_file(path).unwrap();
            let without = Keyring::load(&files, &id());
            let may_be_elsewhere = *path == files.tls_ca_key;
            assert_eq!(without.is_ok(), may_be_elsewhere, "{}", path.display());
            write_new(path, &good, 0o600).unwrap();
        }
        Keyring::load(&files, &id()).unwrap();
    }

    #[test]
    fn leaf_and_list_are_renewed_beside_what_was_made() {
        let root = tempfile::tempdir().unwrap();
        let (mut keyring, files) = made(root.path());
        let (old, configured) = (keyring.chain.clone(), fs::read(&files.tls_cert).unwrap());
        let first = fs::read(&files.crl).unwrap();
        let later = now().plus_millis(60 * 86_400_000);
        keyring.renew_leaf(&files, &id(), later).unwrap();
        assert_ne!(keyring.chain, old);
        let again = Keyring::load(&files, &id()).unwrap();
        assert_eq!(again.chain, keyring.chain);
        assert_eq!(list_in_use(&files, &keyring), first);
        for number in [2, 3] {
            let crl = keyring.renew_crl(&files, number, later, &[]).unwrap();
            assert_eq!(list_in_use(&files, &keyring), crl.as_ref());
        }
        // One that is no newer than the configured list is none.
        keyring.renew_crl(&files, 1, later, &[]).unwrap();
        assert_eq!(list_in_use(&files, &keyring), first);
        assert_eq!(fs::read(&files.tls_cert).unwrap(), configured);
        assert_eq!(fs::read(&files.crl).unwrap(), first);
        keyring.renew_crl(&files, 4, later, &[]).unwrap();
        fs::remove_file(&files.tls_ca_key).unwrap();
        let keyring = Keyring::load(&files, &id()).unwrap();
        let refused = keyring.renew_crl(&files, 5, later, &[]);
        assert!(matches!(refused, Err(KeyringFault::NoCaKey(_))));
        assert_eq!(
            keyring.chain, old,
            "without the CA, what is configured counts"
        );
        assert_eq!(list_in_use(&files, &keyring), first);
    }

    #[test]
    fn what_was_renewed_for_another_key_or_ca_is_not_used() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (keyring, files) = made(root.path());
        let (mut stranger, theirs) = made(other.path());
        stranger.renew_leaf(&theirs, &id(), now()).unwrap();
        stranger.renew_crl(&theirs, 9, now(), &[]).unwrap();
        fs::create_dir_all(&files.renewed).unwrap();
        let first = fs::read(&files.crl).unwrap();
        for broken in [false, true] {
            for (from, to) in [
                (theirs.renewed_cert(), files.renewed_cert()),
                (theirs.renewed_crl(), files.renewed_crl()),
            ] {
                let bytes = fs::read(from).unwrap();
                let cut = if broken { bytes.len() / 2 } else { bytes.len() };
                fs::write(to, &bytes[..cut]).unwrap();
            }
            let again = Keyring::load(&files, &id()).unwrap();
            assert_eq!(again.chain, keyring.chain);
            assert_eq!(list_in_use(&files, &keyring), first);
        }
    }
}
