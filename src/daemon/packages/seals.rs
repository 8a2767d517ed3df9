//! Sending, seen from the officer's side: a grant, the sealed bytes, the signed dispatch.

use std::sync::{Arc, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::{GRANTS_AT_ONCE, SealFinish, SealGrant, SealRequest, Spooled};
use crate::base::{Digest, Ranges, Timestamp, Xid, json};
use crate::daemon::Daemon;
use crate::daemon::packages::age_file::{SpooledAgeFile, whole, write_sealed};
use crate::daemon::packages::decisions::of_item;
use crate::daemon::packages::disclosures::{check_finish, check_request, disclosures, sent};
use crate::daemon::packages::grants::{GRANTS_MAX, Grant};
use crate::daemon::peers::lifecycle;
use crate::daemon::peers::roster::KnownPeer;
use crate::exchange::{Direction, Phase};
use crate::identity::statement::Note;
use crate::package::segments;
use crate::policy::{Action, Circumstances, Facts};
use crate::receipt::{Kind, Pkg, Receipt};
use crate::store::durable::STORAGE_FULL;
use crate::store::{AHEAD_BYTES_MAX, Ahead, Exchange, Op, Outgoing, PeerState};
use crate::{policy, seal};

impl Daemon {
    /// Decides whether this may be sent.
    pub(crate) fn grant(
        &self,
        caller: &Caller,
        request: SealRequest,
    ) -> Result<SealGrant, ApiFailure> {
        self.grant_to(caller, caller.actor(), request)
    }

    /// Decides for each of several packages; each has a permit of its own.
    pub(crate) fn grants(
        &self,
        caller: &Caller,
        request: &SealRequest,
        count: usize,
    ) -> Result<Vec<SealGrant>, ApiFailure> {
        if !(1..=GRANTS_AT_ONCE).contains(&count) {
            let message = format!("1 to {GRANTS_AT_ONCE} packages are granted at once");
            return Err(ApiFailure::usage("bad-count", message));
        }
        let actor = caller.actor();
        let mut granted: Vec<SealGrant> = Vec::with_capacity(count);
        while granted.len() < count {
            match self.grant_to(caller, actor.clone(), request.clone()) {
                Ok(grant) => granted.push(grant),
                // Fewer than were asked for are of use too.
                Err(_) if !granted.is_empty() => break,
                Err(failure) => return Err(failure),
            }
        }
        Ok(granted)
    }

    fn grant_to(
        &self,
        caller: &Caller,
        actor: String,
        request: SealRequest,
    ) -> Result<SealGrant, ApiFailure> {
        let peer = accepted(self.roster.find(&request.to), &request.to)?;
        check_request(&request)?;
        let (xid, now) = (Xid::from_bytes(seal::random()), self.station.clock());
        let facts = Facts {
            action: Action::Send,
            own: &self.station.own.id,
            from: &self.station.own.id,
            to: &peer.row.id,
            actor: &actor,
            roles: self.roles_of(caller),
            purpose: None,
            terms: &request.terms,
            package: Digest::of(xid.as_bytes()),
            now,
            circumstances: Circumstances::default(),
        };
        let items = request.item_terms.iter().map(|item| &item.terms);
        let permit = policy::decide_all(&self.station.own.policy, &facts, items);
        let permit = permit.map_err(|refused| {
            let (at, denial) = *refused;
            let item = at.and_then(|at| request.item_terms.get(at));
            ApiFailure::denied(&of_item(item.map(|it| &it.path), denial))
        })?;
        let name = hex::encode(seal::random::<16>());
        let answer = SealGrant {
            grant: name.clone(),
            xid,
            from: self.station.own.id.clone(),
            to: peer.row.id.clone(),
            recipients: peer.card.age.clone(),
            actor,
            now,
            package_max: self.config.limits.package_max,
        };
        let grant = Grant {
            permit,
            caller: caller.clone(),
            request,
            xid,
            peer,
            made: now,
            spooled: None,
        };
        let mut grants = self.seals.0.lock().unwrap_or_else(PoisonError::into_inner);
        if grants.len() >= GRANTS_MAX {
            return Err(ApiFailure::temporary(
                "too-many-grants",
                format!("{GRANTS_MAX} sendings are under way already"),
            ));
        }
        grants.insert(name, grant);
        drop(grants);
        Ok(answer)
    }

    /// Gives a grant up; its bytes are removed.
    pub(crate) fn ungrant(&self, caller: &Caller, name: &str) -> Result<(), ApiFailure> {
        let grant = self.seals.take(name, caller)?;
        if grant.spooled.is_some_and(|sealed| sealed.inline.is_none()) {
            self.station.blobs.remove(&grant.xid)?;
        }
        Ok(())
    }

    /// Takes the sealed bytes; they are durable when this answers.
    pub(crate) async fn spool(
        &self,
        caller: &Caller,
        name: &str,
        body: Body,
    ) -> Result<Spooled, ApiFailure> {
        let mut grant = self.seals.take(name, caller)?;
        if grant.spooled.is_some() {
            self.seals.put(name.to_owned(), grant);
            return Err(already_spooled());
        }
        let sealed = self.take_bytes(&grant, body).await?;
        let answer = Spooled {
            len: sealed.len,
            body: sealed.body,
        };
        grant.spooled = Some(sealed);
        self.seals.put(name.to_owned(), grant);
        Ok(answer)
    }

    /// Takes the sealed bytes of a small package, which stay in memory until its dispatch is committed.
    pub(crate) fn take_whole(
        &self,
        caller: &Caller,
        name: &str,
        age_file: &[u8],
    ) -> Result<(), ApiFailure> {
        let mut grant = self.seals.take(name, caller)?;
        if grant.spooled.is_some() {
            self.seals.put(name.to_owned(), grant);
            return Err(already_spooled());
        }
        let recipients = grant.peer.card.age.len();
        let blobs = &self.station.blobs;
        if !blobs.room_for(age_file.len() as u64) {
            let full = "no space left for the package";
            return Err(ApiFailure::storage(STORAGE_FULL, full));
        }
        let most = self.config.limits.package_max;
        grant.spooled = Some(whole(blobs, grant.xid, recipients, most, age_file)?);
        self.seals.put(name.to_owned(), grant);
        Ok(())
    }

    async fn take_bytes(&self, grant: &Grant, body: Body) -> Result<SpooledAgeFile, ApiFailure> {
        let (xid, recipients) = (grant.xid, grant.peer.card.age.len());
        let (to, from) = mpsc::channel::<Bytes>(8);
        let (blobs, most) = (self.station.blobs.clone(), self.config.limits.package_max);
        let writing =
            tokio::task::spawn_blocking(move || write_sealed(&blobs, xid, recipients, most, from));
        let mut body = body.into_data_stream();
        let mut cut = None;
        while let Some(piece) = body.next().await {
            match piece {
                // An empty piece marks the end, so none may come from outside.
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => {
                    if to.send(piece).await.is_err() {
                        break;
                    }
                }
                Err(e) => {
                    cut = Some(ApiFailure::failed(
                        "cut",
                        format!("the sealed bytes stopped coming: {e}"),
                    ));
                    break;
                }
            }
        }
        // Dropping the sender ends the bytes; a stream that was cut must not look like one that ended.
        let ended = if cut.is_none() {
            to.send(Bytes::new()).await.is_ok()
        } else {
            false
        };
        drop(to);
        let written = writing
            .await
            .map_err(|e| ApiFailure::failed("internal", e.to_string()))?;
        match (written, cut) {
            (Ok(sealed), None) if ended => Ok(sealed),
            (Err(failure), _) if failure.0.error != "cut" => Err(failure),
            (_, cut) => {
                Err(cut.unwrap_or_else(|| {
                    ApiFailure::failed("cut", "the sealed bytes stopped coming")
                }))
            }
        }
    }

    /// Signs and commits the dispatch; from here on the daemon sees to the delivery.
    pub(crate) async fn dispatch(
        &self,
        caller: &Caller,
        name: &str,
        finish: SealFinish,
    ) -> Result<Exchange, ApiFailure> {
        let mut grant = self.seals.take(name, caller)?;
        let xid = grant.xid;
        if let Err(failure) = finishable(&grant, &finish) {
            self.seals.put(name.to_owned(), grant);
            return Err(failure);
        }
        let Some(sealed) = grant.spooled.take() else {
            return Err(no_bytes());
        };
        let now = self.station.clock();
        if !grant
            .permit
            .covers(Action::Send, &Digest::of(xid.as_bytes()), now)
        {
            return Err(
                ApiFailure::temporary("grant-ended", "the permission to send has ended")
                    .next("send again"),
            );
        }
        let disclosures = disclosures(&grant.request, &finish);
        let receipt = Receipt::dispatch(
            xid,
            self.party(),
            grant.peer.keys.newest().clone(),
            Pkg::new(sealed.body, Digest::of(&sealed.header), sealed.len),
            grant.request.terms.clone(),
        );
        let receipt = receipt.stamped(&self.stamp()).disclosing(&disclosures);
        let note = self.station.own.keys.sign(&receipt)?;
        let row = outgoing(&grant, &finish, &sealed, &note, now);
        let row = Exchange {
            disclosures: sent(&disclosures),
            ..row
        };
        let ahead = ahead(&sealed);
        let mut ops = vec![Op::Open(Box::new(row.clone()))];
        ops.extend(sealed.inline.map(|bytes| Op::Payload { xid, bytes }));
        ops.extend([
            Op::Header {
                xid,
                header: sealed.header,
            },
            self.logged(Some(xid), Kind::Dispatch, &note),
        ]);
        self.station.ledger.commit(ops).await?;
        let exchange = row.clone();
        self.post(Outgoing { exchange, ahead });
        Ok(row)
    }
}

/// Whether the bytes are here, and what is said of them is what was asked for. If not, the grant stays as it is.
fn finishable(grant: &Grant, finish: &SealFinish) -> Result<(), ApiFailure> {
    let sealed = grant.spooled.as_ref().ok_or_else(no_bytes)?;
    let plaintext = segments::plaintext_bytes(sealed.len);
    check_finish(&grant.request, finish, plaintext)
}

fn no_bytes() -> ApiFailure {
    ApiFailure::usage("no-bytes", "this grant has no bytes yet")
}

/// The row of a package that is about to be sent.
fn outgoing(
    grant: &Grant,
    finish: &SealFinish,
    sealed: &SpooledAgeFile,
    note: &Note,
    now: Timestamp,
) -> Exchange {
    let xid = grant.xid;
    Exchange {
        xid,
        direction: Direction::Out,
        peer: grant.peer.row.id.clone(),
        phase: Phase::Dispatched,
        created: now,
        updated: now,
        body: sealed.body,
        hdr: Digest::of(&sealed.header),
        len: sealed.len,
        segments: sealed.segments,
        terms: String::from_utf8(json::canonical(&grant.request.terms)).unwrap_or_default(),
        case_ref: Some(grant.request.case.clone()),
        request_ref: grant.request.request.clone(),
        title: grant.request.title.clone(),
        items: finish.items,
        disclosures: Vec::new(),
        have: Ranges::empty(),
        inline: sealed.inline.is_some(),
        attempts: 0,
        next_try: None,
        fault: None,
        last_note: note.bytes().to_vec(),
        steps: 1,
        urgent: grant.request.urgent,
    }
}

/// Hands the courier what it need not read again, where that is little.
fn ahead(sealed: &SpooledAgeFile) -> Option<Ahead> {
    let payload = sealed.inline.as_ref()?;
    (payload.len() as u64 <= AHEAD_BYTES_MAX).then(|| Ahead {
        header: sealed.header.clone(),
        payload: payload.clone(),
    })
}

/// The peer that was found under this name, if something may be sent to it.
pub(crate) fn accepted(
    found: Option<Arc<KnownPeer>>,
    name: &str,
) -> Result<Arc<KnownPeer>, ApiFailure> {
    let peer = found.ok_or_else(|| lifecycle::unknown(name))?;
    if peer.row.state == PeerState::Accepted {
        return Ok(peer);
    }
    let (id, state) = (&peer.row.id, peer.row.state.as_str());
    let message = format!("{id} is {state}, not accepted");
    Err(ApiFailure::trust("peer-not-accepted", message).next(unblock(&peer)))
}

/// The next step for somebody who wants to reach a peer that is not accepted now.
pub(crate) fn unblock(peer: &KnownPeer) -> String {
    let alias = &peer.row.alias;
    match peer.row.state {
        PeerState::Paused => format!("rogatory peer resume {alias} --justification TEXT"),
        PeerState::Revoked => "nothing: this authority has broken with it".to_owned(),
        PeerState::Added | PeerState::Accepted => {
            format!("compare the six words, then: rogatory peer accept {alias}")
        }
    }
}

fn already_spooled() -> ApiFailure {
    ApiFailure::usage("already-spooled", "this grant has its bytes already")
}
