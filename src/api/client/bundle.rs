//! The files of an export, read while they come.

use std::fmt;

use bytes::{Buf, BytesMut};

use crate::api::client::{CallFault, Download, unreadable};
use crate::api::types::BundleFile;
use crate::base::{len_u64, limits};

/// A file of a bundle as a line: its content in base64, and its path.
const LINE_BYTES_MAX: u64 = limits::BUNDLE_FILE_BYTES_MAX / 3 * 4 + (1 << 10);

/// The files of an export.
pub struct BundleFiles {
    path: String,
    download: Download,
    read: BytesMut,
    /// How much of what was read has no end of a line.
    looked: usize,
}

impl BundleFiles {
    pub(super) fn new(path: String, download: Download) -> Self {
        Self {
            path,
            download,
            read: BytesMut::new(),
            looked: 0,
        }
    }

    /// The next file; `None` at the true end of the answer.
    pub async fn next(&mut self) -> Result<Option<BundleFile>, CallFault> {
        loop {
            let rest = self.read.get(self.looked..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(self.looked.saturating_add(end));
                self.read.advance(1);
                self.looked = 0;
                let file = serde_json::from_slice(&line);
                return file.map(Some).map_err(|e| self.fault(&e.to_string()));
            }
            self.looked = self.read.len();
            if len_u64(self.looked) > LINE_BYTES_MAX {
                return Err(self.fault("a file is longer than a file of an export may be"));
            }
            match self.download.next().await? {
                Some(piece) => self.read.extend_from_slice(&piece),
                None if self.read.is_empty() => return Ok(None),
                None => return Err(self.fault("its last line has no end")),
            }
        }
    }

    fn fault(&self, text: &str) -> CallFault {
        unreadable(&self.path, text.to_owned())
    }
}

impl fmt::Debug for BundleFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BundleFiles({})", self.path)
    }
}
