//! Lines of the log that anybody can cause: some of them, and then how many more there were.

use std::sync::{Mutex, PoisonError};

use crate::base::bucket::Bucket;

/// Lines at once, and lines a second after that.
const BURST: u64 = 50;
const PER_SECOND: u64 = 1;

/// How many lines may be written, and how many were not.
#[derive(Debug)]
pub(crate) struct Noise(Mutex<(Bucket, u64)>);

impl Default for Noise {
    fn default() -> Self {
        Self(Mutex::new((Bucket::new(PER_SECOND, BURST), 0)))
    }
}

impl Noise {
    /// Whether a line may be written now, and how many were not since the last.
    pub(crate) fn may_say(&self, now_us: u64) -> Option<u64> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (bucket, unsaid) = &mut *held;
        if bucket.take(now_us, 1).is_err() {
            *unsaid = unsaid.saturating_add(1);
            return None;
        }
        Some(std::mem::take(unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_instead_of_written() {
        let noise = Noise::default();
        let said = (0..10_000)
            .filter(|us| noise.may_say(*us).is_some())
            .count();
        assert_eq!(said, 50);
        assert_eq!(noise.may_say(1_000_000), Some(9_950));
        assert_eq!(noise.may_say(2_000_000), Some(0));
    }
}
