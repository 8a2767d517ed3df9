//! `package send`: sealed here, with the officer's rights; the daemon only ever sees the sealed bytes.

use std::path::PathBuf;
use std::thread;

use clap::Args;
use serde::Serialize;

use crate::api::client::{CallFault, UploadWriter, upload};
use crate::api::types::{ItemWish, PackageView, SealFinish, SealGrant, SealRequest};
use crate::base::{AuthorityId, Digest, Xid};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::package::terms::TermsArgs;
use crate::cli::package::{each, items, wait};
use crate::cli::progress::{ProgressLine, Stopwatch, Unit};
use crate::cli::text;
use crate::policy::{Restriction, Terms};
use crate::seal::{self, SealError, SealPlan, Sealed};

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// The receiving peer: alias or id
    #[arg(long, value_name = "ALIAS")]
    to: String,
    /// The case, as both sides call it
    #[arg(long, value_name = "REF")]
    case: String,
    /// The request that it answers
    #[arg(long, value_name = "REF")]
    request: Option<String>,
    /// Title of the package; only the receiver's officer reads it
    #[arg(long, value_name = "T")]
    title: Option<String>,
    /// An offence that it is about; may be repeated
    #[arg(long = "offence", value_name = "T")]
    offences: Vec<String>,
    /// Why the evidence is necessary; the receiver reads it, receipts hold a digest of it alone
    #[arg(long, value_name = "T")]
    necessity: Option<String>,
    /// Why sending it is proportionate; the receiver reads it, receipts hold a digest of it alone
    #[arg(long, value_name = "T")]
    proportionality: Option<String>,
    /// A TOML file that puts items or folders of the package under stricter terms of their own: [[item]] tables with
    /// path, and purposes, restrictions, sunset, onward, handling or evaluation
    #[arg(long, value_name = "FILE", conflicts_with = "each")]
    item_terms: Option<PathBuf>,
    /// Send it before packages that are not urgent; the receiver does not see this
    #[arg(long)]
    urgent: bool,
    /// Return when the other side's handover receipt is in, not when the package is durable here
    #[arg(long)]
    pub(super) wait: bool,
    /// Make a package of its own of every PATH
    #[arg(long)]
    each: bool,
    /// With --each: how many are sealed at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64), requires = "each")]
    pub(super) jobs: u16,
    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
    // Last: its heading holds for what follows.
    #[command(flatten)]
    terms: TermsArgs,
}

/// A package that is durable at the daemon.
#[derive(Debug)]
pub(super) struct Sent {
    /// As the daemon has it.
    pub(super) package: PackageView,
    pub(super) items: u64,
    pub(super) plaintext_bytes: u64,
    pub(super) manifest: Digest,
    pub(super) seal_ms: u64,
}

/// The last line of JSON.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    r#type: &'static str,
    id: Xid,
    state: &'a str,
    to: &'a AuthorityId,
    items: u64,
    plaintext_bytes: u64,
    len: u64,
    manifest: Digest,
    seal_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    handover_ms: Option<u64>,
}

impl SendArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let mut terms = self.terms.terms()?;
        if self.item_terms.is_some() && !terms.restrictions.contains(&Restriction::ItemTerms) {
            terms.restrictions.push(Restriction::ItemTerms);
            terms.restrictions.sort_unstable();
        }
        let request = SealRequest {
            to: self.to.clone(),
            case: self.case.clone(),
            request: self.request.clone(),
            title: self.title.clone(),
            offences: self.offences.clone(),
            necessity: self.necessity.clone(),
            proportionality: self.proportionality.clone(),
            item_terms: self.item_terms(&terms)?,
            terms,
            urgent: self.urgent,
        };
        if self.each {
            return each::send(self, call, &request);
        }
        let survey = seal::survey(&self.paths, request.item_terms.iter().map(|it| &it.path))
            .map_err(|e| seal_failure(&e))?;
        let mut progress = ProgressLine::start(call.terminal, "sealing", Unit::Bytes, survey.bytes);
        let sent = send(call, &request, &self.paths, &mut |done| progress.at(done));
        progress.finish();
        let mut sent = sent?;
        let mut handover_ms = None;
        if self.wait {
            let watch = Stopwatch::start();
            sent.package = wait::for_handover(call, sent.package)?;
            handover_ms = Some(watch.millis());
        }
        let summary = sent.summary("summary", handover_ms);
        call.terminal
            .show(&summary, |summary, _| summary_text(summary));
        if !self.wait {
            call.terminal.note(&format!(
                "it goes out by itself: rogatory transfer show {}",
                sent.package.id
            ));
        }
        Ok(())
    }
}

impl SendArgs {
    fn item_terms(&self, package: &Terms) -> Result<Vec<ItemWish>, Failure> {
        let file = self.item_terms.as_deref();
        file.map_or_else(|| Ok(Vec::new()), |file| items::read(file, package))
    }
}

impl Sent {
    pub(super) fn summary<'a>(
        &'a self,
        kind: &'static str,
        handover_ms: Option<u64>,
    ) -> Summary<'a> {
        Summary {
            r#type: kind,
            id: self.package.id,
            state: &self.package.state,
            to: &self.package.peer,
            items: self.items,
            plaintext_bytes: self.plaintext_bytes,
            len: self.package.len,
            manifest: self.manifest,
            seal_ms: self.seal_ms,
            handover_ms,
        }
    }
}

fn summary_text(summary: &Summary<'_>) -> String {
    let handover = summary
        .handover_ms
        .map(|ms| format!(", handed over in {ms} ms"));
    let text = format!(
        "{}  {}  {}, {}, sealed in {} ms{}",
        summary.id,
        summary.state,
        text::count(summary.items, "item", "items"),
        text::size(summary.len),
        summary.seal_ms,
        handover.unwrap_or_default()
    );
    format!("{}\n", text::escape(&text))
}

/// Seals one package and hands it over to the daemon while it is being sealed.
pub(super) fn send(
    call: &Call,
    request: &SealRequest,
    paths: &[PathBuf],
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Sent, Failure> {
    let remote = &call.remote;
    let client = remote.client();
    let watch = Stopwatch::start();
    let grant = remote.call(client.request_seal(request))?;
    let sealed = match seal_and_upload(call, &grant, request, paths, progress) {
        Ok(sealed) => sealed,
        Err(failure) => {
            // Best effort: an unused grant ends by itself.
            drop(remote.call(client.cancel_seal(&grant.grant)));
            return Err(failure);
        }
    };
    let finish = SealFinish {
        manifest: sealed.manifest_digest,
        item_root: sealed.item_root,
        items: sealed.items,
        item_terms: sealed.item_terms,
    };
    let package = remote.call_unlimited(client.finish_seal(&grant.grant, &finish))?;
    Ok(Sent {
        package,
        items: sealed.items,
        plaintext_bytes: sealed.plaintext_bytes,
        manifest: sealed.manifest_digest,
        seal_ms: watch.millis(),
    })
}

fn seal_and_upload(
    call: &Call,
    grant: &SealGrant,
    request: &SealRequest,
    paths: &[PathBuf],
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Sealed, Failure> {
    let plan = plan(grant, request);
    let (writer, body) = upload();
    let client = call.remote.client();
    let (sealed, uploaded) = thread::scope(|scope| {
        let sealing = scope.spawn(|| seal_into(writer, paths, plan, progress));
        let upload = client.upload_package(&grant.grant, body);
        let uploaded = call.remote.runtime().block_on(upload);
        (sealing.join(), uploaded)
    });
    let sealed = sealed.map_err(|_| {
        Failure::failed(
            "sealing-broke",
            "sealing stopped on a fault of this program",
        )
    })?;
    match (sealed, uploaded) {
        (Ok(sealed), Ok(_)) => Ok(sealed),
        // Who stopped first is at fault.
        (Err(Stopped::Sealing(fault)), _) => Err(seal_failure(&fault)),
        (Err(Stopped::Upload) | Ok(_), Err(fault)) => Err(call.remote.failure(fault)),
        (Err(Stopped::Upload), Ok(_)) => {
            let fault = CallFault::Broken("the package was not taken whole".to_owned());
            Err(call.remote.failure(fault))
        }
    }
}

pub(super) fn plan(grant: &SealGrant, request: &SealRequest) -> SealPlan {
    SealPlan {
        from: grant.from.clone(),
        to: grant.to.clone(),
        case: request.case.clone(),
        request: request.request.clone(),
        title: request.title.clone(),
        terms: request.terms.clone(),
        item_terms: request
            .item_terms
            .iter()
            .map(|it| (it.path.clone(), it.terms.clone()))
            .collect(),
        created: grant.now,
        actor: grant.actor.clone(),
        recipients: grant.recipients.clone(),
    }
}

/// Why sealing ended early.
enum Stopped {
    /// A fault of the inputs.
    Sealing(SealError),
    /// The daemon takes no more; its answer says why.
    Upload,
}

fn seal_into(
    mut writer: UploadWriter,
    paths: &[PathBuf],
    plan: SealPlan,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Sealed, Stopped> {
    match seal::seal(paths, plan, &mut writer, &mut |done| progress(done)) {
        Ok(sealed) => match writer.finish() {
            Ok(()) => Ok(sealed),
            Err(_) => Err(Stopped::Upload),
        },
        Err(_) if writer.is_refused() => Err(Stopped::Upload),
        Err(fault) => Err(Stopped::Sealing(fault)),
    }
}

/// The failure that a fault of sealing is: most are inputs that cannot be sent.
pub(super) fn seal_failure(fault: &SealError) -> Failure {
    let text = fault.to_string();
    match fault {
        SealError::Changed { .. } => Failure::temporary("input-changed", text),
        SealError::NoInput
        | SealError::Empty
        | SealError::Symlink { .. }
        | SealError::NotRegular { .. }
        | SealError::NotUtf8 { .. }
        | SealError::Path { .. }
        | SealError::SameName { .. }
        | SealError::Read { .. }
        | SealError::TooLarge { .. }
        | SealError::ItemTerms(_)
        | SealError::Plan(_) => Failure::usage("input-refused", text),
        SealError::Identity(_) | SealError::NoRecipient => {
            Failure::trust("recipient-refused", text)
        }
        SealError::Write(_)
        | SealError::Header(_)
        | SealError::Stanza
        | SealError::NotForUs
        | SealError::Mac
        | SealError::Payload(_)
        | SealError::Permit(_) => Failure::failed("not-sealed", text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent() -> Sent {
        let package = serde_json::from_value(json!({
            "id": "00112233445566778899aabbccddeeff", "direction": "out", "state": "closed", "peer": "bfj.example.de",
            "created": "2026-11-23T09:00:00.000Z", "updated": "2026-11-23T09:00:01.000Z", "len": 2_048,
            "terms": {"instrument": "EIO", "purposes": ["prosecution"], "retain_until": "2031-12-31", "onward": "prohibited", "use_report": false},
        }))
        .unwrap();
        Sent {
            package,
            items: 1,
            plaintext_bytes: 1_024,
            manifest: Digest::of(b""),
            seal_ms: 7,
        }
    }

    #[test]
    fn the_summary_of_a_package_sent() {
        let sent = sent();
        let summary = sent.summary("summary", Some(9));
        assert_eq!(
            serde_json::to_string(&summary).unwrap(),
            r#"{"type":"summary","id":"00112233445566778899aabbccddeeff","state":"closed","to":"bfj.example.de","items":1,"plaintext_bytes":1024,"len":2048,"manifest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","seal_ms":7,"handover_ms":9}"#
        );
        assert_eq!(
            summary_text(&summary),
            "00112233445566778899aabbccddeeff  closed  1 item, 2.00 KiB, sealed in 7 ms, handed over in 9 ms\n"
        );
        let line = serde_json::to_string(&sent.summary("package", None)).unwrap();
        assert!(line.ends_with(r#""seal_ms":7}"#), "{line}");
    }

    #[test]
    fn faults_of_sealing_have_their_exit_codes() {
        let path = PathBuf::from("x");
        for (fault, code) in [
            (SealError::NoInput, 2),
            (SealError::Symlink { path: path.clone() }, 2),
            (SealError::Changed { path }, 5),
            (SealError::NoRecipient, 6),
            (SealError::Stanza, 1),
        ] {
            assert_eq!(seal_failure(&fault).code, code, "{fault}");
        }
    }
}
