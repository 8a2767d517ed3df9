//! A fair share of handshakes for each address.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many handshakes are under way from each address.
#[derive(Default)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// One handshake from an address; its end gives the place back.
pub(crate) struct Seat {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    /// A place for one more, if the address has fewer than `most`.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Seat> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Seat {
            addresses: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self
            .addresses
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Addresses where peers live: from which, or at which, one has been connected.
#[derive(Default)]
pub(crate) struct Acquainted(Mutex<VecDeque<IpAddr>>);

/// The oldest are forgotten first.
const ACQUAINTED_MAX: usize = 1_024;

impl Acquainted {
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&address.to_canonical())
    }

    pub(crate) fn remember(&self, address: IpAddr) {
        let address = address.to_canonical();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&address) {
            return;
        }
        if known.len() == ACQUAINTED_MAX {
            known.pop_front();
        }
        known.push_back(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_addresses_are_remembered() {
        let known = Acquainted::default();
        let at = |number: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(number));
        (0..2_000).for_each(|number| known.remember(at(number)));
        let kept = (0..2_000).filter(|number| known.has(at(*number))).count();
        assert_eq!((kept, known.has(at(1_999))), (ACQUAINTED_MAX, true));
        let mapped = "::ffff:0.0.7.207".parse().unwrap();
        assert!(
            known.has(mapped),
            "an IPv4 address on a socket of both kinds"
        );
    }

    #[test]
    fn an_address_gets_its_places_back() {
        let addresses = Arc::new(Addresses::default());
        let here = IpAddr::from([127, 0, 0, 1]);
        let there = IpAddr::from([127, 0, 0, 2]);
        let first = addresses.take(here, 2);
        let second = addresses.take(here, 2);
        assert!(first.is_some() && second.is_some());
        assert!(addresses.take(here, 2).is_none());
        assert!(addresses.take(there, 2).is_some());
        drop(first);
        assert!(addresses.take(here, 2).is_some());
        drop(second);
        assert!(addresses.0.lock().unwrap().is_empty());
    }
}
