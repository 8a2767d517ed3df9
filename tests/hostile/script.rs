//! A case as data: how far the exchange has come, what is said then, and what must come of it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use rogatory::base::Xid;
use rogatory::identity::Note;
use rogatory::net::Link;
use rogatory::net::quic::frames::{FrameFault, read_frame};
use rogatory::receipt;
use rogatory::wire::Frame;
use tokio::time::timeout;

use crate::attack::{ANSWER, Attacker, Parcel, closed, disclosures, hello, why_closed};

/// How far things have come when the case begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scene {
    /// A new connection: nothing was said on the control stream.
    Greeting,
    /// A new connection that is up; it is spoken on the control stream.
    Control,
    /// A new exchange stream.
    Fresh,
    /// The offer of a small package was said.
    Offered,
    /// Offer and disclosures of a small package.
    Small,
    /// Offer and disclosures of a large package.
    Large,
    /// The large package was accepted.
    Collecting,
    /// The small package is here, `consigned` has come.
    Consigned,
    /// And was countersigned.
    Countersigned,
    /// The header was said, `handover` has come.
    Answered,
    /// And was countersigned: all is over; a new stream.
    Settled,
}

impl Scene {
    /// Those of an exchange, in their order.
    pub(crate) const EXCHANGE: [Self; 8] = [
        Self::Fresh,
        Self::Offered,
        Self::Small,
        Self::Large,
        Self::Collecting,
        Self::Consigned,
        Self::Countersigned,
        Self::Answered,
    ];

    const fn is_large(self) -> bool {
        matches!(self, Self::Large | Self::Collecting)
    }

    /// Whether it needs a connection of its own.
    pub(crate) const fn alone(self) -> bool {
        matches!(self, Self::Greeting | Self::Control)
    }
}

/// One act of the attacker.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// Bytes on the stream.
    Bytes(Vec<u8>),
    /// A data stream, whole.
    Data(Vec<u8>),
    /// A data stream that is reset after these bytes.
    CutData(Vec<u8>),
    /// The stream ends here.
    Finish,
    /// The stream is given up, in the direction of the victim.
    Reset,
    /// Nothing more is read of the victim's answers.
    Stop,
}

/// The values that an act may depend on.
pub(crate) struct Stage<'a> {
    pub(crate) attacker: &'a Attacker,
    pub(crate) parcel: &'a Parcel,
    /// The victim's last receipt.
    pub(crate) note: Option<&'a Note>,
}

type Says = Box<dyn Fn(&Stage<'_>) -> Vec<Say> + Send + Sync>;

/// A named case.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) scene: Scene,
    says: Says,
    /// Words, any of which is right, with `|` between.
    want: String,
    parcel: Option<Parcel>,
}

impl Case {
    pub(crate) fn new(
        scene: Scene,
        name: impl Into<String>,
        want: impl Into<String>,
        says: impl Fn(&Stage<'_>) -> Vec<Say> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: format!("{scene:?}: {}", name.into()),
            scene,
            says: Box::new(says),
            want: want.into(),
            parcel: None,
        }
    }

    /// These bytes, whatever came before.
    pub(crate) fn bytes(
        scene: Scene,
        name: impl Into<String>,
        want: impl Into<String>,
        bytes: Vec<u8>,
    ) -> Self {
        Self::new(scene, name, want, move |_| vec![Say::Bytes(bytes.clone())])
    }

    /// This word is right too.
    pub(crate) fn or(mut self, want: &str) -> Self {
        self.want = format!("{}|{want}", self.want);
        self
    }

    /// With this package in place of a fresh one.
    pub(crate) fn of(mut self, parcel: Parcel) -> Self {
        self.parcel = Some(parcel);
        self
    }
}

/// A piece that the victim does not take in this time is one that it does not want.
const SAID: Duration = Duration::from_secs(10);

/// The answer to offers beyond the rate.
pub(crate) const TOO_MANY: &str = "later:rate";

/// The packages that attackers have really handed over.
pub(crate) static HANDED_OVER: Mutex<BTreeSet<Xid>> = Mutex::new(BTreeSet::new());

/// One exchange stream.
pub(crate) struct Talk {
    link: Link,
    send: SendStream,
    recv: RecvStream,
    pub(crate) note: Option<Note>,
}

impl Talk {
    pub(crate) async fn open(link: &Link) -> Result<Self, String> {
        let streams = timeout(ANSWER, link.connection.open_bi()).await;
        let streams = streams.map_err(|_| "no stream is free".to_owned())?;
        let (send, recv) = streams.map_err(|lost| closed(&lost))?;
        let (link, note) = (link.clone(), None);
        Ok(Self {
            link,
            send,
            recv,
            note,
        })
    }

    /// Says it, in a time; that the other end no longer listens is for the answer to tell.
    pub(crate) async fn say(&mut self, say: Say) {
        drop(timeout(SAID, self.said(say)).await);
    }

    async fn said(&mut self, say: Say) {
        match say {
            Say::Bytes(bytes) => drop(self.send.write_all(&bytes).await),
            Say::Data(bytes) => self.data(&bytes, false).await,
            Say::CutData(bytes) => self.data(&bytes, true).await,
            Say::Finish => drop(self.send.finish()),
            Say::Reset => drop(self.send.reset(7_u32.into())),
            Say::Stop => drop(self.recv.stop(7_u32.into())),
        }
    }

    async fn data(&self, bytes: &[u8], cut: bool) {
        let Ok(mut stream) = self.link.connection.open_uni().await else {
            return;
        };
        drop(stream.write_all(bytes).await);
        if cut {
            drop(stream.reset(7_u32.into()));
        } else {
            drop(stream.finish());
        }
    }

    async fn frame(&mut self) -> Result<Option<Frame>, String> {
        match timeout(ANSWER, read_frame(&mut self.recv)).await {
            Err(_) => Err("silence".to_owned()),
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(FrameFault::Lost(lost))) => Err(closed(&lost)),
            Ok(Err(fault)) => Err(fault.code().to_owned()),
        }
    }

    /// The next receipt, which must be good.
    pub(crate) async fn receipt(&mut self, attacker: &Attacker) -> Result<Note, String> {
        loop {
            match self.frame().await? {
                Some(Frame::Receipt(bytes)) => {
                    let note = Note::parse(&bytes).map_err(|e| e.to_string())?;
                    let opened = receipt::open(&note).map_err(|e| e.to_string())?;
                    let ours = receipt::PartyKeys::new(1, attacker.keys.receipts.public());
                    let theirs = receipt::PartyKeys::new(1, attacker.victim_key().clone());
                    receipt::verify(&note, &opened, &ours, &theirs, false)
                        .map_err(|e| e.to_string())?;
                    return Ok(note);
                }
                Some(Frame::Accept { .. }) => {}
                Some(Frame::Later(later)) => return Err(format!("later:{}", later.code)),
                other => return Err(format!("{other:?} in place of a receipt")),
            }
        }
    }

    pub(crate) async fn accepted(&mut self) -> Result<(), String> {
        match self.frame().await? {
            Some(Frame::Accept { .. }) => Ok(()),
            Some(Frame::Later(later)) => Err(format!("later:{}", later.code)),
            other => Err(format!("{other:?} in place of accept")),
        }
    }

    /// How the other end ends it, in a word.
    pub(crate) async fn end(&mut self) -> String {
        loop {
            match self.frame().await {
                // What it says unasked, of papers and of logs.
                Ok(Some(
                    Frame::Accept { .. }
                    | Frame::Card(_)
                    | Frame::Crl(_)
                    | Frame::Held(_)
                    | Frame::AddCheckpoint(_)
                    | Frame::Knows(_)
                    | Frame::Gossip(_),
                )) => {}
                Ok(Some(Frame::Fault(fault))) => return fault.code,
                Ok(Some(Frame::Later(later))) => return format!("later:{}", later.code),
                Ok(Some(Frame::Receipt(bytes))) => return statement(&bytes),
                Ok(Some(other)) => return other.kind().to_string(),
                Ok(None) => return "finished".to_owned(),
                Err(word) => return word,
            }
        }
    }
}

/// A receipt in a word: its kind, and the reason where it has one.
fn statement(bytes: &[u8]) -> String {
    let opened = Note::parse(bytes)
        .ok()
        .and_then(|note| receipt::open(&note).ok());
    let Some(opened) = opened else {
        return "a bad receipt".to_owned();
    };
    match opened.reason {
        Some(reason) => format!("{}:{}", opened.kind, reason.code),
        None => opened.kind.to_string(),
    }
}

pub(crate) fn countersigned(attacker: &Attacker, note: &Note) -> Vec<u8> {
    let both = note.countersign(&attacker.keys.receipts).unwrap();
    Frame::Receipt(both.bytes().to_vec()).encode()
}

/// A stream on which the exchange has come as far as the scene demands.
pub(crate) async fn enter(
    attacker: &Attacker,
    link: &Link,
    scene: Scene,
    parcel: &Parcel,
) -> Result<Talk, String> {
    let mut talk = Talk::open(link).await?;
    if scene == Scene::Fresh {
        return Ok(talk);
    }
    talk.say(Say::Bytes(attacker.offer(&parcel.receipt))).await;
    if scene == Scene::Offered {
        return Ok(talk);
    }
    talk.say(Say::Bytes(disclosures())).await;
    match scene {
        Scene::Greeting
        | Scene::Control
        | Scene::Fresh
        | Scene::Offered
        | Scene::Small
        | Scene::Large => {}
        Scene::Collecting => {
            talk.say(Say::Data(parcel.list())).await;
            talk.accepted().await?;
        }
        Scene::Consigned | Scene::Countersigned | Scene::Answered | Scene::Settled => {
            talk.say(Say::Data(parcel.list())).await;
            talk.say(Say::Data(parcel.segments(0, &parcel.payload)))
                .await;
            proceed(attacker, &mut talk, scene, parcel).await?;
        }
    }
    if scene == Scene::Settled {
        return Talk::open(link).await;
    }
    Ok(talk)
}

/// From the payload to the scene.
async fn proceed(
    attacker: &Attacker,
    talk: &mut Talk,
    scene: Scene,
    parcel: &Parcel,
) -> Result<(), String> {
    let consigned = talk.receipt(attacker).await?;
    talk.note = Some(consigned.clone());
    if scene == Scene::Consigned {
        return Ok(());
    }
    talk.say(Say::Bytes(countersigned(attacker, &consigned)))
        .await;
    if scene == Scene::Countersigned {
        return Ok(());
    }
    let header = Frame::Header(parcel.header.clone()).encode();
    talk.say(Say::Bytes(header)).await;
    let handover = talk.receipt(attacker).await?;
    talk.note = Some(handover.clone());
    if scene == Scene::Settled {
        talk.say(Say::Bytes(countersigned(attacker, &handover)))
            .await;
        let end = talk.end().await;
        if end != "done" {
            return Err(end);
        }
        HANDED_OVER.lock().unwrap().insert(parcel.xid());
    }
    Ok(())
}

/// Plays a case; what is wrong, if anything. Where the victim has had enough offers for now, it is played again.
pub(crate) async fn check(attacker: &Attacker, link: &Link, case: &Case) -> Option<String> {
    let mut got = String::new();
    for _ in 0..20 {
        let played = match case.scene {
            Scene::Greeting => greeting(attacker, case).await,
            Scene::Control => control(attacker, case).await,
            Scene::Fresh
            | Scene::Offered
            | Scene::Small
            | Scene::Large
            | Scene::Collecting
            | Scene::Consigned
            | Scene::Countersigned
            | Scene::Answered
            | Scene::Settled => exchange(attacker, link, case).await,
        };
        got = played.unwrap_or_else(|why| why);
        if got != TOO_MANY {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let right = case.want.split('|').any(|want| want == got);
    (!right).then(|| format!("{}: {got} in place of {}", case.name, case.want))
}

async fn exchange(attacker: &Attacker, link: &Link, case: &Case) -> Result<String, String> {
    let fresh = if case.scene.is_large() {
        attacker.large()
    } else {
        attacker.honest()
    };
    let parcel = case.parcel.as_ref().unwrap_or(&fresh);
    let mut talk = enter(attacker, link, case.scene, parcel).await?;
    let note = talk.note.take();
    let stage = Stage {
        attacker,
        parcel,
        note: note.as_ref(),
    };
    loop {
        for say in (case.says)(&stage) {
            talk.say(say).await;
        }
        let end = talk.end().await;
        // A header that opens nothing is asked for once more.
        let asked = end == "consigned" && case.scene == Scene::Countersigned;
        let Some(consigned) = note.as_ref().filter(|_| asked) else {
            return Ok(end);
        };
        let both = countersigned(attacker, consigned);
        talk.say(Say::Bytes(both)).await;
    }
}

async fn greeting(attacker: &Attacker, case: &Case) -> Result<String, String> {
    let link = attacker.dial().await;
    let mut talk = Talk::open(&link).await?;
    let (parcel, note) = (attacker.honest(), None);
    for say in (case.says)(&Stage {
        attacker,
        parcel: &parcel,
        note,
    }) {
        talk.say(say).await;
    }
    Ok(why_closed(&link).await)
}

async fn control(attacker: &Attacker, case: &Case) -> Result<String, String> {
    let link = attacker.dial().await;
    let mut talk = Talk::open(&link).await?;
    talk.say(Say::Bytes(Frame::Hello(hello()).encode())).await;
    match talk.frame().await? {
        Some(Frame::Hello(_)) => {}
        other => return Err(format!("{other:?} in place of hello")),
    }
    let (parcel, note) = (attacker.honest(), None);
    for say in (case.says)(&Stage {
        attacker,
        parcel: &parcel,
        note,
    }) {
        talk.say(say).await;
    }
    let end = talk.end().await;
    link.close(0, "over");
    Ok(end)
}
