//! The files of national rules that a configuration names.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Config, Meaning};
use crate::base::limits;
use crate::policy::national::{self, RuleFault};
use crate::policy::{National, PolicySet};

/// The key that names their folder.
const KEY: &str = "policy.cedar";
/// How the name of such a file ends.
const ENDING: &str = ".cedar";

impl Config {
    /// The policy that this configuration makes.
    pub fn policy(&self) -> PolicySet {
        PolicySet::new(Some(self.handling_max))
            .needing_to_know(self.need_to_know)
            .keeping_after_sunset(self.keep_after_sunset)
            .under_dual_control(&self.dual_control)
            .restricted_by(self.national.clone())
    }
}

/// The rules in a folder: in every regular file there whose name ends with `.cedar`.
///
/// # Errors
/// Every fault of every file.
pub fn judge(folder: &Path) -> Result<National, Vec<RuleFault>> {
    let files = read(folder).map_err(|fault| vec![fault])?;
    national::load(&files)
}

fn read(folder: &Path) -> Result<Vec<(String, String)>, RuleFault> {
    let fault = |file: &Path, code, text: String| RuleFault {
        file: file.display().to_string(),
        line: None,
        code,
        text,
    };
    let cannot = |e: std::io::Error| fault(folder, "unreadable", format!("cannot be read: {e}"));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().and_then(|it| it.to_str());
        if let Some(name) = name.filter(|name| name.ends_with(ENDING)) {
            paths.push((name.to_owned(), path));
        }
        if paths.len() > limits::RULE_FILES_MAX {
            let most = limits::RULE_FILES_MAX;
            let text = format!("has more than {most} files of rules");
            return Err(fault(folder, "too-many-files", text));
        }
    }
    if paths.is_empty() {
        let text = format!("has no file whose name ends with {ENDING}");
        return Err(fault(folder, "no-rules", text));
    }
    paths.sort_unstable();
    let texts = paths.into_iter().map(|(name, path)| {
        let text = text(&path).map_err(|(code, text)| fault(&path, code, text))?;
        Ok((name, text))
    });
    texts.collect()
}

fn text(path: &PathBuf) -> Result<String, (&'static str, String)> {
    let cannot = |e: std::io::Error| ("unreadable", format!("cannot be read: {e}"));
    let is_file = std::fs::symlink_metadata(path).map_err(cannot)?.is_file();
    if !is_file {
        return Err(("not-a-file", "is no regular file".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut text = String::new();
    // One byte more is enough to see that it is too long.
    file.take(limits::RULE_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    Ok(text)
}

impl Meaning {
    /// The folder of the national rules, and the rules; neither, where no folder is written.
    pub(super) fn national(&mut self) -> Option<(Option<PathBuf>, Option<Arc<National>>)> {
        let folder = self.home.folder().to_owned();
        let folder = self.value(KEY, |text| {
            if text.contains('\0') {
                return Err("is not a path".to_owned());
            }
            Ok((!text.is_empty()).then(|| folder.join(text)))
        })?;
        let Some(folder) = folder else {
            return Some((None, None));
        };
        match judge(&folder) {
            Ok(national) => Some((Some(folder), Some(Arc::new(national)))),
            Err(faults) => {
                for fault in faults {
                    let line = self.line(KEY);
                    self.fault_at(line, KEY, fault.to_string());
                }
                None
            }
        }
    }
}
