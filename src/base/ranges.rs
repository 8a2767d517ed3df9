//! Sets of segment numbers, kept as ascending runs.

use serde::{Deserialize, Serialize};

/// `count` segments from `first`; in JSON the pair `[first, count]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Range {
    /// The first segment.
    pub first: u64,
    /// How many segments, at least one.
    pub count: u64,
}

impl From<(u64, u64)> for Range {
    fn from((first, count): (u64, u64)) -> Self {
        Self { first, count }
    }
}

impl From<Range> for (u64, u64) {
    fn from(range: Range) -> Self {
        (range.first, range.count)
    }
}

impl Range {
    /// The first segment after the run.
    pub const fn end(self) -> u64 {
        self.first.saturating_add(self.count)
    }
}

/// A set of segments as ascending runs that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Ranges(Vec<Range>);

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let runs = Vec::deserialize(from)?;
        Self::from_runs(runs)
            .ok_or_else(|| serde::de::Error::custom("runs must ascend and not touch"))
    }
}

impl Ranges {
    /// No segment.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Every segment below `count`.
    pub fn all(count: u64) -> Self {
        let mut all = Self::empty();
        if count > 0 {
            all.0.push(Range { first: 0, count });
        }
        all
    }

    /// The set of these runs, if they ascend, are not empty, do not touch and do not overflow.
    pub fn from_runs(runs: Vec<Range>) -> Option<Self> {
        let whole = runs
            .iter()
            .all(|run| run.count > 0 && run.first.checked_add(run.count).is_some());
        let apart = runs
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.end() < b.first));
        (whole && apart).then_some(Self(runs))
    }

    /// The runs, ascending.
    pub fn runs(&self) -> &[Range] {
        &self.0
    }

    /// How many segments are in the set.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|run| run.count).sum()
    }

    /// Whether no segment is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this segment is in the set.
    pub fn contains(&self, segment: u64) -> bool {
        let after = self.0.partition_point(|run| run.first <= segment);
        let begun = self.0.get(..after).and_then(<[_]>::last);
        begun.is_some_and(|run| run.end() > segment)
    }

    /// Adds one segment.
    pub fn insert(&mut self, segment: u64) {
        self.add(Range {
            first: segment,
            count: 1,
        });
    }

    /// Adds a run.
    pub fn add(&mut self, run: Range) {
        if run.count == 0 {
            return;
        }
        // What it touches or overlaps becomes one with it.
        let from = self.0.partition_point(|it| it.end() < run.first);
        let to = self.0.partition_point(|it| it.first <= run.end());
        let joined = self.0.get(from..to).unwrap_or_default();
        let first = joined
            .first()
            .map_or(run.first, |it| it.first.min(run.first));
        let end = joined
            .last()
            .map_or_else(|| run.end(), |it| it.end().max(run.end()));
        let count = end.saturating_sub(first);
        self.0.splice(from..to.max(from), [Range { first, count }]);
    }

    /// Closes the smallest gaps until there are at most `runs_max` runs: the set holds more then, and nothing less.
    pub fn coarsen(&mut self, runs_max: usize) {
        while self.0.len() > runs_max.max(1) {
            let gap = |pair: &[Range]| match pair {
                [a, b] => b.first.saturating_sub(a.end()),
                _ => u64::MAX,
            };
            let at = (0_usize..)
                .zip(self.0.windows(2))
                .min_by_key(|(_, pair)| gap(pair));
            let Some((at, [a, b])) = at else {
                return;
            };
            let (first, end) = (a.first, b.end());
            let count = end.saturating_sub(first);
            self.0
                .splice(at..at.saturating_add(2), [Range { first, count }]);
        }
    }

    /// The segments below `count` that are not in the set, in at most `runs_max` runs: the lowest ones.
    #[must_use]
    pub fn missing(&self, count: u64, runs_max: usize) -> Self {
        let mut gaps = Vec::new();
        let mut next = 0;
        for run in &self.0 {
            if run.first > next {
                gaps.push(Range {
                    first: next,
                    count: run.first.min(count).saturating_sub(next),
                });
            }
            next = run.end();
            if next >= count {
                break;
            }
        }
        if next < count {
            gaps.push(Range {
                first: next,
                count: count.saturating_sub(next),
            });
        }
        gaps.truncate(runs_max);
        Self(gaps)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_runs_is_a_set(inserted in proptest::collection::vec(0_u64..40, 0..60)) {
            let mut runs = Ranges::empty();
            let mut model = BTreeSet::new();
            for segment in inserted {
                runs.insert(segment);
                model.insert(segment);
            }
            prop_assert_eq!(runs.len(), model.len() as u64);
            prop_assert_eq!(Ranges::from_runs(runs.runs().to_vec()), Some(runs.clone()));
            let missing = runs.missing(40, usize::MAX);
            for segment in 0..40 {
                prop_assert_eq!(runs.contains(segment), model.contains(&segment));
                prop_assert_eq!(missing.contains(segment), !model.contains(&segment));
            }
        }

        #[test]
        fn runs_that_are_added_are_the_set_of_all(added in proptest::collection::vec((0_u64..40, 0_u64..9), 0..20), runs_max in 1_usize..5) {
            let mut runs = Ranges::empty();
            let mut model = BTreeSet::new();
            for (first, count) in added {
                runs.add(Range { first, count });
                model.extend(first..first + count);
            }
            prop_assert_eq!(runs.len(), model.len() as u64);
            prop_assert_eq!(Ranges::from_runs(runs.runs().to_vec()), Some(runs.clone()));
            let mut coarse = runs.clone();
            coarse.coarsen(runs_max);
            prop_assert!(coarse.runs().len() <= runs_max);
            prop_assert_eq!(Ranges::from_runs(coarse.runs().to_vec()), Some(coarse.clone()));
            for segment in 0..50 {
                prop_assert_eq!(runs.contains(segment), model.contains(&segment));
                prop_assert!(coarse.contains(segment) || !model.contains(&segment));
            }
        }
    }

    #[test]
    fn runs_that_lie_are_refused() {
        for (json, good) in [
            ("[]", true),
            ("[[0,1],[2,5]]", true),
            ("[[0,0]]", false),
            ("[[0,2],[2,1]]", false),
            ("[[5,1],[0,1]]", false),
            ("[[18446744073709551615,2]]", false),
            ("[[-1,2]]", false),
        ] {
            assert_eq!(serde_json::from_str::<Ranges>(json).is_ok(), good, "{json}");
        }
    }
}
