//! Who wants something, and why.

use crate::api::server::ApiFailure;
use crate::base::limits;
use crate::policy::Purpose;
use crate::receipt::{Disclosure, disclosure};
use crate::seal;

/// Who did something and why, as salted values that stay here.
pub(crate) fn who_and_why(actor: &str, justification: &str) -> Vec<Disclosure> {
    let disclosure = |name, value| Disclosure::new(seal::random(), name, value);
    vec![
        disclosure(disclosure::PERSONS, actor),
        disclosure(disclosure::JUSTIFICATION, justification),
    ]
}

/// Whether this can stand as the reason of a person.
pub(crate) fn check_justification(text: &str) -> Result<(), ApiFailure> {
    let most = limits::TEXT_BYTES_MAX;
    if !text.trim().is_empty() && text.len() <= most {
        return Ok(());
    }
    let message = format!("a justification of 1 to {most} bytes is needed");
    Err(ApiFailure::usage("no-justification", message))
}

/// A wish to open something, and its reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) actor: &'a str,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) justification: &'a str,
    pub(crate) items: &'a [String],
    pub(crate) related: bool,
    pub(crate) export: bool,
}

impl Wish<'_> {
    /// Who opens, why, and what.
    pub(crate) fn disclosures(&self, persons: &str) -> Vec<Disclosure> {
        let items = self.items.to_vec();
        let mut all = who_and_why(persons, self.justification);
        all.push(Disclosure::new(seal::random(), disclosure::ITEMS, items));
        for (said, name) in [
            (self.related, disclosure::RELATED),
            (self.export, disclosure::EXPORT),
        ] {
            all.extend(said.then(|| Disclosure::new(seal::random(), name, true)));
        }
        all
    }
}
