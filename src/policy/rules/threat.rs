//! Threat: an immediate and serious threat to public security, where there is no time to ask.

use crate::policy::action::Action;
use crate::policy::exception::Ground;
use crate::policy::facts::Facts;
use crate::policy::instrument;
use crate::policy::parameters::Parameters;
use crate::policy::purpose::Purpose;
use crate::policy::rules::exception;
use crate::policy::verdict::Verdict;

pub(super) const ID: &str = "threat";

/// Permits the declared exception: to open for public security (MLA Convention 2000 art. 23(1)(c)), to pass on
/// (Directive (EU) 2016/680 art. 35(2)).
pub(super) fn judge(_: Parameters, facts: &Facts<'_>) -> Verdict {
    let declared = facts.circumstances.exception.as_ref();
    let Some(declared) = declared.filter(|it| it.ground == Ground::Threat) else {
        return Verdict::Silent;
    };
    let beyond = instrument::beyond(&facts.terms.instrument);
    let (fits, clause) = match facts.action {
        Action::Open | Action::Export => (
            facts.purpose == Some(&Purpose::PublicSecurity),
            beyond.threat,
        ),
        Action::Forward => (true, beyond.onward_threat),
        Action::Send | Action::Admit | Action::Keep | Action::Erase => (false, None),
    };
    exception::judge(ID, facts, declared, fits, clause)
}
