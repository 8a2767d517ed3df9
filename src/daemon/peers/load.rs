//! How much may be under way to a peer at once.

use std::collections::HashMap;

use crate::base::{Xid, limits};
use crate::exchange::Phase;
use crate::store::Exchange;

/// Exchanges with one peer at once; what the peer serves, less some air.
const AT_ONCE: usize = limits::PEER_EXCHANGES_MAX as usize - 8;
/// Of these, kept for urgent ones.
const URGENT_PLACES: usize = 8;

/// The share of the way to a peer that an exchange takes, small payloads in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    Urgent(u64),
    Small(u64),
    Bulk,
}

impl Load {
    pub(crate) fn of(exchange: &Exchange) -> Self {
        let is_sent = exchange.phase != Phase::Dispatched;
        let kib = if exchange.inline && !is_sent {
            exchange.len.div_ceil(1_024)
        } else {
            0
        };
        match (exchange.urgent, exchange.inline || is_sent) {
            (true, _) => Self::Urgent(kib),
            (false, true) => Self::Small(kib),
            (false, false) => Self::Bulk,
        }
    }

    pub(crate) const fn kib(self) -> u64 {
        match self {
            Self::Urgent(kib) | Self::Small(kib) => kib,
            Self::Bulk => 0,
        }
    }
}

/// The exchanges under way to a peer.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    pub(crate) loads: HashMap<Xid, Load>,
    bulk: usize,
    kib: u64,
}

impl UnderWay {
    pub(crate) fn add(&mut self, xid: Xid, load: Load) {
        if self.loads.insert(xid, load).is_none() {
            self.bulk += usize::from(load == Load::Bulk);
            self.kib += load.kib();
        }
    }

    pub(crate) fn remove(&mut self, xid: &Xid) {
        if let Some(load) = self.loads.remove(xid) {
            self.bulk -= usize::from(load == Load::Bulk);
            self.kib -= load.kib();
        }
    }

    /// Whether there is a place for one that is not urgent.
    pub(crate) fn has_places(&self) -> bool {
        self.loads.len() < AT_ONCE - URGENT_PLACES
    }

    /// Whether one more may be under way: the peer takes so much into memory and no more, and what is not urgent leaves
    /// some of that, and some places.
    pub(crate) fn has_room(&self, load: Load) -> bool {
        let fits = |most: u64| self.kib == 0 || self.kib + load.kib() <= most;
        match load {
            Load::Urgent(_) => {
                self.loads.len() < AT_ONCE && fits(limits::PEER_MEMORY_KIB_MAX as u64)
            }
            Load::Small(_) => self.has_places() && fits(limits::PEER_SMALL_KIB_MAX),
            Load::Bulk => self.has_places() && self.bulk < limits::PEER_BULK_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_urgent_leaves_room() {
        let free = AT_ONCE - URGENT_PLACES;
        let (small, large) = (Load::Small(256), Load::Bulk);
        let memory = limits::PEER_MEMORY_KIB_MAX as u64;
        for (what, under_way, load, want) in [
            ("nothing else", vec![], Load::Small(memory + 1), true),
            ("small ones", vec![small; 23], small, true),
            ("as many as are taken", vec![small; 24], small, false),
            ("large beside small ones", vec![small; 24], large, true),
            (
                "urgent beside small ones",
                vec![small; 24],
                Load::Urgent(256),
                true,
            ),
            (
                "urgent, all memory taken",
                vec![Load::Urgent(256); 32],
                Load::Urgent(1),
                false,
            ),
            (
                "large ones",
                vec![large; limits::PEER_BULK_MAX - 1],
                large,
                true,
            ),
            (
                "all large ones",
                vec![large; limits::PEER_BULK_MAX],
                large,
                false,
            ),
            (
                "small beside large ones",
                vec![large; limits::PEER_BULK_MAX],
                small,
                true,
            ),
            (
                "places for all",
                vec![Load::Small(0); free],
                Load::Small(0),
                false,
            ),
            (
                "urgent place",
                vec![Load::Small(0); free],
                Load::Urgent(0),
                true,
            ),
            (
                "no place",
                vec![Load::Urgent(0); AT_ONCE],
                Load::Urgent(0),
                false,
            ),
        ] {
            let mut all = UnderWay::default();
            let xid = |number: usize| {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
                Xid::from_bytes(bytes)
            };
            for (number, load) in under_way.iter().enumerate() {
                all.add(xid(number), *load);
            }
            assert_eq!(all.has_room(load), want, "{what}");
            (0..under_way.len()).for_each(|number| all.remove(&xid(number)));
            assert_eq!((all.loads.len(), all.bulk, all.kib), (0, 0, 0), "{what}");
        }
    }
}
