//! Packages and transfers: list, look, wait, verify, open, read.

use std::io;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{
    Closed, Examination, Explanation, Mismatch, OpenRequest, Opening, PackageDetail, PackageView,
    TransferView, Verification,
};
use crate::base::{Cursor, Digest, Page, Xid};
use crate::daemon::Daemon;
use crate::daemon::packages::content;
use crate::daemon::packages::decisions::Question;
use crate::daemon::packages::disclosures::{grounds_of, item_terms_of};
use crate::daemon::packages::pieces::Pieces;
use crate::daemon::page::{ListQuery, Part};
use crate::daemon::routes::answer::{Answer, Shared};
use crate::exchange::{Direction, Phase};
use crate::package::segments;
use crate::policy::{Purpose, Role, Roles};
use crate::store::Exchange;
use crate::tlog::Frontier;

/// The longest wait in one call.
pub(super) const WAIT_MAX: Duration = Duration::from_mins(1);
/// Wrong segments that a verification names.
const WRONG_MAX: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    direction: Option<String>,
    state: Option<String>,
    limit: Option<u32>,
    after: Option<Cursor>,
}

pub(super) async fn list(
    State(daemon): Shared,
    Query(filter): Query<Filter>,
) -> Answer<Page<PackageView>> {
    let (rows, more) = rows(&daemon, filter).await?.into_parts();
    let views: Result<Vec<_>, _> = rows.iter().map(|row| daemon.package_view(row)).collect();
    let views = views?;
    Ok(Json(Page::new(views, more)))
}

async fn rows(daemon: &Daemon, filter: Filter) -> Result<Page<Exchange>, ApiFailure> {
    let direction = filter.direction.map(|text| text.parse::<Direction>());
    let direction = direction.transpose().map_err(|e| {
        ApiFailure::usage("bad-filter", e.to_string()).next("it is one of: in, out")
    })?;
    let phase = filter.state.map(|text| text.parse::<Phase>());
    let phase = phase.transpose().map_err(|e| {
        let all: Vec<_> = Phase::ALL.iter().map(|it| it.as_str()).collect();
        let next = format!("it is one of: {}", all.join(", "));
        ApiFailure::usage("bad-filter", e.to_string()).next(next)
    })?;
    let part = Part::new(filter.limit, filter.after);
    let ledger = &daemon.station.ledger;
    let page = ledger.exchanges(direction, phase, part.limit, part.after);
    let (mut rows, more) = page.await?.into_parts();
    match phase {
        Some(Phase::Held) => rows.retain(|row| daemon.check_there(&row.xid).is_ok()),
        Some(Phase::Destroyed) if direction != Some(Direction::Out) && more.is_none() => {
            for xid in ledger.all_destroyed_before() {
                rows.push(daemon.exchange(&xid).await?);
            }
        }
        Some(_) | None => {}
    }
    Ok(Page::new(rows, more))
}

async fn named(daemon: &Daemon, name: &str) -> Result<Exchange, ApiFailure> {
    daemon.exchange(&daemon.find(name).await?).await
}

pub(super) async fn show(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
) -> Answer<PackageDetail> {
    let row = named(&daemon, &name).await?;
    let header = daemon.station.ledger.header(&row.xid).await?;
    Ok(Json(PackageDetail {
        package: daemon.package_view(&row)?,
        body: row.body,
        hdr: row.hdr,
        segments: row.segments,
        header_held: header.is_some(),
        hold: daemon.hold_of(&row.xid).await?,
        review: daemon.review_of(&row.xid).await?,
        // Names of items can tell of their content.
        item_terms: if daemon.roles_of(&caller).meets(Roles::EVIDENCE) {
            item_terms_of(&row)
        } else {
            Vec::new()
        },
        grounds: grounds_of(&row),
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    seconds: Option<u64>,
}

pub(super) async fn wait(
    State(daemon): Shared,
    Path(name): Path<String>,
    Query(wait): Query<Wait>,
) -> Answer<PackageView> {
    let xid = daemon.find(&name).await?;
    let longest = Duration::from_secs(wait.seconds.unwrap_or(30)).min(WAIT_MAX);
    let until = tokio::time::Instant::now() + longest;
    let mut settlements = daemon.station.ledger.settlements();
    loop {
        let row = daemon.exchange(&xid).await?;
        if row.phase.is_settled() || tokio::time::Instant::now() >= until {
            return daemon
                .package_view(&row)
                .map(Json)
                .map_err(ApiFailure::from);
        }
        settlement_of(&mut settlements, xid, until).await;
    }
}

/// Returns when this exchange is settled, when settlements were missed, or when the time is over.
pub(super) async fn settlement_of(
    settlements: &mut tokio::sync::broadcast::Receiver<Xid>,
    xid: Xid,
    until: tokio::time::Instant,
) {
    let settled = async {
        loop {
            match settlements.recv().await {
                Ok(other) if other != xid => {}
                Ok(_) | Err(_) => return,
            }
        }
    };
    // Running out of time is not a failure: the caller looks again.
    drop(tokio::time::timeout_at(until, settled).await);
}

pub(super) async fn verify(
    State(daemon): Shared,
    Path(name): Path<String>,
) -> Answer<Verification> {
    let row = named(&daemon, &name).await?;
    let mut faults = Vec::new();
    let (segments_ok, segments_wrong) = verify_payload(&daemon, &row, &mut faults).await?;
    let header = daemon.station.ledger.header(&row.xid).await?;
    let header_ok = header.map(|header| Digest::of(&header) == row.hdr);
    if header_ok == Some(false) {
        faults.push("the age header is not the one that the dispatch names".to_owned());
    }
    let unsound = daemon.unsound(&row).await?;
    let receipts_ok = unsound.is_empty();
    faults.extend(unsound);
    Ok(Json(Verification {
        id: row.xid,
        ok: faults.is_empty(),
        segments_ok,
        segments: row.segments,
        segments_wrong,
        header_ok,
        receipts_ok,
        faults,
    }))
}

/// Reads and hashes the whole payload again; its root must be the signed one.
async fn verify_payload(
    daemon: &Arc<Daemon>,
    row: &Exchange,
    faults: &mut Vec<String>,
) -> Result<(u64, Vec<u64>), ApiFailure> {
    if row.direction == Direction::Out
        && matches!(
            row.phase,
            Phase::Closed
                | Phase::RestrictionSigned
                | Phase::Rejected
                | Phase::Expired
                | Phase::Failed
        )
        || matches!(row.phase, Phase::DestructionSigned | Phase::Destroyed)
        || daemon.check_readable(&row.xid).is_err()
    {
        return Ok((0, Vec::new()));
    }
    let mut payload = daemon.payload(row).await?;
    let list = if row.inline {
        None
    } else {
        daemon.station.blobs.list(&row.xid).ok()
    };
    let (segments, len, body) = (row.segments, row.len, row.body);
    let hashed = tokio::task::spawn_blocking(move || -> io::Result<(u64, Vec<u64>, Digest)> {
        let (mut root, mut good, mut wrong, mut list) = (Frontier::new(), 0, Vec::new(), list);
        for index in 0..segments {
            let mut segment = Vec::new();
            payload
                .by_ref()
                .take(segments::length_of(index, len))
                .read_to_end(&mut segment)?;
            let hash = segments::segment_hash(&segment);
            root.append(hash);
            let mut listed = *hash.as_bytes();
            if let Some(list) = &mut list {
                list.read_exact(&mut listed)?;
            }
            if listed == *hash.as_bytes() {
                good += 1;
            } else if wrong.len() < WRONG_MAX {
                wrong.push(index);
            }
        }
        Ok((good, wrong, root.root()))
    });
    let hashed = hashed
        .await
        .map_err(|e| ApiFailure::failed("internal", e.to_string()))?;
    match hashed {
        Ok((good, wrong, root)) => {
            if root != body {
                faults.push("the payload is not the one that the dispatch names".to_owned());
            }
            Ok((good, wrong))
        }
        Err(e) => {
            faults.push(format!("the payload cannot be read: {e}"));
            Ok((0, Vec::new()))
        }
    }
}

pub(super) async fn open(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(request): Json<OpenRequest>,
) -> Answer<Opening> {
    let xid = daemon.find(&name).await?;
    daemon.open(&caller, xid, &request).await.map(Json)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    r#use: String,
    #[serde(default)]
    related: bool,
    r#as: Option<Role>,
}

pub(super) async fn explain(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer<Explanation> {
    let purpose = Purpose::parse(&asked.r#use)
        .map_err(|e| ApiFailure::usage("unknown-purpose", e.to_string()))?;
    let question = Question {
        purpose,
        related: asked.related,
        role: asked.r#as,
    };
    let xid = daemon.find(&name).await?;
    let explained = daemon.explain(&caller, xid, question);
    explained.await.map(Json)
}

pub(super) async fn close(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
) -> Answer<Closed> {
    daemon.close(&caller, &name).await.map(Json)
}

pub(super) async fn mismatch(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    Json(wish): Json<Mismatch>,
) -> Answer<Examination> {
    let examined = daemon.report_mismatch(&caller, &name, &wish.code);
    examined.await.map(Json)
}

pub(super) async fn plaintext(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiFailure> {
    let range = match headers.get(header::RANGE) {
        Some(value) => Some(value.to_str().ok().and_then(range).ok_or_else(|| {
            ApiFailure::usage(
                "bad-range",
                "only one range of the form bytes=FIRST-LAST is understood",
            )
        })?),
        None => None,
    };
    let status = if range.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let pieces = daemon
        .plaintext(&caller, &name, range.unwrap_or(0..u64::MAX))
        .await?;
    Ok((
        status,
        [(header::CONTENT_TYPE, "application/x-tar")],
        released(pieces),
    )
        .into_response())
}

/// `bytes=FIRST-LAST`, both given and inclusive (RFC 9110 §14.1.2).
fn range(value: &str) -> Option<std::ops::Range<u64>> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (
        first.parse().ok()?,
        last.parse::<u64>().ok()?.checked_add(1)?,
    );
    (first < last).then_some(first..last)
}

/// The bytes of an opening, each piece counted before it leaves.
fn released(pieces: Pieces) -> Body {
    Body::from_stream(futures_util::stream::unfold(pieces, |mut pieces| async {
        pieces.next().await.map(|piece| (piece, pieces))
    }))
}

pub(super) fn streamed(pieces: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    Body::from_stream(futures_util::stream::unfold(pieces, |mut pieces| async {
        pieces.recv().await.map(|piece| (piece, pieces))
    }))
}

/// The age file of a package that was sent from here, as long as its header is here. What was received is exported
/// under a permit.
pub(super) async fn age(
    State(daemon): Shared,
    Path(name): Path<String>,
) -> Result<Response, ApiFailure> {
    let row = named(&daemon, &name).await?;
    if row.direction == Direction::In {
        let message = "what another authority sent is exported for a purpose: whoever has the age identity can read it then";
        return Err(ApiFailure::usage("no-purpose", message)
            .next("rogatory package export ID --age FILE --purpose P --justification TEXT"));
    }
    let (length, file) = daemon.age_file(&row.xid, &row).await?;
    let (to, from) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || content::stream(file, &to));
    Ok(age_file(length, streamed(from)))
}

/// The age file of a package that was received, under the permit of an opening.
pub(super) async fn exported(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
) -> Result<Response, ApiFailure> {
    let (length, pieces) = daemon.exported(&caller, &name).await?;
    Ok(age_file(length, released(pieces)))
}

fn age_file(length: u64, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    (headers, body).into_response()
}

pub(super) async fn transfers(
    State(daemon): Shared,
    Query(which): Query<ListQuery>,
) -> Answer<Page<TransferView>> {
    let part = Part::from(which);
    let page = daemon.station.ledger.under_way(part.limit, part.after);
    let (rows, more) = page.await?.into_parts();
    let views = rows.iter().map(|row| daemon.transfer_view(row)).collect();
    Ok(Json(Page::new(views, more)))
}

pub(super) async fn transfer(
    State(daemon): Shared,
    Path(name): Path<String>,
) -> Answer<TransferView> {
    let row = named(&daemon, &name).await?;
    Ok(Json(daemon.transfer_view(&row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (value, want) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=5-9", Some(5..10)),
            ("bytes=9-5", None),
            ("bytes=-5", None),
            ("bytes=5-", None),
            ("bytes=0-18446744073709551615", None),
            ("items=0-1", None),
            ("bytes=0-1,3-4", None),
        ] {
            assert_eq!(range(value), want, "{value}");
        }
    }
}
