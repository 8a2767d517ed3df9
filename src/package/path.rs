//! The names that an item of a package may have, so that every system that unpacks it agrees on them.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use caseless::Caseless as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use crate::base::text::is_deceptive;
use crate::base::{Hasher, limits};

/// Why a path cannot name an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("item path {path:?}: {rule}")]
pub struct PathFault {
    /// The path, its first 200 characters.
    pub path: String,
    /// The rule that it breaks.
    pub rule: PathRule,
}

/// The rules for item paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathRule {
    /// No character at all.
    #[error("it is empty")]
    Empty,
    /// More than [`limits::ITEM_PATH_BYTES_MAX`] bytes.
    #[error("it is longer than 1,024 bytes; shorten folder or file names")]
    TooLong,
    /// It starts with a slash.
    #[error("it starts with a slash, and must be relative")]
    Absolute,
    /// Two slashes in a row, or one at the end.
    #[error("a part between slashes is empty")]
    EmptyPart,
    /// A part is `.` or `..`.
    #[error("a part is \".\" or \"..\"")]
    DotPart,
    /// A part is longer than file systems can hold: 255 bytes.
    #[error("a part is longer than 255 bytes")]
    PartTooLong,
    /// A part ends with white space, which tools for bags strip.
    #[error("a part ends with white space; rename it")]
    TrailingSpace,
    /// NUL.
    #[error("it contains the character NUL")]
    Nul,
    /// A control character, or a line or paragraph separator.
    #[error("it contains a control character or line separator; rename it")]
    Control,
    /// A format character: bidirectional controls, zero-width characters, tags.
    #[error("it contains an invisible format or bidirectional character; rename it")]
    Format,
    /// `%0A`, `%0D` or `%25`, on which tools for bags disagree (RFC 8493 §2.1.3).
    #[error("it contains %0A, %0D or %25, on which tools for bags disagree; rename it")]
    PercentEscape,
    /// Not in Unicode normalisation form C.
    #[error("it is not in Unicode normalisation form C")]
    NotNormal,
    /// Another item has this name after normalisation and case folding.
    #[error("another item has the same name, if upper and lower case are taken as the same")]
    Collision,
    /// One item's file is another item's folder.
    #[error("one item is a file where another has a folder of the same name")]
    FileAndFolder,
    /// More files and folders than [`limits::PATHS_MAX`].
    #[error("with it the package has more than 1,500,000 files and folders; send it as several")]
    TooMany,
}

fn fault(path: &str, rule: PathRule) -> PathFault {
    let path = path.chars().take(200).collect();
    PathFault { path, rule }
}

/// The path of an item: relative, of at most 1,024 bytes of UTF-8 in normalisation form C, parts joined by `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemPath(String);

const PART_BYTES_MAX: usize = 255;

fn character_fault(c: char) -> Option<PathRule> {
    if c == '\0' {
        return Some(PathRule::Nul);
    }
    let is_format = || c.general_category() == GeneralCategory::Format;
    is_deceptive(c).then(|| {
        if is_format() {
            PathRule::Format
        } else {
            PathRule::Control
        }
    })
}

fn part_fault(part: &str) -> Option<PathRule> {
    if part.is_empty() {
        return Some(PathRule::EmptyPart);
    }
    if matches!(part, "." | "..") {
        return Some(PathRule::DotPart);
    }
    if part.len() > PART_BYTES_MAX {
        return Some(PathRule::PartTooLong);
    }
    part.ends_with(char::is_whitespace)
        .then_some(PathRule::TrailingSpace)
}

fn has_percent_escape(path: &str) -> bool {
    path.as_bytes().windows(3).any(|three| {
        matches!(
            three,
            [b'%', b'0', b'a' | b'A' | b'd' | b'D'] | [b'%', b'2', b'5']
        )
    })
}

impl FromStr for ItemPath {
    type Err = PathFault;

    fn from_str(text: &str) -> Result<Self, PathFault> {
        Self::parse(text)
    }
}

impl ItemPath {
    /// Reads a path and refuses one that breaks a rule.
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        let broken = if text.is_empty() {
            Some(PathRule::Empty)
        } else if text.len() > limits::ITEM_PATH_BYTES_MAX {
            Some(PathRule::TooLong)
        } else if text.starts_with('/') {
            Some(PathRule::Absolute)
        } else {
            text.chars()
                .find_map(character_fault)
                .or_else(|| text.split('/').find_map(part_fault))
                .or_else(|| has_percent_escape(text).then_some(PathRule::PercentEscape))
                .or_else(|| (!is_nfc(text)).then_some(PathRule::NotNormal))
        };
        match broken {
            Some(rule) => Err(fault(text, rule)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `folder` or lies beneath it.
    pub fn is_within(&self, folder: &str) -> bool {
        lies_in(&self.0, folder)
    }
}

impl fmt::Display for ItemPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ItemPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ItemPath({:?})", self.0)
    }
}

impl Serialize for ItemPath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ItemPath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// Whether this path is `folder` or lies beneath it.
pub(super) fn lies_in(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The same name in normalisation form C: what sealing makes of the names that some systems store in form D.
pub fn normal(name: &str) -> String {
    name.nfc().collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

/// The paths of one package: unique after normalisation and case folding, and none both file and folder. Of each it
/// keeps 16 bytes of a digest, so that its memory is bounded by [`limits::PATHS_MAX`] and not by what names a sender
/// makes up.
#[derive(Debug, Default)]
pub struct PathSet(HashMap<[u8; 16], Kind>);

impl PathSet {
    /// No path.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the path of a file, unless it collides with one that is there.
    pub fn insert(&mut self, path: &ItemPath) -> Result<(), PathFault> {
        let folded: String = path.0.nfd().default_case_fold().nfc().collect();
        let mut hasher = Hasher::new();
        for part in folded.split_inclusive('/') {
            let (name, kind) = match part.strip_suffix('/') {
                Some(above) => (above, Kind::Folder),
                None => (part, Kind::File),
            };
            hasher.update(name.as_bytes());
            let key = short(&hasher);
            match (self.0.get(&key), kind) {
                (None, _) if self.0.len() >= limits::PATHS_MAX => {
                    return Err(fault(&path.0, PathRule::TooMany));
                }
                (None, _) => drop(self.0.insert(key, kind)),
                (Some(Kind::Folder), Kind::Folder) => {}
                (Some(Kind::File), Kind::File) => return Err(fault(&path.0, PathRule::Collision)),
                (Some(_), _) => return Err(fault(&path.0, PathRule::FileAndFolder)),
            }
            hasher.update(b"/");
        }
        Ok(())
    }
}

/// The first half of the digest of what was taken so far.
fn short(hasher: &Hasher) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.clone().finish().as_bytes()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(path: &str, broken: Option<PathRule>) {
        assert_eq!(
            ItemPath::parse(path).err().map(|f| f.rule),
            broken,
            "{path:?}"
        );
    }

    #[test]
    fn each_rule_refuses_its_path() {
        let long_part = "a".repeat(256);
        let longest = vec!["abc"; 256].join("/") + "/";
        let most = format!("{}d", &longest[..limits::ITEM_PATH_BYTES_MAX - 1]);
        for good in [
            "a",
            "dossier/mail/1.eml",
            " leading",
            "a b.txt",
            ".hidden",
            "...",
            "a..b",
            "Zürich/日本語.txt",
            "C:\\x",
            "~/x",
            "100%.txt",
            "%41",
            "-rf",
            most.as_str(),
        ] {
            check(good, None);
        }
        for (bad, rule) in [
            ("", PathRule::Empty),
            (&format!("{most}e"), PathRule::TooLong),
            ("/etc/passwd", PathRule::Absolute),
            ("/", PathRule::Absolute),
            ("a//b", PathRule::EmptyPart),
            ("a/", PathRule::EmptyPart),
            (".", PathRule::DotPart),
            ("..", PathRule::DotPart),
            ("../x", PathRule::DotPart),
            ("a/../../x", PathRule::DotPart),
            ("a/./b", PathRule::DotPart),
            (&long_part, PathRule::PartTooLong),
            ("a ", PathRule::TrailingSpace),
            ("a /b", PathRule::TrailingSpace),
            ("a\u{a0}", PathRule::TrailingSpace),
            ("a\0b", PathRule::Nul),
            ("a\nb", PathRule::Control),
            ("a\x1b[2J", PathRule::Control),
            ("a\x7f", PathRule::Control),
            ("a\u{85}b", PathRule::Control),
            ("a\u{2028}b", PathRule::Control),
            ("a\u{2029}b", PathRule::Control),
            ("invoice\u{202e}fdp.exe", PathRule::Format),
            ("a\u{2066}b", PathRule::Format),
            ("a\u{200e}b", PathRule::Format),
            ("a\u{200b}b", PathRule::Format),
            ("a\u{feff}b", PathRule::Format),
            ("a\u{e0041}b", PathRule::Format),
            ("a%0Ab", PathRule::PercentEscape),
            ("a%0ab", PathRule::PercentEscape),
            ("a%0Db", PathRule::PercentEscape),
            ("a%25b", PathRule::PercentEscape),
            ("Zu\u{308}rich", PathRule::NotNormal),
            ("\u{212b}", PathRule::NotNormal),
        ] {
            check(bad, Some(rule));
        }
    }

    #[test]
    fn names_that_some_system_takes_for_one_collide() {
        for (first, second, broken) in [
            ("a/b", "a/c", None),
            ("A/b", "a/c", None),
            ("a", "a", Some(PathRule::Collision)),
            ("Report.PDF", "report.pdf", Some(PathRule::Collision)),
            ("straße", "STRASSE", Some(PathRule::Collision)),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ", Some(PathRule::Collision)),
            ("\u{1e9e}", "ß", Some(PathRule::Collision)),
            ("A/x", "a/X", Some(PathRule::Collision)),
            ("a", "a/b", Some(PathRule::FileAndFolder)),
            ("a/b", "A", Some(PathRule::FileAndFolder)),
            ("a/b/c", "a/B", Some(PathRule::FileAndFolder)),
        ] {
            let mut set = PathSet::new();
            set.insert(&first.parse().unwrap()).unwrap();
            let found = set.insert(&second.parse().unwrap()).err().map(|f| f.rule);
            assert_eq!(found, broken, "{first:?} {second:?}");
        }
    }

    #[test]
    fn files_and_folders_have_a_limit() {
        let mut set = PathSet::new();
        set.insert(&"a/b".parse().unwrap()).unwrap();
        let others = (0_u128..).map(|number| (number.to_be_bytes(), Kind::Folder));
        set.0.extend(others.take(limits::PATHS_MAX - 3));
        // One more is a file in a folder that is there; a folder and a file are two.
        let mut insert = |path: &str| set.insert(&path.parse().unwrap()).map_err(|f| f.rule);
        assert_eq!(insert("a/c"), Ok(()));
        assert_eq!(insert("a/d"), Err(PathRule::TooMany));
        assert_eq!(insert("d"), Err(PathRule::TooMany));
    }

    #[test]
    fn a_fault_shows_what_cannot_be_seen() {
        let text = ItemPath::parse("a\u{202e}b").unwrap_err().to_string();
        assert!(text.contains("\\u{202e}"), "{text}");
    }

    proptest! {
        #[test]
        fn a_path_stays_beneath_its_root_whatever_its_text(text in "((|\\.|\\.\\.|a|[a. \\\\%0-9\u{0}-\u{20}\u{202e}é]{1,3})/?){0,8}") {
            if let Ok(path) = ItemPath::parse(&text) {
                let parts: Vec<_> = std::path::Path::new(path.as_str()).components().collect();
                prop_assert!(parts.iter().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert_eq!(parts.len(), text.split('/').count());
            }
        }
    }
}
