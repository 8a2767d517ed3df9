//! Terms: the purpose limitation that binds a package. Codes and dates only: no case, offence, person or free text.

use std::fmt;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};

use crate::base::{Date, Timestamp, limits};
use crate::policy::code::{Code, vocabulary};
use crate::policy::purpose::{self, Purpose};

vocabulary! {
    /// Europol handling codes (Regulation (EU) 2016/794).
    Handling: "handling code" {
        /// Only to prevent and combat crime.
        H0 = "H0",
        /// Not to be disclosed in judicial proceedings without permission.
        H1 = "H1",
        /// Not to be disseminated without permission.
        H2 = "H2",
        /// Other restrictions apply: those listed, and what the sender wrote to the receiver.
        H3 = "H3",
    }
}

vocabulary! {
    /// Reliability of the source (Regulation (EU) 2016/794 art. 29(1)).
    Source: "reliability of the source" {
        /// No doubt about authenticity, trustworthiness and competence.
        A = "A",
        /// Proved reliable in most instances.
        B = "B",
        /// Proved unreliable in most instances.
        C = "C",
        /// Reliability cannot be assessed.
        X = "X",
    }
}

vocabulary! {
    /// Whether the receiver may pass the package on (Directive (EU) 2016/680 art. 35(1)(e)).
    Onward: "onward rule" {
        /// Never.
        Prohibited = "prohibited",
        /// With the consent of the sender, asked for each time.
        WithConsent = "with-consent",
    }
}

vocabulary! {
    /// Further restrictions that the sender sets.
    Restriction: "restriction" {
        /// Keep the fact and the substance confidential (ETS 185 art. 28(2)(a), UNTOC art. 18(20)).
        Confidential = "confidential",
        /// Delete once the purpose is met, without waiting for the end of retention.
        DeleteAfterUse = "delete-after-use",
        /// Some items are under stricter terms of their own, which travel beside the dispatch; set by the program where
        /// there are such items.
        ItemTerms = "item-terms",
        /// No decision by automated means alone (Directive (EU) 2016/680 art. 11).
        NoAutomatedDecision = "no-automated-decision",
        /// Do not tell the person concerned for now (Regulation (EU) 2023/1543 art. 13).
        NoNoticeToSubject = "no-notice-to-subject",
        /// Tell the sender before giving exculpatory information to the accused (UNTOC art. 18(19)).
        NotifyExculpatory = "notify-exculpatory",
        /// Return the evidence as soon as it is no longer needed (Directive 2014/41/EU art. 13(3)).
        Return = "return",
        /// Holds special categories of personal data, biometric ones for example: only where strictly necessary
        /// (Directive (EU) 2016/680 art. 10).
        SpecialCategories = "special-categories",
        /// Only for offences for which the person was surrendered or extradited (ETS 24 art. 14).
        Speciality = "speciality",
        /// For the stated purposes only: this condition prevails over what the instrument permits beyond them without
        /// asking (MLA Convention 2000 art. 23(4)).
        StatedPurposesOnly = "stated-purposes-only",
        /// Under privilege or immunity until a court decides.
        UnderPrivilegeReview = "under-privilege-review",
        /// About vulnerable persons, children for example: protect them when it is used (Directive 2012/29/EU art. 22).
        VulnerablePersons = "vulnerable-persons",
    }
}

impl Onward {
    /// The nearest term of ODRL 2.2: passing on is `distribute`, prohibited or after `obtainConsent`.
    pub const fn odrl(self) -> &'static str {
        match self {
            Self::Prohibited => "http://www.w3.org/ns/odrl/2/distribute",
            Self::WithConsent => "http://www.w3.org/ns/odrl/2/obtainConsent",
        }
    }
}

impl Restriction {
    /// The nearest term of ODRL 2.2, where there is one.
    pub const fn odrl(self) -> Option<&'static str> {
        match self {
            Self::Confidential => Some("http://www.w3.org/ns/odrl/2/distribute"),
            Self::DeleteAfterUse => Some("http://www.w3.org/ns/odrl/2/delete"),
            Self::NoNoticeToSubject | Self::NotifyExculpatory => {
                Some("http://www.w3.org/ns/odrl/2/inform")
            }
            Self::Return => Some("http://www.w3.org/ns/odrl/2/transfer"),
            Self::StatedPurposesOnly => Some("http://www.w3.org/ns/odrl/2/purpose"),
            Self::ItemTerms
            | Self::NoAutomatedDecision
            | Self::SpecialCategories
            | Self::Speciality
            | Self::UnderPrivilegeReview
            | Self::VulnerablePersons => None,
        }
    }
}

/// How far a source and its information can be relied on (Regulation (EU) 2016/794 art. 29).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The source.
    pub source: Source,
    /// The information: 1 (accuracy not in doubt) to 4 (cannot be corroborated).
    pub information: u8,
}

impl fmt::Display for Evaluation {
    /// As it is written on reports: `B2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.source, self.information)
    }
}

/// The terms of a package, version 1 (`docs/protocol/terms.schema.json`).
///
/// Lists are in ascending order of their words, without doubles; what is not set is not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The evaluation of source and information.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub evaluation: Option<Evaluation>,
    /// The handling code.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub handling: Option<Handling>,
    /// The legal instrument under which the package is sent.
    pub instrument: Code,
    /// The address (ELI) of the provision that the sender relies on.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub legal_basis: Option<String>,
    /// Whether it may be passed on.
    pub onward: Onward,
    /// The purposes that it may be used for: 1 to 32.
    #[serde(deserialize_with = "ascending")]
    pub purposes: Vec<Purpose>,
    /// Further restrictions: at most 32, not written when there are none.
    #[serde(
        default,
        deserialize_with = "ascending",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub restrictions: Vec<Restriction>,
    /// The last day on which it may be kept.
    pub retain_until: Date,
    /// The day on which somebody has to look whether it is still needed; not after `retain_until`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub review: Option<Date>,
    /// The last day on which it may be used; not after `retain_until`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub sunset: Option<Date>,
    /// Whether the sender wants to be told of the use made.
    pub use_report: bool,
}

/// Why terms are no terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsFault {
    /// No purpose is named.
    #[error("terms name no purpose: name at least one")]
    NoPurpose,
    /// More codes in a list than allowed.
    #[error("terms list {count} {list}, at most 32 are allowed")]
    TooMany {
        /// The field.
        list: &'static str,
        /// How many stand there.
        count: usize,
    },
    /// A list is not ascending, or has a word twice.
    #[error("{0} of terms are not in ascending order without doubles")]
    NotAscending(&'static str),
    /// The legal basis is not the address of a text.
    #[error(
        "legal basis of terms is not an http(s) address of at most 256 bytes without query or fragment: name the ELI of the text"
    )]
    LegalBasis,
    /// The evaluation of information is not 1 to 4.
    #[error("information is evaluated {0} in terms; it must be 1 to 4")]
    Evaluation(u8),
    /// A date lies after the end of retention.
    #[error(
        "{term} {date} of terms is after retain_until {retain_until}: the earlier date must come first"
    )]
    AfterRetention {
        /// The field: `sunset` or `review`.
        term: &'static str,
        /// Its date.
        date: Date,
        /// The end of retention.
        retain_until: Date,
    },
}

impl Terms {
    /// Terms with nothing optional set and onward transfer prohibited; puts the purposes in order.
    pub fn new(
        instrument: Code,
        purposes: impl IntoIterator<Item = Purpose>,
        retain_until: Date,
    ) -> Self {
        let mut purposes: Vec<_> = purposes.into_iter().collect();
        purposes.sort_unstable();
        purposes.dedup();
        Self {
            instrument,
            legal_basis: None,
            purposes,
            handling: None,
            evaluation: None,
            retain_until,
            review: None,
            sunset: None,
            onward: Onward::Prohibited,
            restrictions: Vec::new(),
            use_report: false,
        }
    }

    /// Checks what the types alone do not: order and length of lists, form of the legal basis, order of dates.
    pub fn check(&self) -> Result<(), TermsFault> {
        if self.purposes.is_empty() {
            return Err(TermsFault::NoPurpose);
        }
        check_list("purposes", &self.purposes)?;
        check_list("restrictions", &self.restrictions)?;
        if self
            .legal_basis
            .as_deref()
            .is_some_and(|it| !is_address(it))
        {
            return Err(TermsFault::LegalBasis);
        }
        if let Some(evaluation) = self.evaluation
            && !(1..=4).contains(&evaluation.information)
        {
            return Err(TermsFault::Evaluation(evaluation.information));
        }
        for (term, date) in [("sunset", self.sunset), ("review", self.review)] {
            if let Some(date) = date.filter(|date| *date > self.retain_until) {
                return Err(TermsFault::AfterRetention {
                    term,
                    date,
                    retain_until: self.retain_until,
                });
            }
        }
        Ok(())
    }

    /// Whether nothing that is permitted under these terms is forbidden under the earlier ones: instrument, legal
    /// basis, handling and evaluation are the same; purposes and dates shrink, restrictions and duties grow.
    pub fn is_within(&self, earlier: &Self) -> bool {
        let no_later = |date: Option<Date>, before: Option<Date>| {
            before.is_none_or(|before| date.is_some_and(|date| date <= before))
        };
        self.instrument == earlier.instrument
            && self.legal_basis == earlier.legal_basis
            && self.handling == earlier.handling
            && self.evaluation == earlier.evaluation
            && self.purposes.iter().all(|it| earlier.purposes.contains(it))
            && self.retain_until <= earlier.retain_until
            && no_later(self.sunset, earlier.sunset)
            && no_later(self.review, earlier.review)
            && (self.onward == earlier.onward || self.onward == Onward::Prohibited)
            && earlier
                .restrictions
                .iter()
                .all(|it| self.restrictions.contains(it))
            && (self.use_report || !earlier.use_report)
    }

    /// These terms, with retention, use and review ended by this day at the latest.
    #[must_use]
    pub fn ending(mut self, last: Date) -> Self {
        self.retain_until = self.retain_until.min(last);
        self.sunset = self.sunset.map(|it| it.min(last));
        self.review = self.review.map(|it| it.min(last));
        self
    }

    /// The last millisecond at which the package may be used: the end of its sunset day, or of retention.
    pub fn usable_until(&self) -> Timestamp {
        let last = self
            .sunset
            .map_or(self.retain_until, |sunset| sunset.min(self.retain_until));
        last.end_of_day()
    }

    /// The purposes as one list for people.
    pub fn purposes_text(&self) -> String {
        purpose::list(&self.purposes)
    }
}

fn check_list<T: Ord>(list: &'static str, codes: &[T]) -> Result<(), TermsFault> {
    if codes.len() > limits::TERM_CODES_MAX {
        return Err(TermsFault::TooMany {
            list,
            count: codes.len(),
        });
    }
    let ascending = codes.is_sorted_by(|a, b| a < b);
    ascending
        .then_some(())
        .ok_or(TermsFault::NotAscending(list))
}

/// An address that cannot carry free text: http or https, no query, fragment or escapes of control characters.
fn is_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"./:_~()-".contains(&b);
    text.len() <= limits::LEGAL_BASIS_BYTES_MAX
        && rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(allowed))
}

/// An optional field that is written must have a value: `null` would be a second spelling of its absence.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A list that is written has members, in ascending order, each once.
fn ascending<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Ord,
{
    let list = Vec::<T>::deserialize(from)?;
    if list.is_empty() || !list.is_sorted_by(|a, b| a < b) {
        return Err(de::Error::custom(
            "a list of terms is not empty, ascending and without doubles",
        ));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json;

    fn terms() -> Terms {
        let purposes = [Purpose::Prosecution, Purpose::Investigation];
        Terms::new(
            "EIO".parse().unwrap(),
            purposes,
            "2031-12-31".parse().unwrap(),
        )
    }

    fn check(change: impl FnOnce(&mut Terms), want: Option<&str>) {
        let mut terms = terms();
        change(&mut terms);
        match (terms.check(), want) {
            (Ok(()), None) => {}
            (Err(fault), Some(want)) if fault.to_string().contains(want) => {}
            (got, want) => panic!("{terms:?}: expected {want:?}, got {got:?}"),
        }
    }

    #[test]
    fn terms_that_contradict_themselves_are_refused() {
        let date = |text: &str| text.parse::<Date>().ok();
        let eli = |text: &str| Some(text.to_owned());
        check(|_| (), None);
        check(|t| t.purposes.clear(), Some("no purpose"));
        check(|t| t.purposes.reverse(), Some("ascending"));
        check(|t| t.purposes.push(Purpose::Prosecution), Some("ascending"));
        check(
            |t| t.purposes = vec![Purpose::Trial; 33],
            Some("at most 32"),
        );
        check(
            |t| t.restrictions = vec![Restriction::Return, Restriction::Confidential],
            Some("restrictions"),
        );
        check(|t| t.sunset = date("2031-12-31"), None);
        check(|t| t.sunset = date("2032-01-01"), Some("sunset"));
        check(|t| t.review = date("2030-01-01"), None);
        check(|t| t.review = date("2032-01-01"), Some("review"));
        for (information, want) in [
            (0, Some("1 to 4")),
            (1, None),
            (4, None),
            (5, Some("1 to 4")),
        ] {
            let source = Source::A;
            check(
                |t| {
                    t.evaluation = Some(Evaluation {
                        source,
                        information,
                    });
                },
                want,
            );
        }
        check(
            |t| t.legal_basis = eli("http://data.europa.eu/eli/dir/2014/41/oj"),
            None,
        );
        for bad in [
            "",
            "Art. 5",
            "ftp://x",
            "https://",
            "https://x/?q=a",
            "https://x/#y",
            "https://x y",
        ] {
            check(|t| t.legal_basis = eli(bad), Some("legal basis"));
        }
        let long = format!("https://{}", "a".repeat(249));
        check(|t| t.legal_basis = Some(long), Some("legal basis"));
    }

    #[test]
    fn terms_have_one_spelling() {
        let written = json::canonical(&terms());
        let text = String::from_utf8(written.clone()).unwrap();
        assert_eq!(
            text,
            r#"{"instrument":"EIO","onward":"prohibited","purposes":["investigation","prosecution"],"retain_until":"2031-12-31","use_report":false}"#
        );
        assert_eq!(
            json::parse_canonical::<Terms>(&written, 4096).unwrap(),
            terms()
        );
        for (from, to) in [
            ("\"use_report\":false", "\"use_report\":false,\"wish\":1"),
            (
                "\"use_report\":false",
                "\"sunset\":null,\"use_report\":false",
            ),
            ("\"retain_until\"", "\"restrictions\":[],\"retain_until\""),
            ("\"investigation\",", ""),
            (
                "\"investigation\",\"prosecution\"",
                "\"prosecution\",\"investigation\"",
            ),
            ("\"prosecution\"", "\"prosecution\",\"prosecution\""),
            ("\"investigation\"", "\"curiosity\""),
            ("2031-12-31", "2031-12-32"),
            ("\"prohibited\"", "\"allowed\""),
            ("\"EIO\"", "\"E I O\""),
            (",\"use_report\":false", ""),
        ] {
            let changed = text.replacen(from, to, 1);
            let read = json::parse_canonical::<Terms>(changed.as_bytes(), 4096);
            let shorter = from == "\"investigation\",";
            assert_eq!(read.is_ok(), shorter, "{changed}");
        }
    }

    #[test]
    fn a_list_has_at_most_32_codes() {
        let codes: Vec<u8> = (0..33).collect();
        assert_eq!(check_list("codes", &codes[..32]), Ok(()));
        let (list, count) = ("codes", 33);
        let fault = TermsFault::TooMany { list, count };
        assert_eq!(check_list("codes", &codes), Err(fault));
    }

    #[test]
    fn words_have_their_terms_of_odrl() {
        let name = |address: &'static str| address.rsplit('/').next();
        let onward = Onward::ALL.iter().map(|it| name(it.odrl()));
        assert!(onward.eq([Some("distribute"), Some("obtainConsent")]));
        let restrictions = Restriction::ALL.iter();
        let restrictions = restrictions.map(|it| it.odrl().and_then(name));
        assert!(restrictions.eq([
            Some("distribute"),
            Some("delete"),
            None,
            None,
            Some("inform"),
            Some("inform"),
            Some("transfer"),
            None,
            None,
            Some("purpose"),
            None,
            None,
        ]));
    }

    /// One change makes terms stricter, and its reverse looser.
    #[test]
    fn terms_are_within_others_where_they_permit_nothing_more() {
        let date = |text: &str| text.parse::<Date>().ok();
        let mut before = terms();
        before.onward = Onward::WithConsent;
        before.restrictions = vec![Restriction::Return];
        before.sunset = date("2030-06-30");
        assert!(before.is_within(&before));
        let stricter: [fn(&mut Terms); 9] = [
            |t| t.purposes.truncate(1),
            |t| t.retain_until = "2031-12-30".parse().unwrap(),
            |t| t.sunset = "2030-06-29".parse().ok(),
            |t| t.review = "2029-01-01".parse().ok(),
            |t| t.onward = Onward::Prohibited,
            |t| t.restrictions.push(Restriction::Speciality),
            |t| t.restrictions.insert(0, Restriction::Confidential),
            |t| t.use_report = true,
            |t| {
                t.review = "2028-01-01".parse().ok();
                t.onward = Onward::Prohibited;
            },
        ];
        for (at, change) in stricter.iter().enumerate() {
            let mut after = before.clone();
            change(&mut after);
            assert!(after.is_within(&before), "{at}");
            assert!(!before.is_within(&after), "{at}");
            assert!(after.is_within(&after), "{at}");
        }
        let other: [fn(&mut Terms); 4] = [
            |t| t.handling = Some(Handling::H0),
            |t| t.instrument = "MLA-2000".parse().unwrap(),
            |t| t.legal_basis = Some("http://data.europa.eu/eli/dir/2014/41/oj".to_owned()),
            |t| {
                t.evaluation = Some(Evaluation {
                    source: Source::A,
                    information: 1,
                });
            },
        ];
        for (at, change) in other.iter().enumerate() {
            let mut after = before.clone();
            change(&mut after);
            assert!(!after.is_within(&before), "{at}");
            assert!(!before.is_within(&after), "{at}");
        }
        // Stricter in one thing does not make up for looser in another.
        let mut mixed = before.clone();
        mixed.purposes.truncate(1);
        mixed.retain_until = "2032-01-01".parse().unwrap();
        assert!(!mixed.is_within(&before));
    }

    #[test]
    fn an_evaluation_is_shown_as_on_reports() {
        let of = |source, information| Evaluation {
            source,
            information,
        };
        assert_eq!(of(Source::B, 2).to_string(), "B2");
        assert_eq!(of(Source::X, 4).to_string(), "X4");
    }

    #[test]
    fn use_ends_with_the_earlier_date() {
        let mut terms = terms();
        assert_eq!(terms.usable_until(), terms.retain_until.end_of_day());
        terms.sunset = "2027-01-01".parse().ok();
        assert_eq!(terms.usable_until().to_string(), "2027-01-01T23:59:59.999Z");
    }
}
