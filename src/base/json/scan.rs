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
    scan.value(0) && scan.at == bytes.len()
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn takes(&mut self, wanted: u8) -> bool {
        let is_there = self.bytes.get(self.at) == Some(&wanted);
        self.at += usize::from(is_there);
        is_there
    }

    fn rest(&mut self, word: &[u8]) -> bool {
        let is_there = self.bytes[self.at..].starts_with(word);
        self.at += word.len();
        is_there
    }

    /// A value inside `depth` arrays and objects.
    fn value(&mut self, depth: usize) -> bool {
        match self.next() {
            Some(b'{') => depth < limits::JSON_DEPTH_MAX && self.object(depth + 1),
            Some(b'[') => depth < limits::JSON_DEPTH_MAX && self.array(depth + 1),
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

    /// What follows an opening brace.
    fn object(&mut self, depth: usize) -> bool {
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
            if !self.takes(b':') || !self.value(depth) {
                return false;
            }
            match self.next() {
                Some(b',') => {}
                Some(b'}') => return true,
                Some(_) | None => return false,
            }
        }
    }

    /// What follows an opening bracket.
    fn array(&mut self, depth: usize) -> bool {
        if self.takes(b']') {
            return true;
        }
        loop {
            if !self.value(depth) {
                return false;
            }
            match self.next() {
                Some(b',') => {}
                Some(b']') => return true,
                Some(_) | None => return false,
            }
        }
    }

    /// What follows an opening quotation mark, as it is written; nothing where it is not surely the one spelling.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        loop {
            match self.next()? {
                b'"' => return Some(&self.bytes[start..self.at - 1]),
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
        let mut value = i64::from(first - b'0');
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            value = value * 10 + i64::from(digit - b'0');
            if value > limits::JSON_INTEGER_MAX {
                return false;
            }
            self.at += 1;
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
