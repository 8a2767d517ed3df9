//! `package export`: the age file as received.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::cli::Call;
use crate::cli::failure::Failure;
use crate::cli::folder;
use crate::cli::package::ExportArgs;
use crate::cli::progress::{Progress, Unit};
use crate::cli::text;

#[derive(Debug, Serialize)]
struct Exported<'a> {
    r#type: &'static str,
    id: &'a str,
    age: &'a Path,
    bytes: u64,
}

impl ExportArgs {
    pub(super) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        let bytes = folder::write_file_new(&self.age, |file| {
            let mut download = call.remote.call(client.age_file(&self.id))?;
            let total = download.remaining().unwrap_or(0);
            let mut progress = Progress::start(call.terminal, "exporting", Unit::Bytes, total);
            let mut done = 0;
            while let Some(piece) = call.remote.call(download.next())? {
                file.write_all(&piece)
                    .map_err(|e| folder::write_failure(&self.age, &e))?;
                done += piece.len() as u64;
                progress.at(done);
            }
            progress.finish();
            Ok(done)
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
}
