//! Sizes and durations as people write them: a whole number and its unit.

use std::time::Duration;

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Bytes a second would divide by eight, so bits a second are kept.
const RATES: &[(&str, u64)] = &[
    ("kbit/s", 1_000),
    ("Mbit/s", 1_000_000),
    ("Gbit/s", 1_000_000_000),
];

const DURATIONS_MS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
    ("week", 604_800_000),
    ("weeks", 604_800_000),
];

/// Reads a size such as `2 TiB` or `500 MB`, in bytes. The unit is required.
pub fn size(text: &str) -> Result<u64, String> {
    scaled(
        text,
        SIZES,
        "a size like \"20 GiB\" (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)",
    )
}

/// Reads a bandwidth such as `400 Mbit/s`, in bytes a second; `None` for `unlimited`.
pub fn bandwidth(text: &str) -> Result<Option<u64>, String> {
    if text == "unlimited" {
        return Ok(None);
    }
    let form = "a bandwidth like \"400 Mbit/s\" (kbit/s, Mbit/s, Gbit/s), or \"unlimited\"";
    scaled(text, RATES, form).map(|bits| Some(bits / 8))
}

/// Reads a duration such as `7 days` or `30 s`. The unit is required.
pub fn duration(text: &str) -> Result<Duration, String> {
    let form = "a duration like \"7 days\" (ms, s, min, h, days, weeks)";
    scaled(text, DURATIONS_MS, form).map(Duration::from_millis)
}

fn scaled(text: &str, units: &[(&str, u64)], form: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let scale = units.iter().find(|(name, _)| *name == unit);
    let Some((_, scale)) = scale else {
        return Err(format!("{text:?} is not {form}"));
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not {form}"))?;
    number
        .checked_mul(*scale)
        .ok_or_else(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0 B", Some(0)),
            ("2 TiB", Some(2 << 40)),
            ("20GiB", Some(20 << 30)),
            ("500 MB", Some(500_000_000)),
            ("64 KiB", Some(65_536)),
            ("1 kB", Some(1_000)),
            ("20", None),
            ("GiB", None),
            ("", None),
            ("1.5 GiB", None),
            ("-1 GiB", None),
            ("1  GiB", None),
            ("1 gib", None),
            ("1 GiB ", None),
            ("18446744073709551615 KiB", None),
            ("99999999999999999999 B", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text:?}");
        }
    }

    #[test]
    fn bandwidths() {
        for (text, bytes) in [
            ("unlimited", Some(None)),
            ("400 Mbit/s", Some(Some(50_000_000))),
            ("64 kbit/s", Some(Some(8_000))),
            ("1 Gbit/s", Some(Some(125_000_000))),
            ("400", None),
            ("400 MB/s", None),
            ("400 mbit/s", None),
            ("-1 Mbit/s", None),
            ("99999999999999999999 Gbit/s", None),
        ] {
            assert_eq!(bandwidth(text).ok(), bytes, "{text:?}");
        }
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("7 days", Some(604_800)),
            ("1 day", Some(86_400)),
            ("2 weeks", Some(1_209_600)),
            ("30 s", Some(30)),
            ("10 min", Some(600)),
            ("1 h", Some(3_600)),
            ("3000 ms", Some(3)),
            ("7", None),
            ("7 d", None),
            ("1 month", None),
            ("1 h 30 min", None),
        ] {
            assert_eq!(
                duration(text).ok(),
                seconds.map(Duration::from_secs),
                "{text:?}"
            );
        }
    }
}
