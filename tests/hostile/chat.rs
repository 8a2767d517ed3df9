//! Messages about logs: a log made by hand, and a conversation on the control stream.

use std::time::Duration;

use quinn::{RecvStream, SendStream};
use rogatory::base::Digest;
use rogatory::identity::SecretKey;
use rogatory::net::Link;
use rogatory::net::quic::frames::{FrameFault, read_frame};
use rogatory::tlog::{AddCheckpoint, Checkpoint, leaf_hash, node_hash, proof};
use rogatory::wire::Frame;
use tokio::time::timeout;

use crate::attack::{ANSWER, Attacker, closed, raw};

/// A log with as many leaves as anyone asks for; from this one on they are others than in a log that forks later.
#[derive(Clone, Copy)]
pub(crate) struct Log<'a> {
    pub(crate) key: &'a SecretKey,
    pub(crate) forks_at: u64,
}

impl<'a> Log<'a> {
    pub(crate) const fn new(key: &'a SecretKey) -> Self {
        let forks_at = u64::MAX;
        Self { key, forks_at }
    }

    fn hash(&self, level: u8, index: u64) -> Digest {
        if level > 0 {
            let below = |index| self.hash(level - 1, index);
            return node_hash(&below(2 * index), &below(2 * index + 1));
        }
        let branch = if index < self.forks_at { "one" } else { "two" };
        leaf_hash(format!("{branch} {index}").as_bytes())
    }

    pub(crate) fn head(&self, size: u64) -> Checkpoint {
        let hash = |level, index| Some(self.hash(level, index));
        Checkpoint {
            origin: self.key.name().to_string(),
            size,
            root: proof::root(size, &hash).unwrap(),
        }
    }

    pub(crate) fn note(&self, size: u64) -> Vec<u8> {
        self.head(size).sign(self.key)
    }

    pub(crate) fn proof(&self, old: u64, new: u64) -> Vec<Digest> {
        let hash = |level, index| Some(self.hash(level, index));
        proof::consistency(old, new, &hash).unwrap()
    }

    /// The submission of `new` leaves to who holds `old`.
    pub(crate) fn add(&self, old: u64, new: u64) -> AddCheckpoint {
        AddCheckpoint {
            old,
            proof: self.proof(old, new),
            checkpoint: self.note(new),
        }
    }
}

/// A connection on which one thing is said after the other; what is wrong is kept.
pub(crate) struct Chat<'a> {
    attacker: &'a Attacker,
    link: Link,
    control: (SendStream, RecvStream),
    pub(crate) said: usize,
    pub(crate) wrong: Vec<String>,
}

impl<'a> Chat<'a> {
    pub(crate) async fn open(attacker: &'a Attacker) -> Self {
        let (link, control) = attacker.up().await;
        Self {
            attacker,
            link,
            control,
            said: 0,
            wrong: Vec::new(),
        }
    }

    async fn again(&mut self) {
        self.link.close(0, "over");
        (self.link, self.control) = self.attacker.up().await;
    }

    /// Says it and then what is refused for certain; all that is said to the former, in words.
    async fn ask(&mut self, frame: &[u8]) -> Vec<(String, Vec<u8>)> {
        let marked = [frame, &raw(3, b"no list")].concat();
        // Whether the other end still listens is for its answer to tell.
        drop(timeout(ANSWER, self.control.0.write_all(&marked)).await);
        let mut answers = Vec::new();
        loop {
            let ended = match timeout(ANSWER, read_frame(&mut self.control.1)).await {
                Ok(Ok(Some(Frame::Fault(fault)))) if fault.code == "crl-invalid" => return answers,
                Ok(Ok(Some(Frame::Fault(fault)))) => {
                    answers.push((fault.code, Vec::new()));
                    continue;
                }
                Ok(Ok(Some(frame))) => {
                    answers.push((frame.kind().to_string(), frame.body()));
                    continue;
                }
                Ok(Ok(None)) => "finished".to_owned(),
                Ok(Err(FrameFault::Lost(lost))) => closed(&lost),
                Ok(Err(fault)) => fault.code().to_owned(),
                Err(_) => "silence".to_owned(),
            };
            answers.push((ended, Vec::new()));
            return answers;
        }
    }

    /// Says it, and hears that: the body of the answer. `nothing` is nothing but what the victim says of itself.
    pub(crate) async fn check(&mut self, name: &str, frame: &[u8], want: &str) -> Vec<u8> {
        self.said += 1;
        let mut answers = self.ask(frame).await;
        if answers.iter().any(|(word, _)| word == "too-fast") {
            // Somebody else's turn to find out how fast is too fast.
            self.again().await;
            answers = self.ask(frame).await;
        }
        if self.link.connection.close_reason().is_some() {
            self.again().await;
        }
        let right = |word: &str| want.split('|').any(|want| want == word);
        if let Some(at) = answers.iter().position(|(word, _)| right(word)) {
            return answers.swap_remove(at).1;
        }
        let words: Vec<_> = answers.into_iter().map(|(word, _)| word).collect();
        let unasked = ["crl", "held", "knows", "gossip", "add-checkpoint"];
        let quiet = words.iter().all(|word| unasked.contains(&word.as_str()));
        if want != "nothing" || !quiet {
            self.wrong
                .push(format!("{name}: {words:?} in place of {want}"));
        }
        Vec::new()
    }

    /// Spoils a true message, as the case of this name.
    pub(crate) fn expect(&mut self, name: &str, holds: bool) {
        self.said += 1;
        if !holds {
            self.wrong.push(name.to_owned());
        }
    }

    /// The same frame so many times, without waiting for answers: how many of these words come.
    pub(crate) async fn flood(&mut self, frame: &[u8], times: usize, word: &str) -> usize {
        self.again().await;
        for _ in 1..times {
            drop(timeout(ANSWER, self.control.0.write_all(frame)).await);
        }
        let answers = self.ask(frame).await;
        answers.iter().filter(|(said, _)| said == word).count()
    }

    pub(crate) async fn pause(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn over(self) -> (usize, Vec<String>) {
        self.link.close(0, "over");
        (self.said, self.wrong)
    }
}
