//! Whether the stored statements of a package are sound: signed by whom they say, each following one that is there.

use std::collections::HashMap;
use std::sync::Arc;

use crate::api::server::ApiFailure;
use crate::api::types::Problem;
use crate::base::Digest;
use crate::daemon::Daemon;
use crate::identity::statement::Note;
use crate::receipt::{self, Kind, PartyKeys, Receipt};
use crate::store::{self, Exchange, StatementRow, StoreFault};

/// Statements read at a time.
const PAGE: u32 = 1_000;
/// Statements that are named as not sound.
const NAMED_MAX: usize = 16;
/// Packages of one peer with excluding statements that `status` names.
const FORKS_SHOWN: u32 = 16;

/// The statements read so far, as far as others may follow them: of openings, of which there may be many, only the
/// newest.
struct Reading {
    keys: (Arc<PartyKeys>, Arc<PartyKeys>),
    followed: HashMap<Digest, (Receipt, Note)>,
    access: Option<Digest>,
}

impl Reading {
    fn check(&mut self, row: &StatementRow) -> Result<(), String> {
        let (sender, receiver) = &self.keys;
        let note = Note::parse(&row.note).map_err(|e| e.to_string())?;
        let receipt = receipt::open(&note).map_err(|e| e.to_string())?;
        let complete = row.signatures > 1;
        receipt::verify(&note, &receipt, sender, receiver, complete).map_err(|e| e.to_string())?;
        match receipt.prev.map(|prev| self.followed.get(&prev)) {
            None if receipt.kind.is_first() => {}
            Some(Some((before, before_note))) => {
                receipt::continues(before, before_note, &receipt).map_err(|e| e.to_string())?;
            }
            None | Some(None) => return Err("what it follows is not here".to_owned()),
        }
        let text = note.text_digest();
        if matches!(
            receipt.kind,
            Kind::Access | Kind::AccessDenied | Kind::ContentMismatch
        ) && let Some(old) = self.access.replace(text)
        {
            self.followed.remove(&old);
        }
        if may_be_followed(receipt.kind) {
            self.followed.insert(text, (receipt, note));
        }
        Ok(())
    }
}

fn may_be_followed(kind: Kind) -> bool {
    let mut all = Kind::ALL.iter();
    all.any(|next| next.profile().follows.contains(&kind))
}

impl Daemon {
    /// The faults in the statements of this package; none where all are sound.
    pub(crate) async fn unsound(&self, row: &Exchange) -> Result<Vec<String>, ApiFailure> {
        let unknown = || ApiFailure::trust("unknown-peer", "the peer's keys are not known");
        let mut reading = Reading {
            keys: self.parties(row).ok_or_else(unknown)?,
            followed: HashMap::new(),
            access: None,
        };
        let (mut faults, mut unnamed) = (Vec::new(), 0_u64);
        let mut next = Some(None);
        while let Some(after) = next {
            let page = self.station.ledger.statements(&row.xid, PAGE, after).await;
            let (statements, more) = page?.into_parts();
            next = more.map(Some);
            for statement in statements {
                let Err(e) = reading.check(&statement) else {
                    continue;
                };
                if faults.len() < NAMED_MAX {
                    let (seq, kind) = (statement.seq, &statement.kind);
                    faults.push(format!("statement {seq} ({kind}): {e}"));
                } else {
                    unnamed += 1;
                }
            }
        }
        if unnamed > 0 {
            faults.push(format!("{unnamed} statements more"));
        }
        Ok(faults)
    }

    /// Packages of which the other side has signed two statements that exclude each other: of each peer a few, so that
    /// none hides those of others.
    pub(crate) async fn fork_problems(&self) -> Result<Vec<Problem>, StoreFault> {
        let mut problems = Vec::new();
        for known in self.roster.all() {
            let keys = store::fork_keys(&known.row.id);
            let from = keys.start.clone();
            let most = Some(FORKS_SHOWN.saturating_add(1));
            let kept = self
                .station
                .ledger
                .named(keys.start, keys.end, most)
                .await?;
            let mut say = |subject: &str, message: String| {
                problems.push(Problem {
                    severity: "error".to_owned(),
                    code: "follow-conflict".to_owned(),
                    subject: subject.to_owned(),
                    message,
                });
            };
            let mut packages = kept.iter().filter_map(|(key, _)| key.strip_prefix(&from));
            for package in packages.by_ref().take(FORKS_SHOWN as usize) {
                say(package, "its peer has signed two statements about it that exclude each other: the first counts, the other is kept as proof and is in the export of its receipts; ask the peer which it meant".to_owned());
            }
            if packages.next().is_some() {
                say(
                    known.row.alias.as_str(),
                    format!(
                        "there are more than {FORKS_SHOWN} packages of which it has signed two statements that exclude each other"
                    ),
                );
            }
        }
        Ok(problems)
    }
}
