//! `peer`: the own card, and the authorities that are known here.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};

use crate::api::types::{AcceptPeer, AddPeer, CardView, DecidePeer, HeldBack, PeerView, Ping};
use crate::base::{Alias, limits};
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::input::{read_limited, unreadable};
use crate::cli::text::{self, Cell, Table, Tone};
use crate::cli::{status, terminal};

const EXAMPLES: &str = "\
Examples:
  rogatory peer add --home ./ie ./de/de.card
  rogatory peer list --json";
const CARD_EXAMPLES: &str = "\
Examples:
  rogatory peer card --home ./ie
  rogatory peer card --json";
const ADD_EXAMPLES: &str = "\
Examples:
  rogatory peer add ./de/de.card
  rogatory peer add bfj.card --crl bfj.crl";
const ACCEPT_EXAMPLES: &str = "\
Examples:
  rogatory peer accept de
  rogatory peer accept de --fingerprint lantern-orbit-maple-seven-copper-tide";
const LIST_EXAMPLES: &str = "\
Examples:
  rogatory peer list
  rogatory peer list --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  rogatory peer show de
  rogatory peer show bfj.example.de --json";
const PAUSE_EXAMPLES: &str = "\
Examples:
  rogatory peer pause de --justification 'two cards of one number; asked by telephone'
  rogatory peer pause de --justification 'maintenance until Monday' --json";
const RESUME_EXAMPLES: &str = "\
Examples:
  rogatory peer resume de --justification 'confirmed by telephone with Ms Vogel'
  rogatory peer resume de --justification 'maintenance is over' --json";
const REVOKE_EXAMPLES: &str = "\
Examples:
  rogatory peer revoke de --justification 'its keys were stolen on 3 December'
  rogatory peer revoke de --justification 'the treaty has ended' --json";
const REMOVE_EXAMPLES: &str = "\
Examples:
  rogatory peer remove de --justification 'its card was added by mistake'
  rogatory peer remove old-bfj --justification 'replaced by the new authority' --json";
const PING_EXAMPLES: &str = "\
Examples:
  rogatory peer ping de
  rogatory peer ping de --timeout 5s --json";

/// Pair with other authorities and see how they are
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum PeerCommand {
    /// Show the own card and its six words
    #[command(after_help = CARD_EXAMPLES)]
    Card,
    /// Take in another authority's card and revocation list; nothing is trusted yet
    #[command(after_help = ADD_EXAMPLES)]
    Add(AddArgs),
    /// Trust a peer whose six words were compared by telephone
    #[command(after_help = ACCEPT_EXAMPLES)]
    Accept(AcceptArgs),
    /// Let no connection with a peer come up until it is resumed; what is on its way waits, nothing new can be sent
    #[command(after_help = PAUSE_EXAMPLES)]
    Pause(DecideArgs),
    /// Let connections with a paused peer come up again
    #[command(after_help = RESUME_EXAMPLES)]
    Resume(DecideArgs),
    /// Break with a peer for good: nothing is sent to it or taken from it any more. Where you are not sure: pause
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke(DecideArgs),
    /// Forget a peer of which nothing is held or on its way; its receipts stay verifiable
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove(DecideArgs),
    /// List the peers
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Show one peer
    #[command(after_help = SHOW_EXAMPLES)]
    Show(PeerArgs),
    /// Connect to a peer and measure; says whose fault it is if that fails
    #[command(after_help = PING_EXAMPLES)]
    Ping(PeerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The card
    card: PathBuf,
    /// The revocation lists: one in DER, or those of several CAs in PEM [default: <alias>.crl beside the card, if it is
    /// there]
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// The peer: alias or id
    #[arg(value_name = "ALIAS")]
    peer: String,
    /// The six words that the other authority read out, joined by hyphens
    #[arg(long, value_name = "WORDS")]
    fingerprint: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The peer: alias or id
    #[arg(value_name = "ALIAS")]
    peer: String,
    /// Why; it stays here, and its digest is stated in the log
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

#[derive(Debug, Args)]
pub(crate) struct PeerArgs {
    /// The peer: alias or id
    #[arg(value_name = "ALIAS")]
    peer: String,
}

impl PeerCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        match self {
            Self::Card => {
                let card = call.remote.call(client.card())?;
                call.terminal
                    .show(&card, |card, color| card_text(card).render(color));
            }
            Self::Add(args) => return args.run(call),
            Self::Accept(args) => return args.run(call),
            Self::Pause(args) => return args.run(call, "pause"),
            Self::Resume(args) => return args.run(call, "resume"),
            Self::Revoke(args) => return args.run(call, "revoke"),
            Self::Remove(args) => return args.run(call, "remove"),
            Self::List => {
                let peers = call.remote.call(client.peers())?;
                call.terminal
                    .show(&peers, |peers, color| status::peers(peers).render(color));
            }
            Self::Show(args) => {
                let peer = call.remote.call(client.peer(&args.peer))?;
                call.terminal
                    .show(&peer, |peer, color| peer_text(peer).render(color));
            }
            Self::Ping(args) => {
                let ping = call.remote.call(client.ping(&args.peer))?;
                call.terminal
                    .show(&ping, |ping, color| ping_text(ping).render(color));
            }
        }
        Ok(())
    }
}

impl AddArgs {
    fn run(&self, call: &Call) -> Result<(), Failure> {
        let card = read_limited(&self.card, limits::STATEMENT_BYTES_MAX)?;
        let card = String::from_utf8(card).map_err(|_| {
            let text = format!("{} is not a card: it is not text", self.card.display());
            Failure::usage("card-malformed", text)
        })?;
        let crl = self.crl(&card)?;
        match &crl {
            Some(path) => call
                .terminal
                .detail(&format!("revocation list {}", path.display())),
            None => call.terminal.note(
                "no revocation list beside the card; connections are refused until there is one",
            ),
        }
        let crl = crl
            .map(|path| read_limited(&path, limits::CRL_FILE_BYTES_MAX))
            .transpose()?
            .map(|file| STANDARD.encode(file));
        let before = alias_of(&card)
            .and_then(|alias| {
                let peer = call.remote.client().peer(alias.as_str());
                call.remote.call(peer).ok()
            })
            .filter(|it| it.card.as_ref() == Some(&card));
        let add = AddPeer { card, crl };
        let peer = call.remote.call(call.remote.client().add_peer(&add))?;
        call.terminal
            .show(&peer, |peer, color| peer_text(peer).render(color));
        if let Some(before) = before {
            let lists = if before.lists == peer.lists {
                "nothing has changed"
            } else {
                "its revocation lists are new"
            };
            let text = format!("this card of {} was here already; {lists}", peer.id);
            call.terminal.note(&text);
        }
        for list in &peer.older_lists {
            let (ca, number) = (text::escape(&list.ca), list.number);
            call.terminal.note(&format!(
                "revocation list number {number} of the CA {ca} was not taken: a newer one is held; ask the peer for its newest one"
            ));
        }
        if peer.state == "added" || peer.waiting_cards.iter().any(|it| !it.conflicts) {
            let words = format!(
                "compare the six words by telephone, then: rogatory peer accept {}",
                peer.alias
            );
            call.terminal.note(&words);
        }
        Ok(())
    }

    /// The list that was named, else `<alias>.crl` or the card's own name with `.crl`, beside the card.
    fn crl(&self, card: &str) -> Result<Option<PathBuf>, Failure> {
        if let Some(crl) = &self.crl {
            return Ok(Some(crl.clone()));
        }
        let by_alias = alias_of(card).map(|alias| self.card.with_file_name(format!("{alias}.crl")));
        let candidates = by_alias
            .into_iter()
            .chain([self.card.with_extension("crl")]);
        for candidate in candidates {
            let exists = candidate
                .try_exists()
                .map_err(|e| unreadable(&candidate, &e))?;
            if exists {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }
}

/// The alias that a card claims; only a name of a file to look for. The daemon checks the card.
fn alias_of(card: &str) -> Option<Alias> {
    let body: serde_json::Value = serde_json::from_str(card.lines().nth(1)?).ok()?;
    body.get("alias")?.as_str()?.parse().ok()
}

impl DecideArgs {
    fn run(&self, call: &Call, decision: &str) -> Result<(), Failure> {
        let client = call.remote.client();
        let wish = DecidePeer {
            justification: self.justification.clone(),
        };
        let decided = client.decide_peer(&self.peer, decision, &wish);
        let peer = call.remote.call(decided)?;
        call.terminal.show(&peer, |peer, color| match decision {
            "remove" => format!("{} ({}) was forgotten\n", peer.id, peer.alias),
            _ => peer_text(peer).render(color),
        });
        Ok(())
    }
}

impl AcceptArgs {
    fn run(&self, call: &Call) -> Result<(), Failure> {
        let fingerprint = match &self.fingerprint {
            Some(words) => words.clone(),
            None => self.compare(call)?,
        };
        let accept = AcceptPeer { fingerprint };
        let peer = call
            .remote
            .call(call.remote.client().accept_peer(&self.peer, &accept))?;
        call.terminal
            .show(&peer, |peer, color| peer_text(peer).render(color));
        Ok(())
    }

    /// Shows the words and asks whether the other side reads the same ones.
    fn compare(&self, call: &Call) -> Result<String, Failure> {
        let usage = |text: String| {
            Failure::usage("fingerprint-not-compared", text).next(format!(
                "rogatory peer accept {} --fingerprint WORDS",
                self.peer
            ))
        };
        if !terminal::can_ask() {
            return Err(usage(
                "the six words have to be compared: give them with --fingerprint, or run this on a terminal".to_owned(),
            ));
        }
        let peer = call.remote.call(call.remote.client().peer(&self.peer))?;
        call.terminal.note(&format!("{}  {}", peer.id, peer.name));
        // Of a peer that was accepted, the card that came last is the one in question.
        let waiting = peer.waiting_cards.iter().filter(|card| !card.conflicts);
        let newest = waiting
            .max_by_key(|card| card.came)
            .filter(|_| peer.state != "added");
        let fingerprint = newest.map_or(&peer.fingerprint, |card| &card.fingerprint);
        let question = format!(
            "Did {} read out exactly \"{fingerprint}\"? Type yes to accept it:",
            peer.id
        );
        let answer = terminal::ask(&question)
            .map_err(|e| Failure::failed("no-answer", format!("the answer cannot be read: {e}")))?;
        if answer.eq_ignore_ascii_case("yes") {
            Ok(fingerprint.clone())
        } else {
            Err(usage(format!("{} was not accepted", peer.id)))
        }
    }
}

fn card_text(card: &CardView) -> Table {
    let mut table = Table::new();
    table.field("authority", format!("{} ({})", card.id, card.alias));
    table.field("card number", card.number);
    table.field("six words", Cell::new(&card.fingerprint, Tone::Strong));
    table
}

/// The part of its limits that the peer has used.
fn used(counts: &HeldBack) -> String {
    let grown = text::size(counts.grown_bytes);
    let grown = format!(
        "{grown} of ledger and {} leaves of the log since the start",
        counts.grown_leaves
    );
    match (counts.unopened_packages, counts.unopened_bytes) {
        (Some(packages), Some(bytes)) => format!(
            "{packages} packages unopened, {}; {grown}",
            text::size(bytes)
        ),
        _ => grown,
    }
}

/// The amounts that the limits have held back, if any.
fn held_back(counts: &HeldBack) -> Option<String> {
    let all = [
        ("offers by rate", counts.offers),
        ("offers by quota", counts.quota),
        ("of growth", counts.growth),
        ("control frames", counts.control),
        ("ms of sending", counts.send_ms),
        ("ms of receiving", counts.receive_ms),
    ];
    let said: Vec<_> = (all.iter().filter(|(_, count)| *count > 0))
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn peer_text(peer: &PeerView) -> Table {
    let mut table = Table::new();
    table.field("authority", format!("{} ({})", peer.id, peer.alias));
    table.field("name", format!("{}, {}", peer.name, peer.country));
    let tone = if peer.state == "accepted" {
        Tone::Good
    } else {
        Tone::Warn
    };
    table.field("state", Cell::new(&peer.state, tone));
    table.field("six words", Cell::new(&peer.fingerprint, Tone::Strong));
    table.field("endpoints", peer.endpoints.join(", "));
    table.field("card number", peer.card_number);
    table.field("link", if peer.connected { "up" } else { "down" });
    table.field_if("last seen", peer.last_seen.map(text::time));
    table.field("used", used(&peer.held_back));
    table.field_if("held back", held_back(&peer.held_back));
    for card in &peer.waiting_cards {
        let (what, tone) = if card.conflicts {
            ("conflicting card", Tone::Bad)
        } else {
            ("card not accepted", Tone::Warn)
        };
        let came = text::time(card.came);
        let shown = format!("number {}, {}, came {came}", card.number, card.fingerprint);
        table.field(what, Cell::new(shown, tone));
    }
    if peer.lists.is_empty() {
        table.field("revocation list", "none");
    }
    for list in &peer.lists {
        let shown = text::list(list);
        let shown = if list.in_use {
            shown
        } else {
            format!("{shown} (of no CA of the card in use)")
        };
        table.field("revocation list", shown);
    }
    if let Some(fault) = &peer.fault {
        table.field("fault", Cell::new(text::fault(fault), Tone::Bad));
    }
    table
}

fn ping_text(ping: &Ping) -> Table {
    let millis = |us: u64| format!("{}.{} ms", us / 1_000, us % 1_000 / 100);
    let mut table = Table::new();
    table.field("peer", Cell::new(ping.id.as_str(), Tone::Strong));
    table.field("address", &ping.address);
    table.field("connected in", millis(ping.connect_us));
    table.field("round trip", millis(ping.rtt_us));
    table.field("clock", format!("{:+} ms", ping.clock_ms));
    table.field(
        "certificate",
        format!("until {}", text::time(ping.certificate_expires)),
    );
    table
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_revocation_list_is_found_beside_the_card() {
        let dir = tempfile::tempdir().unwrap();
        let card = dir.path().join("from-the-post.card");
        let text = "rogatory/card/v1\n{\"alias\":\"de\",\"v\":1}\n";
        let mut args = AddArgs { card, crl: None };
        assert_eq!(args.crl(text).unwrap(), None);
        let by_name = dir.path().join("from-the-post.crl");
        fs::write(&by_name, b"x").unwrap();
        assert_eq!(args.crl(text).unwrap(), Some(by_name));
        let by_alias = dir.path().join("de.crl");
        fs::write(&by_alias, b"x").unwrap();
        assert_eq!(args.crl(text).unwrap(), Some(by_alias));
        args.crl = Some(PathBuf::from("other.crl"));
        assert_eq!(args.crl(text).unwrap(), Some(PathBuf::from("other.crl")));
        for lie in ["", "x\n{\"alias\":\"../../etc\"}\n", "x\nno json\n"] {
            assert_eq!(alias_of(lie), None, "{lie}");
        }
    }

    #[test]
    fn a_ping_for_people() {
        let ping = Ping {
            id: "bfj.example.de".parse().unwrap(),
            address: "127.0.0.1:7444".to_owned(),
            connect_us: 2_345,
            rtt_us: 901,
            clock_ms: -12,
            certificate_expires: "2027-02-21T09:00:00.000Z".parse().unwrap(),
        };
        let shown = ping_text(&ping).render(false);
        assert!(
            shown.contains("connected in  2.3 ms\nround trip    0.9 ms\nclock         -12 ms\n"),
            "{shown}"
        );
    }
}
