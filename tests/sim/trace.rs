//! The events, as a hash over all of them and the last lines.

use std::collections::VecDeque;
use std::fmt;

use rogatory::base::{Digest, Hasher};

const LINES_KEPT: usize = 60;

/// The trace of a run.
pub(crate) struct Trace {
    hasher: Hasher,
    last: VecDeque<String>,
    /// How many lines there were.
    pub(crate) lines: u64,
}

impl Trace {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let (hasher, last) = (Hasher::new(), VecDeque::new());
        let lines = 0;
        Self {
            hasher,
            last,
            lines,
        }
    }

    /// Adds a line, at this simulated millisecond.
    pub(crate) fn line(&mut self, now: u64, what: fmt::Arguments<'_>) {
        let line = format!("{now:>9} {what}\n");
        self.hasher.update(line.as_bytes());
        self.lines += 1;
        if self.last.len() == LINES_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Adds bytes to the hash alone.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The hash over everything, and the last lines.
    pub(crate) fn end(self) -> (Digest, String) {
        (self.hasher.finish(), self.last.into_iter().collect())
    }
}
