//! What whoever watches a link must know and do while no caller reads it.

use super::{Attendance, Connection, Presence, baton::Left, lock, read::Progress};
use crate::{sync::Arc, transport::Link};

impl Connection {
    /// The link there is, and which it is.
    pub(crate) fn present_link(&self) -> Option<(Arc<dyn Link>, u64)> {
        let outbox = lock(&self.outbox);
        Some((Arc::clone(outbox.present()?), outbox.generation()))
    }

    /// Who reads the link of that generation.
    pub(crate) fn presence(&self, generation: u64) -> Presence {
        lock(&self.calls).baton.presence(generation)
    }

    /// Notes that somebody waits for the bytes of the link of `generation`, while nobody reads it.
    #[cfg(any(unix, feature = "tokio"))]
    pub(crate) fn attend(&self, generation: u64, attendance: Attendance) {
        lock(&self.calls).baton.attend(generation, attendance);
    }

    /// Notes that whoever waited for the bytes of the link of `generation` does so no more.
    #[cfg(feature = "tokio")]
    pub(crate) fn unattended(self: &Arc<Self>, generation: u64) {
        self.attend(generation, Attendance::Nobody);
        let is_awaited = {
            let mut calls = lock(&self.calls);
            calls.tasks.count > 0 && calls.baton.attendance() == Some(Attendance::Nobody)
        };
        if is_awaited {
            // The watcher's: whoever calls this may be part of a runtime that is ending.
            self.handler.neglected(self);
        }
        self.handler.unread(self);
    }

    /// Reads what there is without waiting, if nobody else reads: [`Progress::Some`] if there may be more,
    /// [`Progress::Over`] if the link of `generation` is not the one any more. The `attendance` is that of whoever calls this,
    /// and goes on waiting for the link's bytes.
    pub(crate) fn read_what_is_there(self: &Arc<Self>, generation: u64, attendance: Attendance) -> Progress {
        let Some(mut reading) = self.take_reading() else {
            let is_gone = self.presence(generation) == Presence::Gone;
            return if is_gone { Progress::Over } else { Progress::Nothing };
        };
        let progress = self.read_at_once(&mut reading);
        if progress == Progress::Over {
            return Progress::Over;
        }
        let read = reading.generation;
        let is_taken = {
            let mut calls = lock(&self.calls);
            let is_taken = calls.leave(reading) == Left::Taken;
            calls.baton.attend(generation, attendance);
            is_taken
        };
        // Others have left their messages to this thread, which promised to write them. Whoever has it now does so, too.
        if !is_taken && self.write_before_waiting(read) {
            self.handler.stalled(self);
        }
        if read == generation { progress } else { Progress::Over }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{self, IoSlice};

    use super::*;
    use crate::{
        connection::{Options, tests::Reads},
        protocol::frame::{Deframer, Header, Kind, MAX_PAYLOAD, MORE},
        transport::local,
    };

    #[test]
    fn nothing_is_left_in_a_link_that_is_said_to_be_empty() {
        let (link, other) = local::pair().unwrap();
        let options = Options { max_message: usize::MAX, yields: false, ticks: false };
        let connection = Connection::start(Box::new(link), Deframer::new(), Arc::new(Reads), options).unwrap();
        let (link, generation) = connection.present_link().unwrap();
        let header =
            Header { length: u32::try_from(MAX_PAYLOAD).unwrap(), kind: Kind::Value as u8, ..Header::default() };
        let bytes = [&header.to_wire()[..], &vec![0; MAX_PAYLOAD]].concat();
        // Whether what has come is half a frame, the other half, or several; of a message of one frame, or of more.
        let begins = Header { flags: MORE, ..header };
        let more = [&begins.to_wire()[..], &vec![0; MAX_PAYLOAD]].concat();
        let [half, other_half] = [&bytes[..bytes.len() / 2], &bytes[bytes.len() / 2..]];
        for sent in [half, other_half, &bytes.repeat(2), &more, half, other_half, &more, &[&more[..], half].concat()] {
            let count = other.try_write_pieces(&[IoSlice::new(sent)]).unwrap();
            assert_eq!(count, sent.len());
            while connection.read_what_is_there(generation, Attendance::Driven) == Progress::Some {}
            let left = link.pollable().unwrap().try_read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(left, Err(io::ErrorKind::WouldBlock), "behind {count} bytes");
        }
    }
}
