//! Time as a value: nothing in the pure modules reads a clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant of civil time, UTC, in whole milliseconds; written `2026-11-23T09:00:00.000Z` (RFC 3339).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text is no time or date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not {1}")]
pub struct TimeFault(String, &'static str);

/// From the first instant of the year 0000, the first that RFC 3339 can write, to 9999-12-30T22:00:00.000Z, the last
/// that the calendar has.
const MILLIS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_207_200_000;

impl Timestamp {
    /// The instant this many milliseconds after 1970, kept between the year 0000 and the last day but one of 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(*MILLIS.start(), *MILLIS.end()))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This instant and so many milliseconds.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// How far apart two instants are, in milliseconds.
    pub const fn distance_ms(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }

    /// The day, UTC.
    pub fn date(self) -> Date {
        Date(self.jiff().to_zoned(jiff::tz::TimeZone::UTC).date())
    }

    #[expect(
        clippy::expect_used,
        reason = "`from_millis` alone makes a timestamp, and `MILLIS` is within jiff's calendar"
    )]
    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).expect("within the calendar")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.3}", self.jiff()))
    }
}

impl FromStr for Timestamp {
    type Err = TimeFault;

    /// Reads exactly the form that is written, and nothing else.
    fn from_str(text: &str) -> Result<Self, TimeFault> {
        let fault = || {
            TimeFault(
                text.chars().take(40).collect(),
                "a time like 2026-11-23T09:00:00.000Z",
            )
        };
        let parsed: jiff::Timestamp = text.parse().map_err(|_| fault())?;
        let time = Self::from_millis(parsed.as_millisecond());
        (time.to_string() == text).then_some(time).ok_or_else(fault)
    }
}

/// A civil date. As a term of a package it means the end of that day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(jiff::civil::Date);

impl Date {
    /// The last millisecond of this day, UTC.
    pub fn end_of_day(self) -> Timestamp {
        let end = self
            .0
            .at(23, 59, 59, 999_000_000)
            .to_zoned(jiff::tz::TimeZone::UTC);
        Timestamp::from_millis(end.map_or(*MILLIS.end(), |end| end.timestamp().as_millisecond()))
    }

    /// This day and so many days.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        let span = jiff::Span::new().try_days(days).unwrap_or_default();
        Self(self.0.saturating_add(span))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl FromStr for Date {
    type Err = TimeFault;

    fn from_str(text: &str) -> Result<Self, TimeFault> {
        let fault = || TimeFault(text.chars().take(40).collect(), "a date like 2031-12-31");
        let date = Self(text.parse().map_err(|_| fault())?);
        (date.to_string() == text).then_some(date).ok_or_else(fault)
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text! { Timestamp Date }

/// Milliseconds since the process started, for timers: never goes back, printable, replayable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// This instant and so many milliseconds.
    #[must_use]
    pub const fn plus_ms(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_spelling() {
        let time: Timestamp = "2026-11-23T09:00:00.000Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-23T09:00:00.000Z");
        assert_eq!(time.date().to_string(), "2026-11-23");
        for bad in [
            "2026-11-23T09:00:00Z",
            "2026-11-23T09:00:00.0000Z",
            "2026-11-23T10:00:00.000+01:00",
            "now",
            "",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_and_the_last_time_can_be_written() {
        for (millis, text) in [
            (i64::MIN, "0000-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-30T22:00:00.000Z"),
        ] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
        }
        let last: Date = "9999-12-31".parse().unwrap();
        assert_eq!(last.end_of_day(), Timestamp::from_millis(i64::MAX));
        assert_eq!(last.plus_days(i64::MAX), last);
    }

    #[test]
    fn a_date_ends_with_its_day() {
        let date: Date = "2031-12-31".parse().unwrap();
        assert_eq!(date.end_of_day().to_string(), "2031-12-31T23:59:59.999Z");
        assert_eq!(date.plus_days(1).to_string(), "2032-01-01");
        for bad in ["2031-2-1", "2031-02-30", "31.12.2031", "20311231"] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }
}
