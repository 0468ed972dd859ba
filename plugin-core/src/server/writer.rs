//! Writing what did not fit into the socket, where whoever sent it does not wait.
//!
//! A handler's thread writes the rest of its answer itself. Callers in a plugin, and whoever reads, must not wait for room: for
//! them a thread does, which is there for as long as that takes.

use crate::{
    connection::{Cause, Connection},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        thread,
    },
};

/// At most one thread that writes what is left.
#[derive(Default)]
pub(super) struct Writer {
    is_there: Arc<AtomicBool>,
}

impl Writer {
    /// Has what waits written. Never blocks.
    pub(super) fn write_rest(&self, connection: &Arc<Connection>) {
        if self.is_there.swap(true, Ordering::SeqCst) {
            return; // It looks again before it goes.
        }
        let (is_there, writing) = (Arc::clone(&self.is_there), Arc::clone(connection));
        let write = move || {
            loop {
                writing.write_rest();
                is_there.store(false, Ordering::SeqCst);
                // Whoever found it there meanwhile has left its message to it.
                if !writing.write_now() || is_there.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("plugin-core writer".into()).spawn(write) {
            connection.close(Cause::Lost(format!("no thread could be started to write: {error}")));
        }
    }
}
