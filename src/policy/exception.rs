//! Declared exceptions: uses that the law permits without asking the sender first, but never silently.

use crate::policy::code::vocabulary;

vocabulary! {
    /// Why a use is declared to be an exception.
    Ground: "ground of an exception" {
        /// It speaks for an accused person (UNTOC art. 18(19), UNCAC art. 46(19)).
        Exculpatory = "exculpatory",
        /// An immediate and serious threat to public security (MLA Convention 2000 art. 23(1)(c), Directive (EU)
        /// 2016/680 art. 35(2)).
        Threat = "threat",
    }
}

/// An exception that one person declares and another confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception<'a> {
    /// Why.
    pub ground: Ground,
    /// Who declares it.
    pub declared_by: &'a str,
    /// Who confirms it: another person. Nobody has so far if empty.
    pub confirmed_by: Option<&'a str>,
}

impl Exception<'_> {
    /// Whether two persons stand for it.
    pub fn has_two_persons(&self) -> bool {
        self.confirmed_by
            .is_some_and(|other| !other.is_empty() && other != self.declared_by)
    }
}
