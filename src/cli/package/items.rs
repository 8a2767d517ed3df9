//! Terms of items, from a file that an officer writes.

use std::path::Path;

use serde::Deserialize;

use crate::api::types::ItemWish;
use crate::base::{Date, limits};
use crate::cli::failure::Failure;
use crate::cli::input;
use crate::package::ItemPath;
use crate::package::item_terms::{self, ItemTermsFault};
use crate::policy::{Evaluation, Handling, Onward, Purpose, Restriction, Terms};

/// The longest such file.
const FILE_BYTES_MAX: usize = 256 << 10;

/// The file: `[[item]]` tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    item: Vec<Written>,
}

/// An item or a folder, and what is stricter for it than for the package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: ItemPath,
    /// Those that remain.
    purposes: Option<Vec<Purpose>>,
    /// Those that are added.
    #[serde(default)]
    restrictions: Vec<Restriction>,
    sunset: Option<Date>,
    onward: Option<Onward>,
    handling: Option<Handling>,
    evaluation: Option<Evaluation>,
}

impl Written {
    fn terms(self, package: &Terms) -> Result<ItemWish, Failure> {
        let mut terms = package.clone();
        if let Some(purposes) = self.purposes {
            terms.purposes = purposes;
            terms.purposes.sort_unstable();
            terms.purposes.dedup();
        }
        terms.restrictions.extend(self.restrictions);
        terms.restrictions.sort_unstable();
        terms.restrictions.dedup();
        terms.sunset = self.sunset.or(terms.sunset);
        terms.onward = self.onward.unwrap_or(terms.onward);
        terms.handling = self.handling.or(terms.handling);
        terms.evaluation = self.evaluation.or(terms.evaluation);
        let path = self.path;
        item_terms::check_one(&path, &terms, package).map_err(|e| refused(&e))?;
        Ok(ItemWish { path, terms })
    }
}

fn refused(fault: &ItemTermsFault) -> Failure {
    Failure::usage(fault.code(), fault.to_string())
}

/// Reads the file; what it does not say of an item is as for the package.
pub(super) fn read(path: &Path, package: &Terms) -> Result<Vec<ItemWish>, Failure> {
    let bytes = input::read_limited(path, FILE_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|e| unreadable(&e.to_string()))?;
    parse(&text, package)
}

fn unreadable(why: &str) -> Failure {
    Failure::usage("item-terms-unreadable", why).next(
        "write [[item]] tables with path, and purposes, restrictions, sunset, onward, handling or evaluation",
    )
}

fn parse(text: &str, package: &Terms) -> Result<Vec<ItemWish>, Failure> {
    let file: File = toml::from_str(text).map_err(|e| unreadable(&e.to_string()))?;
    if file.item.len() > limits::ITEM_TERMS_MAX {
        return Err(refused(&ItemTermsFault::TooMany(file.item.len())));
    }
    let apart = item_terms::check_apart(file.item.iter().map(|it| &it.path));
    apart.map_err(|e| refused(&e))?;
    file.item.into_iter().map(|it| it.terms(package)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Source;

    fn package() -> Terms {
        let purposes = [Purpose::Prosecution, Purpose::Trial];
        let last = "2031-12-31".parse().unwrap();
        let mut terms = Terms::new("EIO".parse().unwrap(), purposes, last);
        terms.onward = Onward::WithConsent;
        terms.restrictions = vec![Restriction::Confidential];
        terms
    }

    #[test]
    fn what_is_said_of_an_item_is_stricter() {
        let text = r#"
            [[item]]
            path = "dossier/interview.txt"
            purposes = ["trial"]
            restrictions = ["vulnerable-persons"]
            sunset = "2027-06-30"
            onward = "prohibited"
            handling = "H2"

            [[item]]
            path = "mail"
            evaluation = { source = "B", information = 2 }
        "#;
        let read = parse(text, &package()).unwrap();
        let [interview, mail] = read.as_slice() else {
            panic!("{read:?}");
        };
        assert_eq!(interview.terms.purposes, [Purpose::Trial]);
        let restrictions = [Restriction::Confidential, Restriction::VulnerablePersons];
        assert_eq!(interview.terms.restrictions, restrictions);
        assert_eq!(interview.terms.handling, Some(Handling::H2));
        let evaluated = Terms {
            evaluation: Some(Evaluation {
                source: Source::B,
                information: 2,
            }),
            ..package()
        };
        assert_eq!((mail.path.as_str(), &mail.terms), ("mail", &evaluated));
    }

    #[test]
    fn what_is_looser_or_wrong_is_refused() {
        for (more, code) in [
            ("purposes = [\"civil-claim\"]", "item-terms-looser"),
            ("purposes = []", "item-terms-contradict"),
            ("sunset = \"2040-01-01\"", "item-terms-contradict"),
            ("retain_until = \"2030-01-01\"", "item-terms-unreadable"),
            ("use_report = true", "item-terms-unreadable"),
            ("purposes = [\"trail\"]", "item-terms-unreadable"),
        ] {
            let text = format!("[[item]]\npath = \"a\"\n{more}");
            let fault = parse(&text, &package()).unwrap_err();
            assert_eq!((fault.code, fault.error.as_str()), (2, code), "{more}");
        }
        let nested = "[[item]]\npath = \"a\"\n[[item]]\npath = \"a/b\"\n";
        assert_eq!(
            parse(nested, &package()).unwrap_err().error,
            "item-terms-order"
        );
        let many = "[[item]]\npath = \"a\"\n".repeat(65);
        assert_eq!(
            parse(&many, &package()).unwrap_err().error,
            "item-terms-too-many"
        );
    }
}
