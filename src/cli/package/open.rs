//! `package open`: the daemon decides and decrypts; this process unpacks, with no other right left than to write
//! beneath the target.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::api::client::RemotePlaintext;
use crate::api::types::{Closed, OpenRequest, Opening};
use crate::base::{Digest, Xid};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::interrupt::{self, Interrupts};
use crate::cli::package::mismatch;
use crate::cli::progress::{ProgressLine, Unit};
use crate::cli::terminal::Terminal;
use crate::cli::{folder, text};
use crate::policy::{Ground, Purpose};
use crate::seal::{self, Sandbox, Target, UnpackError, Unpacked};

/// From this length on a package is judged by its manifest, which lies at its end, before all of it is read.
const MANIFEST_FIRST_BYTES: u64 = 16 << 20;
/// How long the end of an opening is waited for.
const CLOSING: Duration = Duration::from_secs(10);

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
    /// Declare an exception, exculpatory or threat, where the law permits such use without asking: a second person
    /// approves it first (rogatory approvals), then this command is given once more, and the sender is told
    #[arg(long, value_name = "GROUND", value_parser = Ground::parse)]
    exception: Option<Ground>,
    /// The folder to make; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on from what an earlier try with this option has left, and leave what is whole if this one ends early:
    /// decrypted, in DIR.partial. Without it nothing is left
    #[arg(long)]
    resume: bool,
    /// Only these items, or all in these folders; the rest is not even decrypted
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
    receipt: Option<Digest>,
}

impl OpenArgs {
    pub(super) fn run(&self, global: &Global, terminal: Terminal) -> Result<(), Failure> {
        folder::must_not_exist(&self.out)?;
        let ignored = interrupt::ignored();
        let call = Call::confined(global, terminal, || confine(&self.out, terminal))?;
        let interrupts = Interrupts::hear(&call.remote, ignored)?;
        let was_left = folder::partial(&self.out).exists();
        // Before anything is asked for: what cannot be written need not be opened.
        let mut target = Target::create(&self.out).map_err(|e| mismatch::local(&e))?;
        if self.resume {
            target.keep();
        }
        let request = OpenRequest {
            purpose: self.purpose.as_str().to_owned(),
            justification: self.justification.clone(),
            items: self.names(),
            related: self.related,
            exception: self.exception,
            export: false,
        };
        let client = call.remote.client();
        let asked = client.open_package(&self.id, &request);
        let opening = interrupts.call(&call.remote, asked)?;
        let unpacked = self.unpack(&call, &opening, (target, &interrupts), was_left);
        let unpacked = unpacked.map_err(|broke| match broke {
            Broke::Unpacking(_) if interrupts.is_heard() => Failure::failed("interrupted", ""),
            Broke::Unpacking(fault) => {
                if matches!(fault, UnpackError::Content(_)) {
                    // What is wrong is not kept for another try.
                    drop(Target::create(&self.out));
                }
                mismatch::settled(&call, &opening, &fault)
            }
            Broke::Asking(failure) => failure,
        });
        let closed = close(&call, &opening);
        let unpacked = unpacked.map_err(|failure| {
            let interrupted = interrupts.failure(&self.what_stays(closed.as_ref()));
            match interrupted {
                Some(interrupted) => interrupted.next(self.again()),
                None => self.with_rest(failure),
            }
        })?;
        let summary = Summary {
            r#type: "summary",
            id: opening.id,
            out: &self.out,
            purpose: self.purpose,
            items: unpacked.items,
            bytes: unpacked.bytes,
            receipt: closed.and_then(|closed| closed.receipt),
        };
        terminal.show(&summary, |summary, _| summary_text(summary));
        Ok(())
    }

    /// Says what is left of an opening that was ended.
    fn what_stays(&self, closed: Option<&Closed>) -> String {
        let left = if self.resume {
            let partial = folder::partial(&self.out);
            format!("what is whole stays, decrypted, in {}", partial.display())
        } else {
            "nothing was kept".to_owned()
        };
        match closed {
            Some(closed) if closed.receipt.is_some() => format!(
                "{left}; that at most {} had left is stated",
                text::size(closed.released)
            ),
            Some(_) => format!("{left}, and nothing was stated"),
            None => {
                format!("{left}; the daemon does not answer, and states by itself what had left")
            }
        }
    }

    /// Says of a failure what it leaves decrypted on the disk.
    fn with_rest(&self, mut failure: Failure) -> Failure {
        let partial = folder::partial(&self.out);
        if self.resume && partial.exists() {
            let stays = "what is whole stays, decrypted, in";
            failure.message = format!("{}; {stays} {}", failure.message, partial.display());
        }
        failure
    }

    /// The names of items and folders as a manifest has them, without what a shell adds.
    fn names(&self) -> Vec<String> {
        let name = |name: &String| {
            let name = name.strip_prefix("./").unwrap_or(name);
            name.strip_suffix('/').unwrap_or(name).to_owned()
        };
        self.items.iter().map(name).collect()
    }

    fn again(&self) -> &'static str {
        if self.resume {
            "give the command again: it goes on from there; or remove that folder"
        } else {
            "give the command again; with --resume, what is whole is left for the next try"
        }
    }

    fn unpack(
        &self,
        call: &Call,
        opening: &Opening,
        (mut target, interrupts): (Target, &Interrupts),
        was_left: bool,
    ) -> Result<Unpacked, Broke> {
        let expect = &opening.expect;
        let (id, whole, purpose) = (opening.id, self.items.is_empty(), self.purpose);
        // What left for another purpose is not taken over: its statement says what it was for.
        let resumes = target.claim(&format!("{id} {whole} {purpose} {:?}", self.exception))?;
        if was_left && !resumes {
            let partial = folder::partial(&self.out);
            let text = format!("removed {}, left by another opening", partial.display());
            call.terminal.note(&text);
        }
        if !resumes
            && target
                .room()
                .is_some_and(|room| room < opening.opened_bytes)
        {
            let path = self.out.display().to_string();
            return Err(UnpackError::NoSpace { path }.into());
        }
        let progress =
            ProgressLine::start(call.terminal, "opening", Unit::Bytes, opening.opened_bytes);
        let (client, runtime) = (call.remote.client().clone(), call.remote.runtime().clone());
        let mut ranged = RemotePlaintext::new(client, runtime, opening, interrupts.stop());
        if self.items.is_empty() && !resumes {
            if opening.plaintext_bytes > MANIFEST_FIRST_BYTES {
                on_thread(|| seal::find_manifest(&mut ranged, expect))??;
            }
            let asked = call.remote.client().plaintext(&opening.opening);
            let download = interrupts.call(&call.remote, asked).map_err(refused)?;
            let reader = {
                let _runtime = call.remote.runtime().enter();
                download.into_reader(interrupts.stop())
            };
            let counted = Counted {
                from: reader,
                done: 0,
                skips: false,
                progress,
            };
            return Ok(on_thread(|| seal::unpack(counted, target, expect))??);
        }
        let mut counted = Counted {
            from: ranged,
            done: 0,
            skips: self.items.is_empty(),
            progress,
        };
        let unpacked = on_thread(|| {
            if self.items.is_empty() {
                seal::unpack_rest(&mut counted, target, expect)
            } else {
                seal::unpack_items(&mut counted, &self.names(), target, expect)
            }
        });
        Ok(unpacked??)
    }
}

/// Ends an opening: what has left is stated now. If that does not succeed in time, the daemon does it by itself, and
/// there is nothing to be said of it.
pub(super) fn close(call: &Call, opening: &Opening) -> Option<Closed> {
    let closing = call.remote.client().close_opening(&opening.opening);
    let limited = async { Ok(tokio::time::timeout(CLOSING, closing).await) };
    let closed = call.remote.call(limited).ok().and_then(Result::ok);
    closed.and_then(Result::ok)
}

/// Why nothing was unpacked. Whether the package is as it was signed is another matter than whether it could be read.
enum Broke {
    Unpacking(UnpackError),
    Asking(Failure),
}

impl From<UnpackError> for Broke {
    fn from(fault: UnpackError) -> Self {
        Self::Unpacking(fault)
    }
}

impl From<Failure> for Broke {
    fn from(failure: Failure) -> Self {
        Self::Asking(failure)
    }
}

/// Why the plaintext is not given. That it does not decrypt is reported, so that the daemon finds out why.
fn refused(failure: Failure) -> Broke {
    if failure.error == "cannot-decrypt" {
        Broke::Unpacking(UnpackError::Read(io::Error::other(failure)))
    } else {
        Broke::Asking(failure)
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

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.from.seek(to)?;
        if self.skips {
            self.done = at;
        }
        Ok(at)
    }
}

/// Counts what is read.
struct Counted<R> {
    from: R,
    done: u64,
    /// Whether what is passed over is here already, and counts as read.
    skips: bool,
    progress: ProgressLine,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.done += read as u64;
        self.progress.at(self.done);
        Ok(read)
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
    fn the_summary_of_an_opening() {
        let summary = Summary {
            r#type: "summary",
            id: "00112233445566778899aabbccddeeff".parse().unwrap(),
            out: Path::new("opened"),
            purpose: Purpose::Prosecution,
            items: 2,
            bytes: 2_048,
            receipt: Some(Digest::of(b"")),
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
