//! The header of an age file (C2SP age v1): where it ends, and which recipient stanzas it may have.
//!
//! A package is for the recipients of one card: as many X25519 stanzas as that card has recipients, and at most one
//! grease stanza. Everything else is refused before a key is touched: a passphrase stanza would let anyone who guesses
//! read on, a stanza of another kind would be a recipient whom nobody named.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::base::limits;

/// Why bytes are not the header of a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// The first line is not that of age version 1.
    #[error("not an age v1 file: its first line is not \"age-encryption.org/v1\"")]
    Version,
    /// No MAC line within [`limits::HEADER_BYTES_MAX`].
    #[error("the age header has no end within 65,536 bytes")]
    TooLong,
    /// The last line is not `--- ` and 43 characters of base64.
    #[error("the age header does not end with a MAC line as age v1 has it")]
    MacLine,
    /// A stanza breaks the grammar of age v1.
    #[error("stanza {number} of the age header is malformed: {why}")]
    Stanza {
        /// Which, from 1.
        number: usize,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// More stanzas than [`limits::HEADER_STANZAS_MAX`].
    #[error("the age header has more than 8 stanzas")]
    TooManyStanzas,
    /// A passphrase can open it.
    #[error("the age header has a scrypt stanza: packages are never sealed with a passphrase")]
    Passphrase,
    /// A post-quantum hybrid recipient, which this version does not take.
    #[error(
        "the age header has a hybrid post-quantum stanza ({name}), which this version does not take"
    )]
    Hybrid {
        /// The stanza's name.
        name: String,
    },
    /// Any other recipient type: plugins, SSH keys, unknown ones.
    #[error("the age header has a stanza for a plugin or an unknown recipient type: {name:?}")]
    Plugin {
        /// The stanza's name.
        name: String,
    },
    /// More than one grease stanza.
    #[error("the age header has more than one grease stanza")]
    Grease,
    /// Not as many X25519 stanzas as recipients.
    #[error("the age header is for {found} recipients where {expected} were expected")]
    Recipients {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
}

impl HeaderFault {
    /// The cause as a stable kebab-case word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Version => "header-version",
            Self::TooLong => "header-too-long",
            Self::MacLine => "header-mac-line",
            Self::Stanza { .. } => "header-stanza",
            Self::TooManyStanzas => "header-too-many-stanzas",
            Self::Passphrase => "header-passphrase",
            Self::Hybrid { .. } => "header-hybrid",
            Self::Plugin { .. } => "header-plugin",
            Self::Grease => "header-grease",
            Self::Recipients { .. } => "header-recipients",
        }
    }
}

/// The first line of every header.
pub const VERSION: &[u8] = b"age-encryption.org/v1\n";
/// `--- `, 32 bytes as unpadded base64, newline.
const MAC_LINE_BYTES: usize = 4 + 43 + 1;

/// The length of the header that these bytes start with, its MAC line and that line's newline included; `None` while it
/// is not complete. Fails as soon as the bytes cannot become a header of at most 64 KiB.
pub fn split(bytes: &[u8]) -> Result<Option<usize>, HeaderFault> {
    if !bytes.starts_with(VERSION) && !VERSION.starts_with(bytes) {
        return Err(HeaderFault::Version);
    }
    let window = bytes.get(..limits::HEADER_BYTES_MAX).unwrap_or(bytes);
    let before = window.windows(5).position(|five| five == b"\n--- ");
    // The newline before it ends the last stanza.
    let parts = before.and_then(|at| bytes.split_at_checked(at.checked_add(1)?));
    let Some((stanzas, rest)) = parts else {
        return if bytes.len() < limits::HEADER_BYTES_MAX {
            Ok(None)
        } else {
            Err(HeaderFault::TooLong)
        };
    };
    let end = stanzas.len().saturating_add(MAC_LINE_BYTES);
    if end > limits::HEADER_BYTES_MAX {
        return Err(HeaderFault::TooLong);
    }
    let line = rest.get(..MAC_LINE_BYTES).unwrap_or(rest);
    match line.iter().position(|byte| *byte == b'\n') {
        None if line.len() < MAC_LINE_BYTES => Ok(None),
        Some(at) if at == MAC_LINE_BYTES - 1 => Ok(Some(end)),
        Some(_) | None => Err(HeaderFault::MacLine),
    }
}

/// Checks that this is a whole header by the grammar of age v1, of at most [`limits::HEADER_STANZAS_MAX`] stanzas of
/// whatever kind. (The age crate takes stanzas without a last line too.)
pub fn check_grammar(header: &[u8]) -> Result<(), HeaderFault> {
    stanzas(header).map(|_| ())
}

/// Checks that this is a whole header by the grammar of age v1, with X25519 stanzas for exactly `expected_recipients`
/// and at most one grease stanza. Keys and MAC are not looked at: that needs the identity.
pub fn check(header: &[u8], expected_recipients: usize) -> Result<(), HeaderFault> {
    let (mut found, mut grease) = (0_usize, 0_usize);
    for (stanza, number) in stanzas(header)?.iter().zip(1..) {
        match stanza.kind()? {
            Kind::Grease => grease = grease.saturating_add(1),
            Kind::X25519 => {
                stanza
                    .check_x25519()
                    .map_err(|why| HeaderFault::Stanza { number, why })?;
                found = found.saturating_add(1);
            }
        }
    }
    if grease > 1 {
        return Err(HeaderFault::Grease);
    }
    if found != expected_recipients {
        return Err(HeaderFault::Recipients {
            found,
            expected: expected_recipients,
        });
    }
    Ok(())
}

fn stanzas(header: &[u8]) -> Result<Vec<Stanza<'_>>, HeaderFault> {
    if split(header)? != Some(header.len()) {
        return Err(HeaderFault::MacLine);
    }
    let parts = header.split_last_chunk::<MAC_LINE_BYTES>();
    let (body, mac) = parts.ok_or(HeaderFault::MacLine)?;
    let mac_text = &mac[4..MAC_LINE_BYTES - 1];
    if decoded(mac_text).is_none_or(|mac| mac.len() != 32) {
        return Err(HeaderFault::MacLine);
    }
    let body = body.strip_prefix(VERSION).ok_or(HeaderFault::Version)?;
    let mut lines = body.split_inclusive(|byte| *byte == b'\n');
    let mut stanzas = Vec::new();
    while let Some(first) = lines.next() {
        let number = stanzas.len().saturating_add(1);
        if number > limits::HEADER_STANZAS_MAX {
            return Err(HeaderFault::TooManyStanzas);
        }
        let stanza = Stanza::read(first, &mut lines);
        stanzas.push(stanza.map_err(|why| HeaderFault::Stanza { number, why })?);
    }
    Ok(stanzas)
}

enum Kind {
    X25519,
    Grease,
}

struct Stanza<'a> {
    name: &'a str,
    arguments: Vec<&'a str>,
    body: Vec<u8>,
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

impl<'a> Stanza<'a> {
    fn read(
        first: &'a [u8],
        lines: &mut impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, &'static str> {
        let words = first
            .strip_prefix(b"-> ")
            .and_then(|rest| rest.strip_suffix(b"\n"))
            .ok_or("its first line does not start with \"-> \"")?;
        let words = std::str::from_utf8(words).map_err(|_| "its first line is not ASCII")?;
        let mut words = words.split(' ').map(|word| {
            let good = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
            good.then_some(word)
                .ok_or("a word of its first line is empty or not ASCII")
        });
        let name = words.next().ok_or("it has no name")??;
        let arguments = words.collect::<Result<_, _>>()?;
        let mut body = Vec::new();
        loop {
            let line = lines
                .next()
                .and_then(|line| line.strip_suffix(b"\n"))
                .ok_or("its body has no last line")?;
            if line.len() > 64 {
                return Err("a line of its body is longer than 64 characters");
            }
            body.extend(decoded(line).ok_or("its body is not canonical base64")?);
            if line.len() < 64 {
                return Ok(Self {
                    name,
                    arguments,
                    body,
                });
            }
        }
    }

    fn kind(&self) -> Result<Kind, HeaderFault> {
        let name = || self.name.chars().take(64).collect();
        match self.name {
            "X25519" => Ok(Kind::X25519),
            "scrypt" => Err(HeaderFault::Passphrase),
            grease if grease.ends_with("-grease") => Ok(Kind::Grease),
            hybrid if hybrid.starts_with("mlkem") => Err(HeaderFault::Hybrid { name: name() }),
            _ => Err(HeaderFault::Plugin { name: name() }),
        }
    }

    fn check_x25519(&self) -> Result<(), &'static str> {
        let [share] = self.arguments[..] else {
            return Err("an X25519 stanza has exactly one argument");
        };
        if decoded(share.as_bytes()).is_none_or(|share| share.len() != 32) {
            return Err("its share is not 32 bytes of canonical base64");
        }
        if self.body.len() != 32 {
            return Err("its wrapped file key is not 32 bytes");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\nhjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n";
    const MAC: &str = "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n";

    fn header(stanzas: &[&str]) -> Vec<u8> {
        format!("age-encryption.org/v1\n{}{MAC}", stanzas.concat()).into_bytes()
    }

    fn check_stanzas(stanzas: &[&str], expected: usize, part_of_fault: Option<&str>) {
        let found = check(&header(stanzas), expected)
            .err()
            .map(|f| f.to_string());
        match (found, part_of_fault) {
            (None, None) => {}
            (Some(found), Some(part)) if found.contains(part) => {}
            (found, wanted) => panic!("{stanzas:?}: {found:?}, wanted {wanted:?}"),
        }
    }

    #[test]
    fn only_expected_stanzas_pass() {
        let grease = "-> )[Qm-grease A b\nAAAA\n";
        let full = format!("-> x-grease\n{}\n\n", "A".repeat(64));
        let unfinished = format!("-> x-grease\n{}\n", "A".repeat(64));
        let many = vec![X; 9];
        check_stanzas(&[X], 1, None);
        check_stanzas(&[X, X], 2, None);
        check_stanzas(&[X, grease], 1, None);
        check_stanzas(&[grease, X], 1, None);
        check_stanzas(&[X, &full], 1, None);
        for (stanzas, expected, part) in [
            (&[X][..], 2, "for 1 recipients where 2"),
            (&[X, X], 1, "for 2 recipients where 1"),
            (&[], 1, "for 0 recipients"),
            (&[X, grease, grease], 1, "more than one grease"),
            (&many, 9, "more than 8"),
            (
                &[
                    X,
                    "-> scrypt bBjlhJVYZeE4aqUdmtRHfw 18\nZV/AhotwSGqaPCU43cepl4WYUouAa17a3xpu4G2yi5k\n",
                ],
                1,
                "passphrase",
            ),
            (&[X, "-> mlkem768x25519 AAAA\nAAAA\n"], 1, "hybrid"),
            (&[X, "-> piv-p256 AAAA\nAAAA\n"], 1, "plugin"),
            (&[X, "-> ssh-ed25519 AAAA\nAAAA\n"], 1, "plugin"),
            (&[X, "-> grease\n\n"], 1, "plugin"),
            (&[X, "-> x25519 AAAA\nAAAA\n"], 1, "plugin"),
            (&[X, "->x-grease\n\n"], 1, "stanza 2"),
            (&[X, "-> x-grease  a\n\n"], 1, "empty"),
            (&[X, "-> x-grease \n\n"], 1, "empty"),
            (&[X, "-> x-grease é\n\n"], 1, "not ASCII"),
            (&[X, "-> x-grease\nAAA=\n"], 1, "base64"),
            (&[X, "-> x-grease\nAAB\n"], 1, "base64"),
            (&[X, &unfinished], 1, "no last line"),
            (&[&X.replace("FLE\n", "FLEA\n")], 1, "not 32 bytes"),
            (&[&X.replace("OCc\n", "OCc a\n")], 1, "exactly one argument"),
            (&[&X.replace("OCc\n", "OCd\n")], 1, "canonical"),
            (&[&X.replace("OCc\n", "\n")], 1, "share"),
            (&["x\n", X], 1, "stanza 1"),
        ] {
            check_stanzas(stanzas, expected, Some(part));
        }
    }

    #[test]
    fn the_header_ends_with_its_mac_line() {
        let whole = header(&[X]);
        let file = [&whole[..], b"nonce and payload\n--- x\n"].concat();
        for cut in 0..whole.len() {
            assert_eq!(split(&file[..cut]), Ok(None), "{cut}");
        }
        for cut in whole.len()..=file.len() {
            assert_eq!(split(&file[..cut]), Ok(Some(whole.len())), "{cut}");
        }
        assert_eq!(
            check(&file, 1),
            Err(HeaderFault::MacLine),
            "more than a header"
        );
        assert_eq!(
            check(&whole[..whole.len() - 1], 1),
            Err(HeaderFault::MacLine)
        );
        assert_eq!(split(b"age-encryption.org/v2\n"), Err(HeaderFault::Version));
        assert_eq!(
            split(b"-----BEGIN AGE ENCRYPTED FILE-----\n"),
            Err(HeaderFault::Version)
        );
        let text = String::from_utf8(whole).unwrap();
        for bad in [
            text.replace("hrcNg", "hrcN"),
            text.replace("hrcNg", "hrcNgA"),
            text.replace("hrcNg\n", "hrcNg\r\n"),
        ] {
            assert_eq!(split(bad.as_bytes()), Err(HeaderFault::MacLine), "{bad}");
        }
        let bad = text.replace("hrcNg", "hrcNh");
        assert_eq!(
            check(bad.as_bytes(), 1),
            Err(HeaderFault::MacLine),
            "trailing bits"
        );
    }

    #[test]
    fn an_endless_header_is_refused_at_its_limit() {
        let endless = "age-encryption.org/v1\n-> x-grease ".to_owned()
            + &"a".repeat(limits::HEADER_BYTES_MAX);
        assert_eq!(
            split(&endless.as_bytes()[..limits::HEADER_BYTES_MAX - 1]),
            Ok(None)
        );
        assert_eq!(split(endless.as_bytes()), Err(HeaderFault::TooLong));
        let late = endless + "\n\n" + MAC;
        assert_eq!(split(late.as_bytes()), Err(HeaderFault::TooLong));
    }
}
