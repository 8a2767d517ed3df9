//! `package open`: the daemon decides and decrypts; this process unpacks, with no other right left than to write beneath the target.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;
use serde::Serialize;

use crate::api::client::RemotePlaintext;
use crate::api::types::{OpenRequest, Opening};
use crate::base::{Digest, Xid};
use crate::cli::Call;
use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::cli::folder;
use crate::cli::progress::{Progress, Unit};
use crate::cli::terminal::Terminal;
use crate::cli::text;
use crate::policy::{Ground, Purpose};
use crate::seal::{self, Expect, Sandbox, UnpackError, Unpacked};

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// The one purpose that it is opened for
    #[arg(long, value_name = "P", value_parser = Purpose::parse)]
    purpose: Purpose,
    /// Why, in words; kept here, never sent
    #[arg(long, value_name = "TEXT")]
    justification: String,
    /// Declare that the proceedings are directly related to those of the request, where the instrument permits such use
    #[arg(long)]
    related: bool,
    /// Declare an exception, exculpatory or threat, where the law permits such use without asking: a second person approves it
    /// first (rogatory approvals), then this command is given once more, and the sender is told
    #[arg(long, value_name = "GROUND", value_parser = Ground::parse)]
    exception: Option<Ground>,
    /// The folder to make; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only these items; the rest is not even decrypted
    #[arg(long = "item", value_name = "PATH", num_args = 1..)]
    items: Vec<String>,
}

/// The last line of JSON.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    id: Xid,
    out: &'a Path,
    purpose: Purpose,
    items: u64,
    bytes: u64,
    receipt: Digest,
}

impl OpenArgs {
    pub(super) fn run(&self, global: &Global, terminal: Terminal) -> Result<(), Failure> {
        folder::must_not_exist(&self.out)?;
        let call = Call::confined(global, terminal, || confine(&self.out, terminal))?;
        let request = OpenRequest {
            purpose: self.purpose.as_str().to_owned(),
            justification: self.justification.clone(),
            items: self.items.clone(),
            related: self.related,
            exception: self.exception,
            export: false,
        };
        let client = call.remote.client();
        let opening = call.remote.call(client.open_package(&self.id, &request))?;
        let unpacked = self.unpack(&call, &opening)?;
        if let Some(code) = unpacked.as_ref().err().and_then(UnpackError::mismatch) {
            // What was found is said below in any case.
            drop(
                call.remote
                    .call(client.report_mismatch(&opening.opening, code)),
            );
        }
        // Best effort: it ends by itself within a day.
        drop(call.remote.call(client.close_opening(&opening.opening)));
        let unpacked = unpacked.map_err(|fault| {
            let damage = matches!(fault, UnpackError::Read(_)).then(|| damage(&call, opening.id));
            damage.flatten().unwrap_or_else(|| unpack_failure(&fault))
        })?;
        let summary = Summary {
            r#type: "summary",
            id: opening.id,
            out: &self.out,
            purpose: self.purpose,
            items: unpacked.items,
            bytes: unpacked.bytes,
            receipt: opening.receipt,
        };
        terminal.show(&summary, |summary, _| summary_text(summary));
        Ok(())
    }

    /// Whether the package is as it was signed is another matter than whether it could be read.
    fn unpack(
        &self,
        call: &Call,
        opening: &Opening,
    ) -> Result<Result<Unpacked, UnpackError>, Failure> {
        let expect = Expect {
            from: opening.from.clone(),
            to: opening.to.clone(),
            terms: opening.terms.clone(),
            item_terms: opening.item_terms.clone(),
            manifest_digest: opening.manifest,
        };
        if self.items.is_empty() {
            let download = call
                .remote
                .call(call.remote.client().plaintext(&opening.opening))?;
            let reader = {
                let _runtime = call.remote.runtime().enter();
                download.into_reader()
            };
            let progress = Progress::start(
                call.terminal,
                "opening",
                Unit::Bytes,
                opening.plaintext_bytes,
            );
            let counted = Counted {
                from: reader,
                done: 0,
                progress,
            };
            on_thread(|| seal::unpack(counted, &self.out, &expect))
        } else {
            let runtime = call.remote.runtime().clone();
            let mut ranged = RemotePlaintext::new(call.remote.client().clone(), runtime, opening);
            on_thread(|| seal::unpack_items(&mut ranged, &self.items, &self.out, &expect))
        }
    }
}

/// Takes every right that unpacking does not need.
fn confine(out: &Path, terminal: Terminal) -> Result<(), Failure> {
    let parent = out.parent().unwrap_or_else(|| Path::new(""));
    match seal::sandbox(parent) {
        Ok(Sandbox::Full) => terminal.detail("sandbox: only the target folder can be written"),
        Ok(Sandbox::Partial) => terminal.detail("sandbox: in part, this kernel has no more"),
        Ok(Sandbox::None) => terminal.note("no sandbox: this kernel has no Landlock"),
        Err(fault) => return Err(Failure::usage("target-unusable", fault.to_string())),
    }
    Ok(())
}

/// Parses in a thread of its own: the reader waits for the runtime, and a fault of the parser ends there.
fn on_thread<T: Send>(parse: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    let parsed = thread::scope(|scope| scope.spawn(parse).join());
    parsed.map_err(|_| {
        Failure::failed(
            "unpacking-broke",
            "unpacking stopped on a fault of this program",
        )
    })
}

/// Counts what is read.
struct Counted<R> {
    from: R,
    done: u64,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.done += read as u64;
        self.progress.at(self.done);
        Ok(read)
    }
}

/// Why a package could not be read to its end, where what is stored here is not what was received any more: that is not its
/// sender's doing.
fn damage(call: &Call, id: Xid) -> Option<Failure> {
    let id = id.to_string();
    let verified = call.remote.client().verify_package(&id);
    let verified = call.remote.call(verified).ok().filter(|it| !it.ok)?;
    let text = format!(
        "what is stored here of the package was altered: {}",
        verified.faults.join("; ")
    );
    let next = "nothing was kept; restore the payload from a backup, and look at the disk: rogatory package verify ID";
    Some(Failure::verification("payload-altered", text).next(next))
}

fn unpack_failure(fault: &UnpackError) -> Failure {
    let text = fault.to_string();
    if fault.is_content_mismatch() {
        return Failure::verification("content-mismatch", text)
            .next("nothing was kept; the sender is told by a signed statement, keep the package as evidence of it");
    }
    match fault {
        UnpackError::NoSpace { .. } => Failure::storage("disk-full", text),
        UnpackError::NoSuchItem(_) => Failure::absent("no-such-item", text),
        UnpackError::Out(_) | UnpackError::Exists(_) | UnpackError::PartialExists(_) => {
            Failure::usage("target-exists", text)
        }
        UnpackError::Write { .. }
        | UnpackError::Read(_)
        | UnpackError::Tape(_)
        | UnpackError::Path(_)
        | UnpackError::Order { .. }
        | UnpackError::TooLarge(_)
        | UnpackError::Trailing
        | UnpackError::ManifestDigest
        | UnpackError::Manifest(_)
        | UnpackError::Parties { .. }
        | UnpackError::Terms
        | UnpackError::ItemTerms
        | UnpackError::Item(_)
        | UnpackError::Tag(_) => Failure::failed("not-unpacked", text),
    }
}

fn summary_text(summary: &Summary<'_>) -> String {
    let text = format!(
        "{} in {}, {}, every digest right",
        text::count(summary.items, "item", "items"),
        summary.out.display(),
        text::size(summary.bytes),
    );
    format!("{}\n", text::escape(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_their_exit_codes() {
        for (fault, code) in [
            (UnpackError::ManifestDigest, 7),
            (UnpackError::Item("x".to_owned()), 7),
            (UnpackError::Trailing, 7),
            (
                UnpackError::NoSpace {
                    path: "x".to_owned(),
                },
                11,
            ),
            (UnpackError::NoSuchItem("x".to_owned()), 8),
            (UnpackError::Exists(PathBuf::from("x")), 2),
            (UnpackError::Read(io::ErrorKind::UnexpectedEof.into()), 1),
        ] {
            assert_eq!(unpack_failure(&fault).code, code, "{fault}");
        }
    }

    #[test]
    fn the_summary_of_an_opening() {
        let summary = Summary {
            r#type: "summary",
            id: "00112233445566778899aabbccddeeff".parse().unwrap(),
            out: Path::new("opened"),
            purpose: Purpose::Prosecution,
            items: 2,
            bytes: 2_048,
            receipt: Digest::of(b""),
        };
        assert_eq!(
            serde_json::to_string(&summary).unwrap(),
            r#"{"type":"summary","id":"00112233445566778899aabbccddeeff","out":"opened","purpose":"prosecution","items":2,"bytes":2048,"receipt":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#
        );
        assert_eq!(
            summary_text(&summary),
            "2 items in opened, 2.00 KiB, every digest right\n"
        );
    }
}
