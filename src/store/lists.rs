//! Lists that may be long, a page at a time, and what is read of one exchange.
//!
//! Nothing here stops in silence: what may be cut is a [`Page`], and everything else is whole.

use rusqlite::{Connection, params};

use crate::base::{AuthorityId, Cursor, Digest, Page, Timestamp, Xid, limits};
use crate::exchange::{Direction, Phase};
use crate::receipt::Kind;
use crate::store::rows::{DUE, Exchange, StatementRow, tell_key};
use crate::store::{Ledger, StoreFault, digests, reader, sql};

/// A case of packages that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRow {
    /// The authority that names it so.
    pub peer: AuthorityId,
    /// The name of the case.
    pub case: String,
    /// How many packages there are.
    pub packages: u64,
}

/// How far the statements of an exchange go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How many there are.
    pub count: u64,
    /// The number of the newest.
    pub last: i64,
    /// The last leaf of the own log that is one of them.
    pub leaf: Option<u64>,
}

/// Where a page of what is due has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueMark {
    due: i64,
    no: i64,
}

/// Some of what is due, and where the next page begins; `None` after the last.
pub type DuePage = (Vec<Exchange>, Option<DueMark>);

/// All rows above, from the newest on.
fn before(after: Option<Cursor>) -> i64 {
    after.map_or(i64::MAX, Cursor::number)
}

/// All rows below, from the oldest on.
fn from(after: Option<Cursor>) -> i64 {
    after.map_or(0, Cursor::number)
}

/// So many items, one more than that to be asked for.
fn at_most(limit: u32) -> (u32, usize) {
    let most = limit.clamp(1, limits::LEDGER_ROWS_MAX);
    let items = usize::try_from(most).unwrap_or(usize::MAX);
    (most.saturating_add(1), items)
}

/// The number of an exchange.
fn no(db: &Connection, xid: &Xid) -> rusqlite::Result<Option<i64>> {
    reader::row(db, sql::EXCHANGE_NO, [xid.as_bytes()], |row| row.get(0))
}

/// All statements of these kinds, oldest first.
fn of_kinds(db: &Connection, no: i64, kinds: &[Kind]) -> rusqlite::Result<Vec<StatementRow>> {
    let mut all = Vec::new();
    for kind in kinds {
        let values = params![no, kind.as_str()];
        all.extend(reader::rows(
            db,
            sql::STATEMENTS_KIND,
            values,
            reader::statement,
        )?);
    }
    all.sort_unstable_by_key(|row| row.seq);
    Ok(all)
}

/// The numbers of those of these kinds that are still to be told.
fn untold(db: &Connection, no: i64, kinds: &[Kind]) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    let mut digests = db.prepare_cached(sql::DIGESTS_KIND)?;
    for kind in kinds {
        let mut rows = digests.query(params![no, kind.as_str()])?;
        while let Some(row) = rows.next()? {
            let key = tell_key(&reader::digest(row, 0)?);
            let mark = reader::row(db, sql::META, [key], |row| row.get::<_, Vec<u8>>(0))?;
            if mark.is_some_and(|mark| mark == DUE) {
                found.push(row.get(1)?);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

impl Ledger {
    /// Packages here that may be due for something now: whose day of review, or last day of use or of keeping, is over.
    /// The longest due first. What is done about it is for the caller to decide.
    pub async fn due(&self, now: Timestamp, after: Option<DueMark>) -> Result<DuePage, StoreFault> {
        self.read(move |db| {
            let start = DueMark {
                due: i64::MIN,
                no: 0,
            };
            let DueMark { due, no } = after.unwrap_or(start);
            let values = params![now.millis(), due, no, limits::LEDGER_ROWS_MAX];
            let rows = reader::rows(db, sql::EXCHANGES_DUE, values, |row| {
                let (due, no) = (row.get(25)?, row.get(26)?);
                Ok((reader::exchange(row)?, DueMark { due, no }))
            })?;
            let next = rows.last().map(|(_, mark)| *mark);
            let rows = rows.into_iter().map(|(exchange, _)| exchange);
            Ok((rows.collect(), next))
        })
        .await
    }

    /// The statement whose bytes have this digest.
    pub async fn statement(&self, digest: &Digest) -> Result<Option<StatementRow>, StoreFault> {
        let digest = *digest;
        self.read(move |db| {
            // What is not in the index is looked through first: meanwhile it may come to be there.
            let recent = [digest.as_bytes()];
            let recent = reader::row(db, sql::STATEMENT_RECENT, recent, reader::statement)?;
            if recent.is_some() {
                return Ok(recent);
            }
            let values = params![digests::key(&digest), digest.as_bytes()];
            reader::row(db, sql::STATEMENT_FOUND, values, reader::statement)
        })
        .await
    }

    /// A page of exchanges, the newest first: of one direction, in one phase.
    pub async fn exchanges(
        &self,
        direction: Option<Direction>,
        phase: Option<Phase>,
        limit: u32,
        after: Option<Cursor>,
    ) -> Result<Page<Exchange>, StoreFault> {
        let rows = self.read(move |db| {
            let before = before(after);
            let (limit, _) = at_most(limit);
            let as_row = reader::numbered_exchange;
            match (direction.map(Direction::as_str), phase.map(Phase::as_str)) {
                (None, None) => reader::rows(db, sql::EXCHANGES, params![before, limit], as_row),
                (Some(way), None) => {
                    let values = params![before, way, limit];
                    reader::rows(db, sql::EXCHANGES_WAY, values, as_row)
                }
                (None, Some(phase)) => {
                    let values = params![before, phase, limit];
                    reader::rows(db, sql::EXCHANGES_PHASE, values, as_row)
                }
                (Some(way), Some(phase)) => {
                    let values = params![before, way, phase, limit];
                    reader::rows(db, sql::EXCHANGES_WAY_PHASE, values, as_row)
                }
            }
        });
        Ok(Page::cut(rows.await?, at_most(limit).1))
    }

    /// A page of what is to be sent and of what is being received, the oldest first.
    pub async fn under_way(
        &self,
        limit: u32,
        after: Option<Cursor>,
    ) -> Result<Page<Exchange>, StoreFault> {
        let (ask, most) = at_most(limit);
        let values = [from(after), ask.into()];
        let rows = self
            .read(move |db| reader::rows(db, sql::UNDER_WAY, values, reader::numbered_exchange));
        Ok(Page::cut(rows.await?, most))
    }

    /// A page of the cases of packages that came, in the order of their first packages.
    pub async fn cases(
        &self,
        limit: u32,
        after: Option<Cursor>,
    ) -> Result<Page<CaseRow>, StoreFault> {
        let (ask, most) = at_most(limit);
        let values = [from(after), ask.into()];
        let rows = self.read(move |db| {
            reader::rows(db, sql::CASES, values, |row| {
                let case = CaseRow {
                    peer: reader::word(row, 1)?,
                    case: row.get(2)?,
                    packages: row.get(3)?,
                };
                Ok((row.get(0)?, case))
            })
        });
        Ok(Page::cut(rows.await?, most))
    }

    /// A page of the statements of one exchange, oldest first; after the last page, what was added since.
    pub async fn statements(
        &self,
        xid: &Xid,
        limit: u32,
        after: Option<Cursor>,
    ) -> Result<Page<StatementRow>, StoreFault> {
        let xid = *xid;
        let (ask, most) = at_most(limit);
        let rows = self.read(move |db| {
            let after = from(after);
            let as_row = reader::numbered_statement;
            if let Some(no) = no(db, &xid)? {
                let values = params![no, after, ask];
                return reader::rows(db, sql::STATEMENTS_PAGE, values, as_row);
            }
            let values = params![xid.as_bytes(), after, ask];
            reader::rows(db, sql::STATEMENTS_ALONE_PAGE, values, as_row)
        });
        Ok(Page::cut(rows.await?, most))
    }

    /// All statements of one exchange of these kinds, oldest first. Of openings, refused ones and reports there may be
    /// many: for these there is [`Self::statements`].
    pub async fn statements_of(
        &self,
        xid: &Xid,
        kinds: &'static [Kind],
    ) -> Result<Vec<StatementRow>, StoreFault> {
        Ok(self.chain(xid, kinds, &[]).await?.0)
    }

    /// The same, and the newest one of other kinds, of one moment.
    pub async fn chain(
        &self,
        xid: &Xid,
        kinds: &'static [Kind],
        newest: &'static [Kind],
    ) -> Result<(Vec<StatementRow>, Option<StatementRow>), StoreFault> {
        let xid = *xid;
        self.desk
            .ask(move |db| {
                let Some(no) = no(db, &xid)? else {
                    return Ok((Vec::new(), None));
                };
                let mut last: Option<StatementRow> = None;
                for kind in newest {
                    let values = params![no, kind.as_str()];
                    let found = reader::row(db, sql::STATEMENT_NEWEST, values, reader::statement)?;
                    let seq = last.as_ref().map(|row| row.seq);
                    last = found.filter(|row| Some(row.seq) > seq).or(last);
                }
                Ok((of_kinds(db, no, kinds)?, last))
            })
            .await
    }

    /// The statements of one exchange, oldest first, of which the other side has not said that it knows them: marked
    /// ones of these kinds, and all of those.
    pub async fn to_tell(
        &self,
        xid: &Xid,
        marked: &'static [Kind],
        all: &'static [Kind],
    ) -> Result<Vec<StatementRow>, StoreFault> {
        let xid = *xid;
        self.read(move |db| {
            let Some(no) = no(db, &xid)? else {
                return Ok(Vec::new());
            };
            let mut rows = of_kinds(db, no, all)?;
            for seq in untold(db, no, marked)? {
                rows.extend(reader::row(db, sql::STATEMENT, [seq], reader::statement)?);
            }
            rows.sort_unstable_by_key(|row| row.seq);
            Ok(rows)
        })
        .await
    }

    /// How far the statements of one exchange go now; none if it is not here.
    pub async fn extent(&self, xid: &Xid) -> Result<Option<Extent>, StoreFault> {
        let xid = *xid;
        self.read(move |db| {
            let Some(no) = no(db, &xid)? else {
                return Ok(None);
            };
            reader::row(db, sql::STATEMENTS_EXTENT, [no], |row| {
                Ok(Extent {
                    count: row.get(0)?,
                    last: row.get(1)?,
                    leaf: row.get(2)?,
                })
            })
        })
        .await
    }

    /// A page of the statements of all exchanges and of none, the newest first.
    pub async fn statement_list(
        &self,
        limit: u32,
        after: Option<Cursor>,
    ) -> Result<Page<StatementRow>, StoreFault> {
        self.newest_first(sql::STATEMENT_LIST, limit, after).await
    }

    /// A page of the wishes for consent that were asked, here or by peers, newest first.
    pub async fn asked(
        &self,
        limit: u32,
        after: Option<Cursor>,
    ) -> Result<Page<StatementRow>, StoreFault> {
        self.newest_first(sql::STATEMENTS_ASKED, limit, after).await
    }

    /// A page of what says that packages were passed on, here or by their receivers, newest first.
    pub async fn passed_on(
        &self,
        limit: u32,
        after: Option<Cursor>,
    ) -> Result<Page<StatementRow>, StoreFault> {
        self.newest_first(sql::STATEMENTS_ONWARD, limit, after)
            .await
    }

    async fn newest_first(
        &self,
        query: &'static str,
        limit: u32,
        after: Option<Cursor>,
    ) -> Result<Page<StatementRow>, StoreFault> {
        let (ask, most) = at_most(limit);
        let values = [before(after), ask.into()];
        let rows = self.read(move |db| reader::rows(db, query, values, reader::numbered_statement));
        Ok(Page::cut(rows.await?, most))
    }

    /// Named values from this name on, below that one, by name: all of them, or the first so many.
    pub async fn named(
        &self,
        from: String,
        below: String,
        most: Option<u32>,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreFault> {
        let most = most.map_or(i64::MAX, i64::from);
        self.read(move |db| {
            let values = params![from, below, most];
            reader::rows(db, sql::METAS_NAMED, values, |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })
        .await
    }

    /// The statement with this number in this ledger.
    pub async fn statement_at(&self, seq: i64) -> Result<Option<StatementRow>, StoreFault> {
        self.read(move |db| reader::row(db, sql::STATEMENT, [seq], reader::statement))
            .await
    }
}
