//! A thread that writes what others could not write at once, where nobody can wait for a link and be interrupted.

use std::io;

use super::{Outbox, Writing, end_link};
use crate::{
    connection::{Connection, lock},
    protocol::batch::Batch,
    sync::{Arc, MutexGuard, PoisonError},
    transport::Link,
};

impl Connection {
    /// Lets a writer thread see to what cannot be written at once, from now on.
    pub(in crate::connection) fn start_writer(self: &Arc<Self>) -> io::Result<()> {
        if !std::mem::replace(&mut lock(&self.outbox).has_writer, true) {
            self.spawn("plugin-core writer", Self::write_until_closed)?;
        }
        Ok(())
    }

    /// The writer thread: writes whenever the writing is handed to it, until the connection closes.
    fn write_until_closed(self: &Arc<Self>) {
        let mut outbox = lock(&self.outbox);
        loop {
            while outbox.writing != Writing::Writer && outbox.end.is_none() {
                outbox = self.work.wait(outbox).unwrap_or_else(PoisonError::into_inner);
            }
            if outbox.end.is_some() {
                return;
            }
            let Some((link, generation, mut batch)) = outbox.begin_batch(Writing::Writer) else {
                outbox.writing = Writing::Nobody;
                continue;
            };
            let departed = outbox.queue.departed();
            drop(outbox);
            drop(departed);
            let written = write_all(&*link, &mut batch);
            if written.is_err() {
                end_link(&*link);
            }
            batch.clear();
            outbox = lock(&self.outbox);
            if outbox.generation == generation && outbox.link.is_some() {
                outbox.spare = batch;
                // A failed link is left to `Writer`, which has nothing to do until the reader has found its end.
                if written.is_err() {
                    outbox = self.wait_unlinked(outbox, generation);
                } else if outbox.is_written() {
                    outbox.writing = Writing::Nobody;
                }
            }
            self.changed.notify_all();
        }
    }

    /// Waits until the link of `generation` is gone.
    fn wait_unlinked<'a>(&self, mut outbox: MutexGuard<'a, Outbox>, generation: u64) -> MutexGuard<'a, Outbox> {
        while outbox.generation == generation && outbox.is_linked() && outbox.end.is_none() {
            outbox.waiting += 1;
            outbox = self.changed.wait(outbox);
            outbox.waiting -= 1;
        }
        outbox
    }
}

fn write_all(link: &dyn Link, batch: &mut Batch) -> io::Result<()> {
    while !batch.is_written() {
        let bytes = batch.unwritten().next();
        match bytes.map_or(Ok(0), |bytes| link.write(bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => batch.advance(count),
        }
    }
    Ok(())
}
