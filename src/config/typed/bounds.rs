//! `[limits]`.

use std::time::Duration;

use super::{Meaning, within};
use crate::base::limits;
use crate::config::units;
use crate::config::values::Limits;

/// The largest count that is taken.
const COUNT_MAX: u64 = 1_000_000_000;
/// Shorter than this, an honest peer on a slow line would be given up.
const PATIENCE_MIN: Duration = Duration::from_secs(5);
const PATIENCE_MAX: Duration = Duration::from_mins(2);
/// With less in a day, not even one exchange fits with all that may go along with it.
const GROWTH_MIN: u64 = 1 << 20;
/// Slower than this, a segment would take longer than the patience: 64 kbit/s.
const BANDWIDTH_MIN: u64 = 8_000;
const RETRY_MAX: Duration = Duration::from_hours(366 * 24);

impl Meaning {
    pub(super) fn limits(&mut self) -> Option<Limits> {
        let package_max = self.value("limits.package_max", |text| {
            let size = units::size(text)?;
            within(size, (1, "1 B"), (limits::PAYLOAD_BYTES_MAX, "2 TiB"))
        });
        let peer_connections = self.value("limits.peer_connections", |text| {
            let count = text
                .parse()
                .map_err(|_| format!("{text:?} is not a count"))?;
            within(count, (1, "1"), (limits::PEER_CONNECTIONS_MAX, "4"))
        });
        let transfer_retry_for = self.value("limits.transfer_retry_for", |text| {
            let duration = units::duration(text)?;
            let min = (Duration::from_mins(1), "1 min");
            within(duration, min, (RETRY_MAX, "366 days"))
        });
        let reserve = self.value("limits.reserve", units::size);
        let peer_quota = self.value("limits.peer_quota", units::size);
        let peer_unopened = self.count("limits.peer_unopened");
        let peer_growth = self.value("limits.peer_growth", |text| {
            within(
                units::size(text)?,
                (GROWTH_MIN, "1 MiB"),
                (u64::MAX, "16 EiB"),
            )
        });
        let offers_per_second = self.count("limits.offers_per_second");
        let control_per_second = self.count("limits.control_per_second");
        let patience = self.value("limits.patience", |text| {
            let duration = units::duration(text)?;
            within(duration, (PATIENCE_MIN, "5 s"), (PATIENCE_MAX, "2 min"))
        });
        let mut rate = |name: &str| self.value(&format!("limits.{name}"), bandwidth);
        let (send, receive) = (rate("send_bandwidth"), rate("receive_bandwidth"));
        let peer_send = rate("peer_send_bandwidth");
        let peer_receive = rate("peer_receive_bandwidth");
        Some(Limits {
            peer_quota: peer_quota?,
            peer_unopened: peer_unopened?,
            peer_growth: peer_growth?,
            offers_per_second: offers_per_second?,
            control_per_second: control_per_second?,
            patience: patience?,
            send: send?,
            receive: receive?,
            peer_send: peer_send?,
            peer_receive: peer_receive?,
            package_max: package_max?,
            peer_connections: peer_connections?,
            transfer_retry_for: transfer_retry_for?,
            reserve: reserve?,
        })
    }

    /// A whole number from 1 on.
    fn count(&mut self, path: &str) -> Option<u64> {
        self.value(path, |text| {
            let count = text.parse();
            let count = count.map_err(|_| format!("{text:?} is not a count"))?;
            within(count, (1, "1"), (COUNT_MAX, "1000000000"))
        })
    }
}

fn bandwidth(text: &str) -> Result<Option<u64>, String> {
    let bytes = units::bandwidth(text)?;
    if bytes.is_some_and(|bytes| bytes < BANDWIDTH_MIN) {
        return Err("is less than 64 kbit/s".to_owned());
    }
    Ok(bytes)
}
