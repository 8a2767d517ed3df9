//! Short questions to the ledger, answered together: one thread, one connection, one look for all that wait.
//!
//! A look by itself costs more than most questions: whoever reads after a commit has to drop the pages it remembers.

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::store::index::Handle;
use crate::store::writer::execute;
use crate::store::{StoreFault, sql};

/// Questions that may wait.
const QUESTIONS_MAX: usize = 1_024;
/// Questions answered in one look.
const TOGETHER_MAX: usize = 128;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// Where questions are asked. Its thread ends with the last clone.
#[derive(Clone)]
pub(crate) struct Desk(mpsc::Sender<Question>);

impl Desk {
    /// Starts the thread on this connection for reading.
    pub(crate) fn open(db: Connection, index: Handle) -> Result<Self, StoreFault> {
        let (to, queue) = mpsc::channel(QUESTIONS_MAX);
        std::thread::Builder::new()
            .name("ledger-desk".to_owned())
            .spawn(move || {
                answer(&db, queue);
                drop(db);
                drop(index);
            })
            .map_err(|e| StoreFault::Damaged(format!("its thread does not start: {e}")))?;
        Ok(Self(to))
    }

    /// Asks; the answer sees everything that was committed before.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let (to, answer) = oneshot::channel();
        let question: Question = Box::new(move |db| {
            // Whoever asked may have gone away meanwhile.
            drop(to.send(query(db)));
        });
        let closed = |_| StoreFault::Closed;
        self.0
            .send(question)
            .await
            .map_err(|_| StoreFault::Closed)?;
        Ok(answer.await.map_err(closed)??)
    }
}

fn answer(db: &Connection, mut queue: mpsc::Receiver<Question>) {
    let mut together = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        together.push(first);
        while together.len() < TOGETHER_MAX {
            match queue.try_recv() {
                Ok(question) => together.push(question),
                Err(_) => break,
            }
        }
        // All were asked before the look begins. Without one, each question takes its own.
        let looks = together.len() > 1 && execute(db, sql::LOOK).is_ok();
        for question in together.drain(..) {
            question(db);
        }
        if looks && let Err(e) = execute(db, sql::COMMIT) {
            tracing::warn!("the ledger's reader cannot end its look: {e}");
        }
    }
}
