//! Lists that may be long: a part never passes for the whole.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where a list goes on. What it counts is the business of whoever made the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(i64);

/// No place in any list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list goes on where its `more` says, and nowhere else")]
pub struct CursorFault;

/// A part of a list. Its items come only together with the answer to whether there are more.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page<T> {
    items: Vec<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    more: Option<Cursor>,
}

impl Cursor {
    /// The place of the item with this number.
    pub const fn at(number: i64) -> Self {
        Self(number)
    }

    /// The number of the item that it stands at.
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl FromStr for Cursor {
    type Err = CursorFault;

    fn from_str(text: &str) -> Result<Self, CursorFault> {
        let number = text.parse().map(Self).map_err(|_| CursorFault)?;
        // One spelling each.
        if format!("{number}") == text {
            Ok(number)
        } else {
            Err(CursorFault)
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl<T> Page<T> {
    /// Of numbered items, the first `most`: whoever read them has asked for one more than that.
    pub fn cut(mut numbered: Vec<(i64, T)>, most: usize) -> Self {
        let goes_on = numbered.len() > most;
        numbered.truncate(most);
        let last = numbered.last().filter(|_| goes_on);
        Self {
            more: last.map(|(number, _)| Cursor(*number)),
            items: numbered.into_iter().map(|(_, item)| item).collect(),
        }
    }

    /// These items, and where the list goes on, if it does.
    pub const fn new(items: Vec<T>, more: Option<Cursor>) -> Self {
        Self { items, more }
    }

    /// The items, and where the list goes on: `None` at its end.
    pub fn into_parts(self) -> (Vec<T>, Option<Cursor>) {
        (self.items, self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_where_the_list_goes_on_and_the_last_that_it_does_not() {
        let numbered = |count: i64| (1..=count).map(|at| (at, at * 10)).collect::<Vec<_>>();
        for (count, items, more) in [
            (0, &[][..], None),
            (1, &[10], None),
            (2, &[10, 20], None),
            (3, &[10, 20], Some(Cursor(2))),
        ] {
            let (got, goes_on) = Page::cut(numbered(count), 2).into_parts();
            assert_eq!((got.as_slice(), goes_on), (items, more), "{count}");
        }
    }

    #[test]
    fn a_page_as_json() {
        let page = Page::new(vec![1, 2], Some(Cursor(-7)));
        let json = serde_json::to_string(&page).unwrap();
        assert_eq!(json, r#"{"items":[1,2],"more":"-7"}"#);
        assert_eq!(serde_json::from_str::<Page<u8>>(&json).unwrap(), page);
        for bad in [
            "",
            " 7",
            "+7",
            "07",
            "-0",
            "7.0",
            "9223372036854775808",
            "x",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorFault), "{bad:?}");
        }
    }
}
