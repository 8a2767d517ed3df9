//! Which files and folders are meant.

use std::path::{Path, PathBuf};

use super::Meaning;
use crate::base::Alias;
use crate::config::values::KeyFiles;

impl Meaning {
    pub(super) fn identity(
        &mut self,
        alias: Option<&Alias>,
        state: Option<&Path>,
    ) -> Option<KeyFiles> {
        let folder = self.home.folder().to_owned();
        let keys = self.path("identity.keys", folder.join("keys"))?;
        // Without an alias the configuration is refused anyway; the paths are still judged.
        let alias = alias.map_or("", Alias::as_str);
        let card = folder.join(format!("{alias}.card"));
        let crl = folder.join(format!("{alias}.crl"));
        let standard = KeyFiles::standard(&keys, card, crl, state.unwrap_or(&folder));
        let mut file = |name: &str, it: PathBuf| self.path(&format!("identity.{name}"), it);
        let card = file("card", standard.card);
        let crl = file("crl", standard.crl);
        let tls_ca_cert = file("tls_ca_cert", standard.tls_ca_cert);
        let tls_ca_key = file("tls_ca_key", standard.tls_ca_key);
        let tls_cert = file("tls_cert", standard.tls_cert);
        let tls_key = file("tls_key", standard.tls_key);
        let receipts_key = file("receipts_key", standard.receipts_key);
        let log_key = file("log_key", standard.log_key);
        let witness_key = file("witness_key", standard.witness_key);
        let card_key = file("card_key", standard.card_key);
        let age_identity = file("age_identity", standard.age_identity);
        let reset_key = file("reset_key", standard.reset_key);
        Some(KeyFiles {
            card: card?,
            crl: crl?,
            tls_ca_cert: tls_ca_cert?,
            tls_ca_key: tls_ca_key?,
            tls_cert: tls_cert?,
            tls_key: tls_key?,
            receipts_key: receipts_key?,
            log_key: log_key?,
            witness_key: witness_key?,
            card_key: card_key?,
            age_identity: age_identity?,
            reset_key: reset_key?,
            renewed: standard.renewed,
        })
    }

    pub(super) fn fetcher(&mut self) -> Option<PathBuf> {
        let folder = self.home.folder().to_owned();
        let socket = self.value("fetcher.socket", |text| {
            if text.contains('\0') {
                return Err("is not a path".to_owned());
            }
            Ok((!text.is_empty()).then(|| folder.join(text)))
        })?;
        socket.and_then(|path| self.socket_path("fetcher.socket", path))
    }

    /// Beside the state, in a folder of its own: what is restored with the state must not bring an older one back.
    pub(super) fn journal(&mut self, state: &Path) -> Option<PathBuf> {
        const KEY: &str = "retention.journal";
        let mut folder = state.components().as_path().as_os_str().to_owned();
        folder.push("-destroyed");
        let journal = self.path(KEY, Path::new(&folder).join("journal"))?;
        if !journal.starts_with(state) {
            return Some(journal);
        }
        let text = format!(
            "{} is below state.dir, so a restored backup would bring back an older one: name a file outside",
            journal.display()
        );
        let line = self.line(KEY);
        self.fault_at(line, KEY, text);
        None
    }
}
