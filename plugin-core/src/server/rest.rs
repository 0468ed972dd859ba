//! Writing what tasks could not write at once. A thread that answers waits for room itself; a task must not, and whoever leads
//! may be waiting for bytes and not look.

use std::{
    sync::{Arc, Mutex},
    thread,
};

use crate::connection::{Connection, lock};

/// A thread that writes, while there is anything to write.
#[derive(Default)]
pub(super) struct Rest {
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Writing,
    /// More was left while it wrote; it may have looked before.
    WritingWithMore,
}

impl Rest {
    /// Has everything written, without waiting for it.
    pub(super) fn write(self: &Arc<Self>, connection: &Arc<Connection>) {
        let was = {
            let mut state = lock(&self.state);
            let next = if *state == State::Idle { State::Writing } else { State::WritingWithMore };
            std::mem::replace(&mut *state, next)
        };
        if was != State::Idle {
            return;
        }
        let (me, writing) = (Arc::clone(self), Arc::clone(connection));
        let spawned = thread::Builder::new().name("plugin-core writer".into()).spawn(move || {
            loop {
                writing.write_rest();
                if me.is_done() {
                    return;
                }
            }
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread could be started to write an answer: it waits for the next message");
            *lock(&self.state) = State::Idle;
        }
    }

    /// Whether nothing was left meanwhile. Under the lock under which others leave it: either this sees it, or they find that
    /// nobody writes.
    fn is_done(&self) -> bool {
        let mut state = lock(&self.state);
        *state = if *state == State::WritingWithMore { State::Writing } else { State::Idle };
        *state == State::Idle
    }
}
