//! Items under terms of their own, which are stricter than those of their package.
//!
//! The manifest says so of each item; the daemon, which never reads manifests, knows it from a disclosure beside the
//! dispatch: which bytes of the plaintext are under which terms. Whoever unpacks compares the two.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::base::limits;
use crate::package::manifest::{Item, Manifest};
use crate::package::path::{self, ItemPath};
use crate::package::{bag, tape};
use crate::policy::{Terms, TermsFault};

/// An item, or a folder with every item in it, under terms of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemTerms {
    /// Where its first entry begins in the tar, in bytes.
    pub offset: u64,
    /// The item or the folder.
    pub path: ItemPath,
    /// From there to the end of its last entry, in bytes.
    pub size: u64,
    /// The terms; they are within those of the package.
    pub terms: Terms,
}

/// Why items are not under terms of their own as they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemTermsFault {
    /// More entries than [`limits::ITEM_TERMS_MAX`].
    #[error(
        "{0} items and folders are under terms of their own, at most 64 can be: name folders in place of their files"
    )]
    TooMany(usize),
    /// One lies within another, or their bytes overlap, are not in order, or not in the package.
    #[error(
        "{0:?} lies within or before another item or folder under terms of its own, or has no bytes in the package"
    )]
    Order(String),
    /// The terms contradict themselves.
    #[error("terms of {0:?}: {1}")]
    Terms(String, TermsFault),
    /// The terms permit what those of the package do not, or another day until which it may be kept.
    #[error(
        "terms of {0:?} are not within those of the package, or name another retain_until, review or use_report: an item is kept, reviewed and reported on with its package"
    )]
    Looser(String),
    /// There is no such item.
    #[error("there is no item or folder {0:?} in the package")]
    NoSuchItem(String),
    /// Other items lie between those of a folder.
    #[error("the items in {0:?} do not lie side by side in the package: send them as one folder")]
    Scattered(String),
}

impl ItemTermsFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooMany(_) => "item-terms-too-many",
            Self::Order(_) => "item-terms-order",
            Self::Terms(..) => "item-terms-contradict",
            Self::Looser(_) => "item-terms-looser",
            Self::NoSuchItem(_) => "item-terms-no-item",
            Self::Scattered(_) => "item-terms-scattered",
        }
    }
}

impl ItemTerms {
    /// Whether the item, or one in the folder, is the one of this name or in the folder of this name.
    fn is_touched_by(&self, name: &str) -> bool {
        self.path.is_within(name) || path::lies_in(name, self.path.as_str())
    }

    /// Whether it is among what is opened under these names; without any, everything is.
    pub fn is_opened_by(&self, names: &[String]) -> bool {
        names.is_empty() || names.iter().any(|name| self.is_touched_by(name))
    }

    /// Its bytes in the tar.
    pub const fn bytes(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.size)
    }
}

/// Whether the terms of an item are stricter than those of its package, or the same. It can have a handling code and an
/// evaluation where the package has none; it has no day of its own until which it may be kept, and no review or report:
/// one key opens the whole package, which is kept, reviewed and reported on as one.
pub fn is_stricter(item: &Terms, package: &Terms) -> bool {
    let as_one = (item.retain_until, item.review, item.use_report)
        == (package.retain_until, package.review, package.use_report);
    let coded = package.handling.is_none() || item.handling == package.handling;
    let evaluated = package.evaluation.is_none() || item.evaluation == package.evaluation;
    let uncoded = Terms {
        handling: package.handling,
        evaluation: package.evaluation,
        ..item.clone()
    };
    as_one && coded && evaluated && uncoded.is_within(package)
}

/// Whether none of these lies in another.
///
/// # Errors
/// The first that does.
pub fn check_apart<'a>(
    paths: impl IntoIterator<Item = &'a ItemPath>,
) -> Result<(), ItemTermsFault> {
    let paths: Vec<_> = paths.into_iter().collect();
    for (at, one) in paths.iter().enumerate() {
        let mut others = paths.iter().enumerate().filter(|(other, _)| *other != at);
        if others.any(|(_, other)| one.is_within(other.as_str())) {
            return Err(ItemTermsFault::Order(one.to_string()));
        }
    }
    Ok(())
}

/// Checks the terms of one item or folder.
pub fn check_one(path: &ItemPath, item: &Terms, package: &Terms) -> Result<(), ItemTermsFault> {
    let checked = item.check();
    checked.map_err(|fault| ItemTermsFault::Terms(path.to_string(), fault))?;
    if is_stricter(item, package) {
        Ok(())
    } else {
        Err(ItemTermsFault::Looser(path.to_string()))
    }
}

/// Checks number, order and terms of what came with a dispatch under these terms, of a package with so many bytes of
/// plaintext.
pub fn check(all: &[ItemTerms], package: &Terms, plaintext: u64) -> Result<(), ItemTermsFault> {
    if all.len() > limits::ITEM_TERMS_MAX {
        return Err(ItemTermsFault::TooMany(all.len()));
    }
    check_apart(all.iter().map(|it| &it.path))?;
    let mut end = 0;
    for one in all {
        let bytes = one.bytes();
        if bytes.start < end || bytes.is_empty() || bytes.end > plaintext {
            return Err(ItemTermsFault::Order(one.path.to_string()));
        }
        end = bytes.end;
        check_one(&one.path, &one.terms, package)?;
    }
    Ok(())
}

/// Where in the tar these items and folders lie, in the order in which they do.
pub fn locate(
    manifest: &Manifest,
    wanted: impl IntoIterator<Item = (ItemPath, Terms)>,
) -> Result<Vec<ItemTerms>, ItemTermsFault> {
    let located = wanted.into_iter().map(|(path, terms)| {
        let bytes = span(&manifest.items, &path)?;
        Ok(ItemTerms {
            offset: bytes.start,
            path,
            size: bytes.end.saturating_sub(bytes.start),
            terms,
        })
    });
    let mut located: Vec<_> = located.collect::<Result<_, _>>()?;
    located.sort_by_key(|it| it.offset);
    check(&located, &manifest.terms, u64::MAX)?;
    Ok(located)
}

/// Whether the manifest says of each item what this list says, and the list says it of the right bytes.
pub fn agrees(manifest: &Manifest, all: &[ItemTerms]) -> bool {
    let mut agreement = Agreement::new(all);
    manifest.items.iter().all(|item| agreement.add(item)) && agreement.finish()
}

/// Whether a manifest says of each item what a list says, and the list says it of the right bytes; items are taken one
/// at a time.
#[derive(Debug)]
pub struct Agreement<'a> {
    /// Each with the entries of its items, and whether another item has followed them.
    all: Vec<(&'a ItemTerms, Option<Range<u64>>, bool)>,
}

impl<'a> Agreement<'a> {
    /// Before the first item.
    pub fn new(all: &'a [ItemTerms]) -> Self {
        let all = all.iter().map(|it| (it, None, false)).collect();
        Self { all }
    }

    /// Whether the next item is under the terms that the list has for it, if any.
    pub fn add(&mut self, item: &Item) -> bool {
        let bytes = head(item)..end(item);
        let mut listed = None;
        for (one, span, is_over) in &mut self.all {
            if !item.path.is_within(one.path.as_str()) {
                *is_over |= span.is_some();
                continue;
            }
            if *is_over {
                return false;
            }
            listed = listed.or(Some(&one.terms));
            let start = span.as_ref().map_or(bytes.start, |span| span.start);
            *span = Some(start..bytes.end);
        }
        listed == item.terms.as_deref()
    }

    /// Whether each of the list has had its items, and names their bytes.
    pub fn finish(self) -> bool {
        let mut all = self.all.into_iter();
        all.all(|(one, span, _)| span == Some(one.bytes()))
    }
}

fn head(item: &Item) -> u64 {
    let name = format!("{}{}", bag::PAYLOAD, item.path);
    item.offset
        .saturating_sub(tape::head_length(&name, item.size))
}

fn end(item: &Item) -> u64 {
    item.offset.saturating_add(tape::padded(item.size))
}

/// The entries of one item, or of all in a folder: they must lie side by side.
fn span(items: &[Item], path: &ItemPath) -> Result<Range<u64>, ItemTermsFault> {
    let is_in = |item: &Item| item.path.is_within(path.as_str());
    let ends = items.iter().position(is_in);
    let ends = ends.zip(items.iter().rposition(is_in));
    let inside = ends.and_then(|(first, last)| items.get(first..=last));
    match inside.unwrap_or_default() {
        inside if !inside.iter().all(is_in) => Err(ItemTermsFault::Scattered(path.to_string())),
        [only] => Ok(head(only)..end(only)),
        [first, .., last] => Ok(head(first)..end(last)),
        [] => Err(ItemTermsFault::NoSuchItem(path.to_string())),
    }
}

#[cfg(test)]
mod tests;
