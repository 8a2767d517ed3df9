//! Data streams of one connection, sorted to the exchanges they belong to.
//!
//! A data stream may overtake the offer it belongs to, so it can wait here for a while; QUIC's stream limit bounds how
//! many.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::base::Xid;
use crate::wire::DataHead;

/// How long a data stream waits for its offer.
pub(crate) const WAIT: Duration = Duration::from_secs(20);
/// Ended exchanges whose late streams are turned away at once.
const OVER_MAX: usize = 1_024;
/// Data streams that one exchange may have open.
const STREAMS_MAX: usize = 16;

/// A data stream whose head has been read.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) head: DataHead,
    pub(crate) stream: quinn::RecvStream,
}

#[derive(Debug)]
enum Slot {
    Waiting(Vec<Arrival>, tokio::time::Instant),
    Claimed(mpsc::Sender<Arrival>),
}

/// Where data streams meet their exchanges.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    by_xid: HashMap<Xid, Slot>,
    over: VecDeque<Xid>,
}

impl Inbox {
    /// A stream has come.
    pub(crate) fn deliver(&self, mut arrival: Arrival) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let xid = arrival.head.xid();
        if slots.over.contains(&xid) && !slots.by_xid.contains_key(&xid) {
            turn_away(&mut arrival);
            return;
        }
        let fresh = || Slot::Waiting(Vec::new(), tokio::time::Instant::now());
        match slots.by_xid.entry(xid).or_insert_with(fresh) {
            Slot::Waiting(waiting, _) if waiting.len() < STREAMS_MAX => waiting.push(arrival),
            Slot::Waiting(..) => turn_away(&mut arrival),
            Slot::Claimed(to) => {
                if let Err(
                    mpsc::error::TrySendError::Full(mut arrival)
                    | mpsc::error::TrySendError::Closed(mut arrival),
                ) = to.try_send(arrival)
                {
                    turn_away(&mut arrival);
                }
            }
        }
    }

    /// An exchange takes its streams, those that wait and those that come.
    pub(crate) fn claim(&self, xid: Xid) -> mpsc::Receiver<Arrival> {
        let (to, from) = mpsc::channel(STREAMS_MAX);
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Slot::Waiting(waiting, _)) = slots.by_xid.insert(xid, Slot::Claimed(to.clone()))
        {
            for arrival in waiting {
                // The channel is empty and as long as the queue was allowed to be.
                drop(to.try_send(arrival));
            }
        }
        from
    }

    /// Drops streams whose offer has not come; to be called from time to time.
    pub(crate) fn drop_stale(&self) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.by_xid.retain(|_, slot| match slot {
            Slot::Waiting(_, since) => since.elapsed() < WAIT,
            Slot::Claimed(_) => true,
        });
    }

    /// An attempt at an exchange has ended. Where the exchange is `settled`, its late streams are turned away from now
    /// on; where it is not, the sender may offer it again on this connection, and streams of that attempt may come
    /// first.
    pub(crate) fn release(&self, xid: Xid, settled: bool) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.by_xid.remove(&xid);
        if !settled {
            return;
        }
        if slots.over.len() == OVER_MAX {
            slots.over.pop_front();
        }
        slots.over.push_back(xid);
    }
}

fn turn_away(arrival: &mut Arrival) {
    // The stream may have ended by itself; then there is nothing to stop.
    drop(arrival.stream.stop(0_u32.into()));
}
