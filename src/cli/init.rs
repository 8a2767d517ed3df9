//! `init`: an authority from nothing: keys, certificates, card, revocation list, configuration.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Args;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;

use crate::base::{Alias, AuthorityId, Timestamp};
use crate::cli::failure::Failure;
use crate::cli::hint::quoted;
use crate::cli::terminal::Terminal;
use crate::config::sample::SampleValues;
use crate::config::{Config, Country, Home, sample};
use crate::identity::{Card, CardKeys, card, revocation};
use crate::keys::keyring::{Keyring, KeyringFault};
use crate::keys::pki_folder::Brought;
use crate::keys::{keyring, pki};
use crate::net::clock::civil;

pub(crate) const EXAMPLES: &str = "\
Examples:
  rogatory init --home ./ie --authority mla.example.ie --name 'Central Authority' --country IE --listen 127.0.0.1:7443
  rogatory init --authority bfj.example.de --name 'Bundesamt' --country DE --listen '[::]:7443' --pki ./from-our-ca";

/// Make a new authority: keys, certificates, card, revocation list and configuration. Overwrites nothing
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct InitArgs {
    /// Its id: a DNS name that it owns, in lower case
    #[arg(long, value_name = "DNS-NAME")]
    pub authority: AuthorityId,
    /// Its name for people
    #[arg(long, value_name = "TEXT")]
    pub name: String,
    /// Its state: two letters
    #[arg(long, value_name = "CC", value_parser = country)]
    pub country: Country,
    /// The UDP address to listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Its short name [default: the country in lower case]
    #[arg(long)]
    pub alias: Option<Alias>,
    /// Where peers reach it, host:port, up to 8 times [default: the listen address, or its id where that is `[::]` or
    /// 0.0.0.0]
    #[arg(long, value_name = "HOST:PORT")]
    pub endpoint: Vec<String>,
    /// A folder with tls-ca.pem, tls.pem, tls.key and tls-ca.crl of your own CAs [default: a built-in CA]
    #[arg(long, value_name = "DIR")]
    pub pki: Option<PathBuf>,
}

/// The result of `init`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// `summary`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The authority.
    pub id: AuthorityId,
    /// Its short name.
    pub alias: Alias,
    /// The card's file.
    pub card: PathBuf,
    /// The revocation list's file.
    pub crl: PathBuf,
    /// The configuration's file.
    pub config: PathBuf,
    /// The folder of the keys.
    pub keys: PathBuf,
    /// The six words of the card.
    pub fingerprint: String,
    /// Commands to run next.
    pub next: Vec<String>,
}

pub(crate) fn run(args: &InitArgs, home: &Home, terminal: Terminal) -> Result<(), Failure> {
    let now = civil();
    let made = establish(args, home, now)?;
    terminal.show(&made, |made, _| text(made));
    Ok(())
}

/// Makes the authority's files under `home`; on failure nothing of them is left.
pub fn establish(args: &InitArgs, home: &Home, now: Timestamp) -> Result<Made, Failure> {
    let plan = Plan::new(args, home)?;
    plan.refuse_overwriting()?;
    let brought = match &args.pki {
        Some(folder) => Some(Brought::read(folder, &args.authority, now).map_err(|e| {
            Failure::usage("pki-refused", format!("{}: {e}", folder.display()))
                .next("certs/README.md says which files are wanted")
        })?),
        None => None,
    };
    let missing = missing_folders(home.folder());
    let made = plan.make(now, brought.as_ref());
    if made.is_err() {
        // Empty now, unless somebody else put something there.
        for folder in missing {
            drop(fs::remove_dir(folder));
        }
    }
    made
}

/// The files that will be made, and where.
struct Plan<'a> {
    args: &'a InitArgs,
    home: &'a Home,
    alias: Alias,
    endpoints: Vec<String>,
    config: String,
}

impl<'a> Plan<'a> {
    fn new(args: &'a InitArgs, home: &'a Home) -> Result<Self, Failure> {
        let derived = || args.country.as_str().to_lowercase().parse();
        let alias = match &args.alias {
            Some(alias) => alias.clone(),
            None => derived().map_err(|e| Failure::usage("bad-alias", format!("{e}")))?,
        };
        let standard = *home == Home::at(home.folder());
        let shown = |path: &Path, standard_name: &str| {
            if standard {
                standard_name.to_owned()
            } else {
                path.display().to_string()
            }
        };
        let config = sample::fill(&SampleValues {
            id: &args.authority,
            name: &args.name,
            country: args.country,
            alias: &alias,
            quic: args.listen,
            api: &shown(&home.api, "api.sock"),
            state_dir: &shown(&home.state, "state"),
        });
        // Judged before anything is made: the daemon would refuse it just so.
        Config::parse(&home.config, &config, std::iter::empty()).map_err(|faults| {
            let faults: Vec<_> = faults
                .iter()
                .map(|fault| format!("{}: {}", fault.key, fault.text))
                .collect();
            Failure::usage("bad-value", faults.join("\n"))
        })?;
        let endpoints = endpoints(args);
        Ok(Self {
            args,
            home,
            alias,
            endpoints,
            config,
        })
    }

    /// Name in the home and name of each thing made; the configuration last: with it there is an authority.
    fn names(&self) -> [String; 4] {
        let config = self.home.config.file_name().unwrap_or_default();
        [
            "keys".to_owned(),
            format!("{}.card", self.alias),
            format!("{}.crl", self.alias),
            config.to_string_lossy().into_owned(),
        ]
    }

    fn refuse_overwriting(&self) -> Result<(), Failure> {
        let made = self.names().map(|name| self.home.folder().join(name));
        for path in made.iter().chain([&self.staging()]) {
            match path.symlink_metadata() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                    let text = format!("{} is not a folder", self.home.folder().display());
                    return Err(Failure::usage("not-a-folder", text));
                }
                Err(e) => return Err(unwritable(path, &e)),
                Ok(_) => return Err(exists(path)),
            }
        }
        // A ledger of another authority, or of lost keys.
        let state = fs::read_dir(&self.home.state);
        if state.is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(exists(&self.home.state));
        }
        Ok(())
    }

    fn staging(&self) -> PathBuf {
        self.home.folder().join(".init.partial")
    }

    /// Makes everything aside, then moves it into place.
    fn make(&self, now: Timestamp, brought: Option<&Brought>) -> Result<Made, Failure> {
        let folder = self.home.folder();
        if !folder.as_os_str().is_empty() {
            fs::create_dir_all(folder).map_err(|e| unwritable(folder, &e))?;
        }
        let staging = self.staging();
        DirBuilder::new()
            .mode(0o700)
            .create(&staging)
            .map_err(|e| unwritable(&staging, &e))?;
        let mut placed = Vec::new();
        let made = self
            .fill(&staging, now, brought)
            .and_then(|words| self.place(&staging, &mut placed).map(|()| words));
        if made.is_err() {
            for path in placed.iter().rev() {
                drop(remove(path));
            }
        }
        drop(fs::remove_dir_all(&staging));
        Ok(self.report(made?))
    }

    /// Writes all files into the staging folder; gives the card's words.
    fn fill(
        &self,
        staging: &Path,
        now: Timestamp,
        brought: Option<&Brought>,
    ) -> Result<String, Failure> {
        let [keys, card_name, crl_name, config] = self.names().map(|name| staging.join(name));
        let id = &self.args.authority;
        let keyring = Keyring::create_with(&keys, id, now, brought).map_err(not_made)?;
        let crl = revocation_list(&keyring, brought, now)?;
        let note = self.card(&keyring, now)?;
        for (path, bytes) in [
            (&card_name, note.bytes()),
            (&crl_name, &crl),
            (&config, self.config.as_bytes()),
        ] {
            keyring::write_new(path, bytes, 0o644).map_err(not_made)?;
        }
        Ok(card::fingerprint(&note))
    }

    fn card(&self, keyring: &Keyring, now: Timestamp) -> Result<crate::identity::Note, Failure> {
        let args = self.args;
        let card = Card {
            v: 1,
            number: 1,
            id: args.authority.clone(),
            name: args.name.clone(),
            country: args.country.to_string(),
            alias: self.alias.clone(),
            endpoints: self.endpoints.clone(),
            tls_cas: vec![(&keyring.ca_certificate).into()],
            keys: CardKeys {
                card: keyring.card.public(),
                log: keyring.log.public(),
                receipts: keyring.receipts.public(),
                witness: keyring.witness.public(),
            },
            age: vec![keyring.recipient()],
            created: now,
        };
        card.issue(&keyring.card)
            .map_err(|e| Failure::usage(e.code(), e.to_string()))
    }

    fn place(&self, staging: &Path, placed: &mut Vec<PathBuf>) -> Result<(), Failure> {
        for name in self.names() {
            let target = self.home.folder().join(&name);
            let from = staging.join(&name);
            renameat_with(CWD, &from, CWD, &target, RenameFlags::NOREPLACE)
                .map_err(|e| unwritable(&target, &e.into()))?;
            placed.push(target);
        }
        let folder = self.home.folder();
        let here = folder.as_os_str().is_empty();
        let folder = if here { Path::new(".") } else { folder };
        keyring::sync_folder(folder).map_err(not_made)?;
        let state = &self.home.state;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state)
            .map_err(|e| unwritable(state, &e))
    }

    fn report(&self, fingerprint: String) -> Made {
        let folder = self.home.folder();
        let [keys, card, crl, config] = self.names().map(|name| folder.join(name));
        let home = if *self.home == Home::system() {
            String::new()
        } else {
            format!(" --home {}", quoted(folder))
        };
        Made {
            kind: "summary",
            id: self.args.authority.clone(),
            alias: self.alias.clone(),
            card,
            crl,
            config,
            keys,
            fingerprint,
            next: vec![
                format!("rogatory serve{home}"),
                format!("rogatory peer add{home} THEIR.card"),
            ],
        }
    }
}

/// This folder and those above it that do not exist yet.
fn missing_folders(folder: &Path) -> Vec<PathBuf> {
    let missing = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    missing.map(Path::to_owned).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// The file of the lists that were brought, or the first list of the built-in CA.
fn revocation_list(
    keyring: &Keyring,
    brought: Option<&Brought>,
    now: Timestamp,
) -> Result<Vec<u8>, Failure> {
    match (brought, &keyring.ca) {
        (Some(brought), _) => Ok(revocation::file_of(&brought.lists)),
        (None, Some(ca)) => pki::make_crl(ca, 1, now, &[])
            .map(|list| list.to_vec())
            .map_err(|e| not_made(e.into())),
        (None, None) => Err(Failure::failed("no-ca", "the built-in CA was not made")),
    }
}

fn endpoints(args: &InitArgs) -> Vec<String> {
    if !args.endpoint.is_empty() {
        return args.endpoint.clone();
    }
    if args.listen.ip().is_unspecified() {
        vec![format!("{}:{}", args.authority, args.listen.port())]
    } else {
        vec![args.listen.to_string()]
    }
}

fn country(text: &str) -> Result<Country, String> {
    text.to_ascii_uppercase().parse()
}

fn exists(path: &Path) -> Failure {
    let text = format!("{} exists already and is not overwritten", path.display());
    Failure::usage("target-exists", text).next("name another --home, or move it away")
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let kind = error.kind();
    let text = format!("{} cannot be written: {error}", path.display());
    if kind == io::ErrorKind::AlreadyExists {
        exists(path)
    } else if kind == io::ErrorKind::PermissionDenied {
        Failure::failed("unwritable", text).next("run it as root, or name a folder with --home")
    } else if kind == io::ErrorKind::StorageFull {
        Failure::storage("disk-full", text)
    } else {
        Failure::failed("unwritable", text)
    }
}

fn not_made(fault: KeyringFault) -> Failure {
    match fault {
        KeyringFault::NotWritten { path, source } => unwritable(&path, &source),
        KeyringFault::Secret(_) | KeyringFault::Pki(_) | KeyringFault::NoCaKey(_) => {
            Failure::failed("keys-not-made", fault.to_string())
        }
    }
}

fn text(made: &Made) -> String {
    let mut text = format!(
        "created  {}  (TLS, receipt, log, witness and card keys, age identity; readable by you alone)\n\
         created  {}\n\
         crl      {}  (give it to peers beside the card)\n\
         card     {}\n\
         words    {}  (peers compare these six words with you by telephone)\n",
        made.keys.display(),
        made.config.display(),
        made.crl.display(),
        made.card.display(),
        made.fingerprint,
    );
    for next in &made.next {
        text.push_str("next     ");
        text.push_str(next);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
