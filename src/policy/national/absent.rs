//! Without the dependencies of the shell, as for the fuzz targets, there are no national rules.

use std::convert::Infallible;

use crate::policy::decide::Denial;
use crate::policy::facts::Facts;

/// There is none.
#[derive(Debug)]
pub struct National(Infallible);

impl National {
    pub(in crate::policy) const fn files(&self) -> Vec<super::RuleFile> {
        match self.0 {}
    }

    pub(in crate::policy) const fn judge(&self, _: &Facts<'_>) -> Option<Denial> {
        match self.0 {}
    }

    pub(in crate::policy) const fn denials(&self, _: &Facts<'_>) -> Vec<Denial> {
        match self.0 {}
    }
}
