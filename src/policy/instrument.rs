//! Legal instruments: the codes that terms name, and the clauses that refusals under them cite.
//!
//! Terms may name an instrument that is not in this table (an authority can know more of them than we do);
//! refusals then cite the terms alone.

use crate::policy::code::{Code, CodeFault};
use crate::policy::exception::Ground;

/// Cited where no article of the instrument says more than the sender's own terms.
pub const BY_TERMS: &str = "terms of the package";
/// Cited where the authority itself has said who may do what.
pub const BY_CONFIGURATION: &str = "configuration of this authority";

/// A legal instrument under which evidence is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instrument {
    /// The code in terms.
    pub code: &'static str,
    /// The short title, for people.
    pub title: &'static str,
    /// The address of the text (ELI), where there is one.
    pub eli: Option<&'static str>,
    /// The clause that limits the use to the purposes stated.
    pub purpose_clause: &'static str,
    /// The clause that limits how long it may be kept.
    pub retention_clause: &'static str,
    /// The permitted uses beyond the purposes stated, and the conditions of passing on.
    pub beyond: Beyond,
}

/// The clauses of an instrument about use beyond the purposes stated; `None` where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beyond {
    /// Proceedings directly related to those of the request.
    pub related: Option<&'static str>,
    /// Giving to an accused person what speaks for that person.
    pub exculpatory: Option<&'static str>,
    /// Averting an immediate and serious threat.
    pub threat: Option<&'static str>,
    /// Passing on averts such a threat, and there is no time to ask.
    pub onward_threat: Option<&'static str>,
    /// Passing on needs the consent of the sender.
    pub onward: &'static str,
}

const NOTHING_BEYOND: Beyond = Beyond {
    related: None,
    exculpatory: None,
    threat: None,
    onward_threat: None,
    onward: BY_TERMS,
};

const LED_BEYOND: Beyond = Beyond {
    onward_threat: Some("Directive (EU) 2016/680 art. 35(2)"),
    onward: "Directive (EU) 2016/680 art. 35(1)",
    ..NOTHING_BEYOND
};

const LED_PURPOSE: &str = "Directive (EU) 2016/680 art. 4(1)(b)";
const LED_RETENTION: &str = "Directive (EU) 2016/680 art. 5";

/// Every instrument known here, in the order of the codes.
pub const INSTRUMENTS: &[Instrument] = &[
    Instrument {
        code: "Budapest",
        title: "Convention on Cybercrime (ETS 185)",
        eli: None,
        purpose_clause: "ETS 185 art. 28(2)(b)",
        retention_clause: BY_TERMS,
        beyond: NOTHING_BEYOND,
    },
    Instrument {
        code: "EAW",
        title: "European arrest warrant (Framework Decision 2002/584/JHA)",
        eli: Some("http://data.europa.eu/eli/dec_framw/2002/584/oj"),
        purpose_clause: LED_PURPOSE,
        retention_clause: LED_RETENTION,
        beyond: LED_BEYOND,
    },
    Instrument {
        code: "EIO",
        title: "European Investigation Order (Directive 2014/41/EU)",
        eli: Some("http://data.europa.eu/eli/dir/2014/41/oj"),
        purpose_clause: "Directive (EU) 2016/680 art. 4(1)(b); Directive 2014/41/EU art. 19(3)",
        retention_clause: LED_RETENTION,
        beyond: LED_BEYOND,
    },
    Instrument {
        code: "EPOC",
        title: "European Production Order (Regulation (EU) 2023/1543)",
        eli: Some("http://data.europa.eu/eli/reg/2023/1543/oj"),
        purpose_clause: LED_PURPOSE,
        retention_clause: LED_RETENTION,
        beyond: LED_BEYOND,
    },
    Instrument {
        code: "EU-Evidence-2020",
        title: "Taking of evidence in civil matters (Regulation (EU) 2020/1783)",
        eli: Some("http://data.europa.eu/eli/reg/2020/1783/oj"),
        purpose_clause: BY_TERMS,
        retention_clause: BY_TERMS,
        beyond: NOTHING_BEYOND,
    },
    Instrument {
        code: "EU-Service-2020",
        title: "Service of documents in civil matters (Regulation (EU) 2020/1784)",
        eli: Some("http://data.europa.eu/eli/reg/2020/1784/oj"),
        purpose_clause: BY_TERMS,
        retention_clause: BY_TERMS,
        beyond: NOTHING_BEYOND,
    },
    Instrument {
        code: "Extradition-1957",
        title: "European Convention on Extradition (ETS 24)",
        eli: None,
        purpose_clause: "ETS 24 art. 14",
        retention_clause: BY_TERMS,
        beyond: NOTHING_BEYOND,
    },
    Instrument {
        code: "Hague-Evidence",
        title: "Hague Convention of 18 March 1970 on the taking of evidence abroad",
        eli: None,
        purpose_clause: BY_TERMS,
        retention_clause: BY_TERMS,
        beyond: NOTHING_BEYOND,
    },
    Instrument {
        code: "Hague-Service",
        title: "Hague Convention of 15 November 1965 on service abroad",
        eli: None,
        purpose_clause: BY_TERMS,
        retention_clause: BY_TERMS,
        beyond: NOTHING_BEYOND,
    },
    Instrument {
        code: "MLA-1959",
        title: "European Convention on Mutual Assistance in Criminal Matters (ETS 30)",
        eli: None,
        purpose_clause: BY_TERMS,
        retention_clause: BY_TERMS,
        beyond: NOTHING_BEYOND,
    },
    Instrument {
        code: "MLA-2000",
        title: "EU Convention on Mutual Assistance in Criminal Matters of 29 May 2000",
        eli: None,
        purpose_clause: "MLA Convention 2000 art. 23",
        retention_clause: LED_RETENTION,
        beyond: Beyond {
            related: Some("MLA Convention 2000 art. 23(1)(b)"),
            threat: Some("MLA Convention 2000 art. 23(1)(c)"),
            ..LED_BEYOND
        },
    },
    Instrument {
        code: "Spontaneous",
        title: "Information given without a request",
        eli: None,
        purpose_clause: "ETS 182 art. 11; UNCAC art. 46(5)",
        retention_clause: BY_TERMS,
        beyond: Beyond {
            exculpatory: Some("UNCAC art. 46(5)"),
            ..NOTHING_BEYOND
        },
    },
    Instrument {
        code: "UNCAC",
        title: "UN Convention against Corruption",
        eli: None,
        purpose_clause: "UNCAC art. 46(19)",
        retention_clause: BY_TERMS,
        beyond: Beyond {
            exculpatory: Some("UNCAC art. 46(19)"),
            ..NOTHING_BEYOND
        },
    },
    Instrument {
        code: "UNTOC",
        title: "UN Convention against Transnational Organized Crime",
        eli: None,
        purpose_clause: "UNTOC art. 18(19)",
        retention_clause: BY_TERMS,
        beyond: Beyond {
            exculpatory: Some("UNTOC art. 18(19)"),
            ..NOTHING_BEYOND
        },
    },
];

/// The instrument with this code, if it is in the table.
pub fn find(code: &Code) -> Option<&'static Instrument> {
    INSTRUMENTS.iter().find(|known| known.code == code.as_str())
}

/// Reads the code of a known instrument in any case (`eio`), as people write it; a wrong one is answered with the
/// nearest.
pub fn parse(text: &str) -> Result<Code, CodeFault> {
    let fault = || {
        let known = INSTRUMENTS.iter().map(|known| known.code).collect();
        CodeFault::new("instrument", text, known)
    };
    let known = INSTRUMENTS
        .iter()
        .find(|known| known.code.eq_ignore_ascii_case(text))
        .ok_or_else(fault)?;
    known.code.parse()
}

/// The clause that limits use under this instrument.
pub fn purpose_clause(code: &Code) -> &'static str {
    find(code).map_or(BY_TERMS, |known| known.purpose_clause)
}

/// The clause that limits keeping under this instrument.
pub(super) fn retention_clause(code: &Code) -> &'static str {
    find(code).map_or(BY_TERMS, |known| known.retention_clause)
}

/// The clause of this instrument that a declared exception of opening stands on; the terms where it has none.
pub fn exception_clause(code: &Code, ground: Ground) -> &'static str {
    let beyond = beyond(code);
    let clause = match ground {
        Ground::Exculpatory => beyond.exculpatory,
        Ground::Threat => beyond.threat,
    };
    clause.unwrap_or(BY_TERMS)
}

/// The instrument's rule on use beyond the purposes stated.
pub(super) fn beyond(code: &Code) -> Beyond {
    find(code).map_or(NOTHING_BEYOND, |known| known.beyond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits;

    #[test]
    fn every_instrument_is_found_by_its_code_in_any_case() {
        for known in INSTRUMENTS {
            let code = parse(&known.code.to_lowercase()).expect(known.code);
            assert_eq!(code.as_str(), known.code);
            assert_eq!(find(&code), Some(known));
            assert!(known.purpose_clause.len() <= limits::CLAUSE_BYTES_MAX);
            assert!(known.retention_clause.len() <= limits::CLAUSE_BYTES_MAX);
        }
        assert!(INSTRUMENTS.is_sorted_by_key(|known| known.code));
    }

    #[test]
    fn an_unknown_instrument_is_answered_with_the_nearest() {
        let fault = parse("MLA-200").unwrap_err();
        assert_eq!(fault.suggestion(), Some("MLA-2000"));
        let other: Code = "XY-1999".parse().unwrap();
        assert_eq!((find(&other), purpose_clause(&other)), (None, BY_TERMS));
    }

    #[test]
    fn an_exception_stands_on_its_own_clause() {
        for (code, ground, clause) in [
            (
                "MLA-2000",
                Ground::Threat,
                "MLA Convention 2000 art. 23(1)(c)",
            ),
            ("MLA-2000", Ground::Exculpatory, BY_TERMS),
            ("UNTOC", Ground::Exculpatory, "UNTOC art. 18(19)"),
            ("XY-1999", Ground::Threat, BY_TERMS),
        ] {
            let code: Code = code.parse().unwrap();
            assert_eq!(exception_clause(&code, ground), clause, "{code} {ground}");
        }
    }
}
