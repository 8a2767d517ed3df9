//! A quick look at bytes: surely canonical JSON, or perhaps not.

use crate::base::limits;

/// Whether these bytes are surely the one spelling (RFC 8785) of a value within our limits: in UTF-8, no fraction, no
/// integer beyond 2^53 − 1, no deeper than [`limits::JSON_DEPTH_MAX`]. In one pass and without memory.
///
/// `false` means "not surely": names outside ASCII and rare escapes are left to a closer look.
pub(super) fn is_canonical(bytes: &[u8]) -> bool {
    if std::str::from_utf8(bytes).is_err() {
        return false;
    }
    let mut scan = Scan { bytes, at: 0 };
    scan.value(limits::JSON_DEPTH_MAX) && scan.at == bytes.len()
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.skip(usize::from(byte.is_some()));
        byte
    }

    fn takes(&mut self, wanted: u8) -> bool {
        let is_there = self.bytes.get(self.at) == Some(&wanted);
        self.skip(usize::from(is_there));
        is_there
    }

    fn rest(&mut self, word: &[u8]) -> bool {
        let rest = self.bytes.get(self.at..);
        self.skip(word.len());
        rest.is_some_and(|rest| rest.starts_with(word))
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// A value that may hold arrays and objects `levels` deep.
    fn value(&mut self, levels: usize) -> bool {
        let inside = levels.checked_sub(1);
        match self.next() {
            Some(b'{') => inside.is_some_and(|levels| self.object(levels)),
            Some(b'[') => inside.is_some_and(|levels| self.array(levels)),
            Some(b'"') => self.string().is_some(),
            Some(b't') => self.rest(b"rue"),
            Some(b'f') => self.rest(b"alse"),
            Some(b'n') => self.rest(b"ull"),
            Some(b'0') => self.ends_number(),
            Some(b'-') => match self.next() {
                Some(digit @ b'1'..=b'9') => self.number(digit),
                Some(_) | None => false,
            },
            Some(digit @ b'1'..=b'9') => self.number(digit),
            Some(_) | None => false,
        }
    }

    /// Reads on after an opening brace.
    fn object(&mut self, levels: usize) -> bool {
        if self.takes(b'}') {
            return true;
        }
        let mut before: Option<&[u8]> = None;
        loop {
            if !self.takes(b'"') {
                return false;
            }
            // Names in ASCII without escapes are in the order of UTF-16 when they are in the order of bytes.
            let Some(name) = self.string() else {
                return false;
            };
            let is_plain = name.iter().all(|byte| byte.is_ascii() && *byte != b'\\');
            if !is_plain || before.is_some_and(|before| before >= name) {
                return false;
            }
            before = Some(name);
            if !self.takes(b':') || !self.value(levels) {
                return false;
            }
            match self.next() {
                Some(b',') => {}
                Some(b'}') => return true,
                Some(_) | None => return false,
            }
        }
    }

    /// Reads on after an opening bracket.
    fn array(&mut self, levels: usize) -> bool {
        if self.takes(b']') {
            return true;
        }
        loop {
            if !self.value(levels) {
                return false;
            }
            match self.next() {
                Some(b',') => {}
                Some(b']') => return true,
                Some(_) | None => return false,
            }
        }
    }

    /// Returns the text after an opening quotation mark as it is written, or nothing where it may not be the only
    /// spelling.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        loop {
            let end = self.at;
            match self.next()? {
                b'"' => return self.bytes.get(start..end),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    _ => return None,
                },
                0..b' ' => return None,
                _ => {}
            }
        }
    }

    /// The rest of an integer that begins with this digit.
    fn number(&mut self, first: u8) -> bool {
        // A digit's value is its low half. What saturates is above the limit.
        let mut value = i64::from(first & 0xf);
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            value = value.saturating_mul(10);
            value = value.saturating_add(i64::from(digit & 0xf));
            if value > limits::JSON_INTEGER_MAX {
                return false;
            }
            self.skip(1);
        }
        self.ends_number()
    }

    fn ends_number(&self) -> bool {
        !matches!(
            self.bytes.get(self.at),
            Some(b'0'..=b'9' | b'.' | b'e' | b'E')
        )
    }
}
