//! Ways to peers: whom to serve with a courier, dialling, hello.

use std::sync::{Arc, PoisonError};

use crate::base::AuthorityId;
use crate::daemon::Daemon;
use crate::daemon::peers::courier::Courier;
use crate::daemon::peers::mailbox::Mailbox;
use crate::daemon::peers::roster::DialProblem;
use crate::net::session::{self, Session};
use crate::net::{DialFault, connection};
use crate::store::{Exchange, Op, Outgoing, PeerState, StoreFault, StoredFault};

impl Daemon {
    /// There may be mail for this peer, or a way to it.
    pub(crate) fn ring(&self, peer: &AuthorityId) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = bells.get(peer) {
            mailbox.bell.notify_one();
        }
    }

    /// There is a new package for this peer.
    pub(crate) fn post(&self, outgoing: Outgoing) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = bells.get(&outgoing.exchange.peer) {
            mailbox.put(outgoing);
        }
    }

    /// Reads the peers again: whom to trust, whom to serve with a courier; connections of others are cut.
    pub(crate) async fn reload_peers(self: &Arc<Self>) -> Result<(), StoreFault> {
        // What was read last is what holds.
        let _one_at_a_time = self.roster.reloading.lock().await;
        let trust = self
            .roster
            .reload(
                &self.station.ledger,
                &self.config.classic,
                self.station.clock(),
            )
            .await?;
        self.station.watch.set_known(self.roster.log_keys());
        let trust = Arc::new(trust);
        self.endpoint.set_trust(Arc::clone(&trust));
        self.roster.recheck(&trust, self.station.clock());
        for known in self.roster.all() {
            if known.row.state == PeerState::Accepted {
                let literal = |at: &String| at.parse::<std::net::SocketAddr>().ok();
                for address in known.card.endpoints.iter().filter_map(literal) {
                    self.endpoint.remember(address.ip());
                }
                self.employ(&known.row.id);
            }
        }
        Ok(())
    }

    fn employ(self: &Arc<Self>, peer: &AuthorityId) {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if bells.contains_key(peer) {
            return;
        }
        let mailbox = Arc::new(Mailbox::default());
        bells.insert(peer.clone(), Arc::clone(&mailbox));
        let courier = Courier::new(Arc::clone(self), peer.clone(), mailbox);
        self.couriers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(courier.run());
    }

    /// Dials a peer at each of its endpoints in turn; the first connection that says hello is taken.
    pub(crate) async fn dial(self: &Arc<Self>, peer: &AuthorityId) -> Result<Session, DialProblem> {
        let outcome = self.dial_endpoints(peer).await;
        let at = self.station.clock();
        let op = match &outcome {
            Ok(_) => Op::PeerSeen {
                id: peer.clone(),
                at,
            },
            Err(problem) => {
                let fault = StoredFault {
                    code: problem.code.clone(),
                    text: problem.text.clone(),
                };
                Op::PeerFault {
                    id: peer.clone(),
                    fault: Some(fault),
                }
            }
        };
        let mut ops = vec![op];
        if outcome.is_ok() {
            ops.push(Op::PeerFault {
                id: peer.clone(),
                fault: None,
            });
        }
        if let Err(e) = self.station.ledger.commit(ops).await {
            tracing::warn!(%peer, "cannot record how the peer was reached: {e}");
        }
        self.roster.note_fault(peer, outcome.as_ref().err(), at);
        outcome
    }

    async fn dial_endpoints(self: &Arc<Self>, peer: &AuthorityId) -> Result<Session, DialProblem> {
        let unknown = || DialProblem {
            code: "unknown-peer".to_owned(),
            text: "no such peer".to_owned(),
            trust: true,
        };
        let known = self.roster.by_id(peer).ok_or_else(unknown)?;
        let mut problem = None;
        for name in &known.card.endpoints {
            let addresses = match self.resolver.resolve(name).await {
                Ok(addresses) => addresses,
                Err(fault) => {
                    let unresolved = || DialProblem {
                        code: fault.code().to_owned(),
                        text: fault.to_string(),
                        trust: false,
                    };
                    problem.get_or_insert_with(unresolved);
                    continue;
                }
            };
            for address in addresses {
                match self.dial_address(address, peer).await {
                    Ok(session) => return Ok(session),
                    Err(fault) => problem = Some(fault),
                }
            }
        }
        let text = "its card names no endpoint".to_owned();
        Err(problem.unwrap_or_else(|| DialProblem {
            code: "unreachable".to_owned(),
            text,
            trust: false,
        }))
    }

    async fn dial_address(
        self: &Arc<Self>,
        address: std::net::SocketAddr,
        peer: &AuthorityId,
    ) -> Result<Session, DialProblem> {
        let link = self
            .endpoint
            .dial(address, peer)
            .await
            .map_err(|fault| DialProblem {
                code: fault.code().to_owned(),
                text: format!("{address}: {fault}"),
                trust: matches!(
                    fault,
                    DialFault::RefusedByUs(_) | DialFault::RefusedByPeer { .. }
                ),
            })?;
        self.greet(link).await.map_err(|fault| DialProblem {
            code: fault.code.to_owned(),
            text: format!("{address}: {}", fault.text),
            trust: false,
        })
    }

    /// Says hello on a new connection and serves it from then on.
    pub(crate) async fn greet(
        self: &Arc<Self>,
        link: crate::net::Link,
    ) -> Result<Session, connection::HelloFault> {
        let peer = link.peer.id().clone();
        let fault = |code, text: &str| connection::HelloFault {
            code,
            text: text.to_owned(),
        };
        let known = self
            .roster
            .by_id(&peer)
            .ok_or_else(|| fault("unknown-peer", "no such peer any more"))?;
        let papers = self.papers.for_peer(&known);
        let (session, control) = connection::open(Arc::clone(&self.station), link, papers).await?;
        if !self
            .roster
            .connected(&session, self.config.limits.peer_connections)
        {
            session
                .link()
                .close(session::CLOSE_GOING, "too-many-connections");
            return Err(fault(
                "too-many-connections",
                "this peer has too many connections already",
            ));
        }
        tracing::info!(%peer, address = %session.link().remote(), inbound = session.link().inbound, "connected");
        let (daemon, served) = (Arc::clone(self), session.clone());
        let (news, ended) = (self.news.clone(), self.ended.clone());
        tokio::spawn(async move {
            let lost = connection::serve(served.clone(), control, news, ended).await;
            let heard = session::heard_at(&daemon.station, &served);
            daemon.roster.disconnected(&served, heard);
            tracing::info!(peer = %served.peer_id(), "disconnected: {lost}");
            daemon.ring(served.peer_id());
        });
        self.ring(&peer);
        Ok(session)
    }

    /// Clears up once an outgoing exchange is over: the payload is of no use any more.
    pub(crate) fn delivered(&self, exchange: &Exchange) {
        let (blobs, xid) = (self.station.blobs.clone(), exchange.xid);
        if exchange.inline {
            return;
        }
        tokio::task::spawn_blocking(move || {
            if let Err(e) = blobs.remove(&xid) {
                tracing::warn!(%xid, "cannot remove the payload of an ended exchange; it is tried again at the next start: {e}");
            }
        });
    }
}
