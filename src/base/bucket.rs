//! A token bucket: so much a second, and a little more at once. Time is an argument.

/// A budget that refills at a fixed rate. Amounts are bytes, offers or frames: whatever is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    per_second: u64,
    burst: u64,
    /// In millionths; below zero when more was taken than there was.
    level: i64,
    at_us: u64,
}

const MILLION: u64 = 1_000_000;

impl Bucket {
    /// A full bucket of `burst`, which gains `per_second`; either is at least 1.
    pub fn new(per_second: u64, burst: u64) -> Self {
        let burst = burst.max(1);
        Self {
            per_second: per_second.max(1),
            burst,
            level: millionths(burst),
            at_us: 0,
        }
    }

    /// Takes so much at this moment, in microseconds of any clock that does not go back. Whoever finds something in the
    /// bucket gets all that it asks for, and the next one waits until that is paid back.
    ///
    /// # Errors
    /// In how many microseconds there is something in the bucket again; nothing was taken.
    pub fn take(&mut self, now_us: u64, amount: u64) -> Result<(), u64> {
        self.gain(now_us);
        let whole = millionths(1);
        if self.level < whole {
            let lacking = self.level.abs_diff(whole);
            return Err(lacking.div_ceil(self.per_second).max(1));
        }
        self.level = self.level.saturating_sub(millionths(amount));
        Ok(())
    }

    /// Takes so much whether or not there is something in the bucket.
    pub fn charge(&mut self, now_us: u64, amount: u64) {
        self.gain(now_us);
        self.level = self.level.saturating_sub(millionths(amount));
    }

    /// How much is missing from a full bucket at this moment.
    pub fn missing(&mut self, now_us: u64) -> u64 {
        self.gain(now_us);
        let full = millionths(self.burst);
        u64::try_from(full.saturating_sub(self.level)).unwrap_or(0) / MILLION
    }

    fn gain(&mut self, now_us: u64) {
        let gained = now_us
            .saturating_sub(self.at_us)
            .saturating_mul(self.per_second);
        self.at_us = self.at_us.max(now_us);
        let gained = i64::try_from(gained).unwrap_or(i64::MAX);
        self.level = self
            .level
            .saturating_add(gained)
            .min(millionths(self.burst));
    }
}

fn millionths(amount: u64) -> i64 {
    i64::try_from(amount.saturating_mul(MILLION)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at these moments, in milliseconds; which are granted, and how long the others must wait, in microseconds.
    fn check(what: &str, bucket: &Bucket, takes: &[(u64, u64, Result<(), u64>)]) {
        let mut bucket = bucket.clone();
        for (ms, amount, want) in takes {
            let got = bucket.take(ms * 1_000, *amount);
            assert_eq!(got, *want, "{what}: {amount} at {ms} ms");
        }
    }

    #[test]
    fn so_much_a_second_and_a_burst() {
        let (two, kilo) = (Bucket::new(2, 3), Bucket::new(1_000, 100));
        let later = 366 * 24 * 3_600_000;
        check(
            "a burst, then one each half second",
            &two,
            &[
                (0, 1, Ok(())),
                (0, 1, Ok(())),
                (0, 1, Ok(())),
                (0, 1, Err(500_000)),
                (250, 1, Err(250_000)),
                (500, 1, Ok(())),
                (500, 1, Err(500_000)),
                (1_000, 1, Ok(())),
            ],
        );
        check(
            "no more than the burst is saved",
            &two,
            &[
                (later, 1, Ok(())),
                (later, 1, Ok(())),
                (later, 1, Ok(())),
                (later, 1, Err(500_000)),
            ],
        );
        check(
            "a debt is paid back first",
            &kilo,
            &[
                (0, 600, Ok(())),
                (0, 1, Err(501_000)),
                (500, 1, Err(1_000)),
                (501, 1, Ok(())),
                (501, 1, Err(1_000)),
            ],
        );
        check(
            "a clock that goes back gives nothing",
            &two,
            &[
                (1_000, 3, Ok(())),
                (0, 1, Err(500_000)),
                (1_000, 1, Err(500_000)),
                (1_500, 1, Ok(())),
            ],
        );
        check(
            "nothing a second is one a second",
            &Bucket::new(0, 0),
            &[(0, 1, Ok(())), (0, 1, Err(1_000_000)), (1_000, 1, Ok(()))],
        );
        check(
            "numbers without end do not overflow",
            &Bucket::new(u64::MAX, u64::MAX),
            &[
                (0, u64::MAX, Ok(())),
                (u64::MAX / 1_000, 1, Ok(())),
                (u64::MAX / 1_000, u64::MAX, Ok(())),
            ],
        );
    }

    #[test]
    fn what_passes_in_an_hour_is_the_rate() {
        let mut bucket = Bucket::new(50_000_000, 5_000_000);
        let (mut now, mut passed) = (0, 0_u64);
        while now < 3_600 * MILLION {
            match bucket.take(now, 65_536) {
                Ok(()) => passed += 65_536,
                Err(wait) => now += wait,
            }
        }
        let most = 3_600 * 50_000_000 + 5_000_000 + 65_536;
        assert!(passed <= most && passed > most - 6_000_000, "{passed}");
    }
}
