//! Items under terms of their own, as they are disclosed beside a dispatch.

use serde::Deserialize as _;

use crate::package::item_terms::{self, ItemTerms, ItemTermsFault};
use crate::package::segments;
use crate::policy::Restriction;
use crate::receipt::body::Receipt;
use crate::receipt::disclosure::{Disclosure, ITEM_TERMS};

/// Why what is disclosed of items does not belong to a dispatch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemsFault {
    /// It is no list of items and terms.
    #[error("what is disclosed of items under terms of their own is no list of items and terms")]
    Shape,
    /// The terms say that there are such items, and none are disclosed; or the reverse.
    #[error(
        "the terms say otherwise than the disclosures whether items are under terms of their own"
    )]
    Missing,
    /// Its digest is not the one that the authority that sealed the package has signed.
    #[error("the authority that sealed the package has disclosed something else of its items")]
    Altered,
    /// It is not in order, or permits what the package does not.
    #[error(transparent)]
    Terms(#[from] ItemTermsFault),
}

impl ItemsFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Shape => "item-terms-malformed",
            Self::Missing => "item-terms-missing",
            Self::Altered => "item-terms-altered",
            Self::Terms(fault) => fault.code(),
        }
    }
}

/// The items under terms of their own among these disclosures, which belong to this dispatch; `origin` is the dispatch
/// of whoever sealed the package, where another passes it on.
///
/// The terms of a package say that it has such items ([`Restriction::ItemTerms`]), so nobody on the way can leave them
/// out; and who passes a package on passes on what the first sender has disclosed, salt and all, so nobody can change
/// them.
///
/// # Errors
/// They are left out, changed, not in order, or under looser terms than the package.
pub fn item_terms(
    dispatch: &Receipt,
    origin: Option<&Receipt>,
    disclosures: &[Disclosure],
) -> Result<Vec<ItemTerms>, ItemsFault> {
    let sealed = origin.unwrap_or(dispatch);
    let found = disclosures.iter().find(|it| it.name == ITEM_TERMS);
    let (Some(terms), Some(pkg)) = (&sealed.terms, &sealed.pkg) else {
        return Err(ItemsFault::Missing);
    };
    if terms.restrictions.contains(&Restriction::ItemTerms) != found.is_some() {
        return Err(ItemsFault::Missing);
    }
    let Some(found) = found else {
        return Ok(Vec::new());
    };
    if !sealed.sd.contains(&found.digest()) {
        return Err(ItemsFault::Altered);
    }
    let items = Vec::deserialize(&found.value).map_err(|_| ItemsFault::Shape)?;
    item_terms::check(&items, terms, segments::plaintext_bytes(pkg.len))?;
    if items.is_empty() {
        return Err(ItemsFault::Missing);
    }
    Ok(items)
}

#[cfg(test)]
mod tests;
