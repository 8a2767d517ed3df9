//! `package export`: the age file as received.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::api::types::{OpenRequest, Opening};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::interrupt::{self, Interrupts};
use crate::cli::package::open;
use crate::cli::progress::{ProgressLine, Unit};
use crate::cli::{folder, text};
use crate::policy::Purpose;

const EXAMPLES: &str = "\
Examples:
  rogatory package export 5f0c11aa --age exported.age --purpose trial --justification 'for the court archive'
  rogatory package export 5f0c11aa --age exported.age --purpose trial --justification 'exhibit 4' --json";

/// Write a package's age file as it was received; it stays encrypted
///
/// Anybody who has the age identity can read it then, and what happens to it is not enforced any more: so it is decided
/// and receipted as an opening is. For a package that was sent from here no purpose is named.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PackageExportArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// The file to make; it must not exist
    #[arg(long, value_name = "FILE")]
    age: PathBuf,
    /// The one purpose that it is exported for
    #[arg(long, value_name = "P", value_parser = Purpose::parse, requires = "justification")]
    purpose: Option<Purpose>,
    /// Why, in words; kept here, never sent
    #[arg(long, value_name = "TEXT", requires = "purpose")]
    justification: Option<String>,
    /// Declare that the proceedings are directly related to those of the request, where the instrument permits such use
    #[arg(long, requires = "purpose")]
    related: bool,
}

#[derive(Debug, Serialize)]
struct Exported<'a> {
    r#type: &'static str,
    id: &'a str,
    age: &'a Path,
    bytes: u64,
}

impl PackageExportArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let interrupts = Interrupts::hear(&call.remote, interrupt::ignored())?;
        // Made before anything is asked for: what cannot be written need not be exported.
        let bytes = folder::write_file_new(&self.age, |file| {
            let opening = self.opening(call, &interrupts)?;
            let written = self.write(call, &interrupts, (file, opening.as_ref()));
            let closed = opening.and_then(|it| open::close(call, &it));
            written.map_err(|failure| {
                let receipt = closed.and_then(|it| it.receipt);
                let stated = receipt.map_or("", |_| "; what had left, still encrypted, is stated");
                interrupts
                    .failure(&format!("nothing was kept{stated}"))
                    .map_or(failure, |it| it.next("give the command again"))
            })
        })?;
        let exported = Exported {
            r#type: "summary",
            id: &self.id,
            age: &self.age,
            bytes,
        };
        call.terminal.show(&exported, |exported, _| {
            let text = format!(
                "{} in {}, still encrypted",
                text::size(exported.bytes),
                exported.age.display()
            );
            format!("{}\n", text::escape(&text))
        });
        Ok(())
    }

    fn write(
        &self,
        call: &Call,
        interrupts: &Interrupts,
        (file, opening): (&mut File, Option<&Opening>),
    ) -> Result<u64, Failure> {
        let client = call.remote.client();
        let mut download = match opening {
            Some(opening) => {
                folder::must_have_room(&self.age, file, opening.opened_bytes)?;
                interrupts.call(&call.remote, client.exported(&opening.opening))?
            }
            None => interrupts.call(&call.remote, client.age_file(&self.id))?,
        };
        let total = download.remaining().unwrap_or(0);
        let mut progress = ProgressLine::start(call.terminal, "exporting", Unit::Bytes, total);
        let mut done = 0;
        while let Some(piece) = interrupts.call(&call.remote, download.next())? {
            file.write_all(&piece)
                .map_err(|e| folder::write_failure(&self.age, &e))?;
            done += piece.len() as u64;
            progress.at(done);
        }
        progress.finish();
        Ok(done)
    }

    /// The opening that permits to take away a received package; a package sent from here needs none.
    fn opening(&self, call: &Call, interrupts: &Interrupts) -> Result<Option<Opening>, Failure> {
        let Some(purpose) = self.purpose else {
            return Ok(None);
        };
        let request = OpenRequest {
            purpose: purpose.as_str().to_owned(),
            justification: self.justification.clone().unwrap_or_default(),
            items: Vec::new(),
            related: self.related,
            exception: None,
            export: true,
        };
        let asked = call.remote.client().open_package(&self.id, &request);
        interrupts.call(&call.remote, asked).map(Some)
    }
}
