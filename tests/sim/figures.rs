//! How often each thing happened, over one run or many.

use std::collections::BTreeMap;

macro_rules! figures {
    ($($name:ident $what:literal,)*) => {
        /// Counts, each of what its line says.
        #[derive(Debug, Default, Clone)]
        pub(crate) struct Figures {
            $(pub(crate) $name: u64,)*
            /// Faults that ended an attempt at the sender, by code.
            pub(crate) faults: BTreeMap<String, u64>,
            /// Exchanges by how they ended at the sender.
            pub(crate) ends: BTreeMap<String, u64>,
        }

        impl Figures {
            /// Adds those of another run.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                for (here, there) in [(&mut self.faults, &other.faults), (&mut self.ends, &other.ends)] {
                    for (name, count) in there {
                        *here.entry(name.clone()).or_default() += count;
                    }
                }
            }

            /// Every count with its name.
            pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$(($what, self.$name),)*]
            }
        }
    };
}

figures! {
    events "events",
    effects "effects that a crash may come before",
    dispatched "packages dispatched",
    attempts "attempts",
    connections "connections",
    groups "group commits",
    resumed "transfers resumed",
    kills "processes killed",
    crashes "crashes at a chosen effect",
    power_cuts "power cuts",
    segments_lost "segments and names lost unflushed",
    segments_torn "segments torn",
    in_flight_kept "commits in flight that a crash kept",
    in_flight_lost "commits in flight that a crash lost",
    cuts "connections cut",
    bytes_lost "pieces lost with a connection",
    packets_lost "packets late by loss",
    partitions "partitions",
    dials_failed "dials failed",
    full "disks full for a time",
    full_at_write "disks full at a chosen write",
    writes_refused "writes refused for lack of space",
    slow_steps "slow steps of a disk",
    flushes_failed "flushes failed",
    clock_steps "clocks set",
    skew_refused "connections refused for their clocks",
    replays "replays of recorded frames",
    stalls "data streams stalled",
    timeouts "timeouts of a machine",
    takeovers "attempts taken over by a newer stream",
    aborted "incoming attempts aborted with their connection",
    conflicts "commits that came too late",
    rests "rests of a courier that could not record",
    laters "attempts put off by the receiver",
    streams_early "data streams before their offer",
    broken "processes ended by a file operation that cannot fail",
}
