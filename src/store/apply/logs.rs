//! How changes of what is known of logs become rows.

use rusqlite::params;

use crate::store::apply::{CommitGroup, GroupStop};
use crate::store::op::Op;
use crate::store::rows::WitnessedRow;
use crate::store::{sql, sums};

impl CommitGroup<'_> {
    /// A change of what is known of others' logs, or of what others have cosigned of ours.
    pub(super) fn of_logs(&self, op: &Op) -> Result<(), GroupStop> {
        match op {
            Op::Witnessed(row) => self.witnessed(row),
            Op::Heard { of, note, at } => {
                if let Some(note) = note {
                    let sum = sums::heard(of, note, *at);
                    let values = params![of.as_str(), note, at.millis(), sum];
                    self.run(sql::HEARD_PUT, values)?;
                } else {
                    let of = of.as_str();
                    self.run(sql::HEARD_DROP, [of])?;
                    self.run(sql::ALARM_CALM, [of])?;
                }
                Ok(())
            }
            Op::Alarm(row) => {
                let kind = row.kind.as_str();
                let values = params![
                    row.of.as_str(),
                    kind,
                    row.earlier,
                    row.later,
                    row.at.millis(),
                    sums::alarm(row)
                ];
                self.run(sql::ALARM_PUT, values).map(|_| ())
            }
            Op::Cosigned(row) => {
                let values = params![
                    row.by.as_str(),
                    row.size,
                    row.note,
                    row.line,
                    row.at.millis(),
                    sums::cosigned(row)
                ];
                self.run(sql::COSIGNED_PUT, values).map(|_| ())
            }
            Op::Statement { .. }
            | Op::Open(_)
            | Op::Advance { .. }
            | Op::Unmoved { .. }
            | Op::Payload { .. }
            | Op::Header { .. }
            | Op::Shred { .. }
            | Op::Have { .. }
            | Op::Retry { .. }
            | Op::DropDisclosed { .. }
            | Op::PeerPut(_)
            | Op::PeerDrop { .. }
            | Op::CardPut(_)
            | Op::CardDrop { .. }
            | Op::PeerState { .. }
            | Op::CrlPut(_)
            | Op::CrlDrop { .. }
            | Op::PeerSeen { .. }
            | Op::PeerHead { .. }
            | Op::PeerFault { .. }
            | Op::OpeningBegin(_)
            | Op::OpeningRaise { .. }
            | Op::OpeningEnd { .. }
            | Op::Meta { .. } => Ok(()),
        }
    }

    fn witnessed(&self, row: &WitnessedRow) -> Result<(), GroupStop> {
        let (of, root) = (row.of.as_str(), row.root.as_bytes());
        let sum = sums::witnessed(row);
        let values = params![of, row.size, root, row.note, row.at.millis(), sum];
        self.run(sql::WITNESSED_PUT, values)?;
        self.run(sql::ALARM_CALM, [of])?;
        Ok(())
    }
}
