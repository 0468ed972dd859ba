//! Oneway calls: sent in order, as many as the other side takes, and answered by nothing.

use super::{
    Connection, lock,
    outbox::{Outbox, Sent, Unsent},
};
use crate::{
    protocol::{Violation, message::Message},
    sync::{Arc, Instant, MutexGuard},
};

impl Connection {
    /// Queues a oneway call behind all that were queued before it, waiting for room until `deadline`; gives it back if there
    /// is none.
    pub(crate) fn send_oneway(
        self: &Arc<Self>,
        call: Message,
        deadline: Option<Instant>,
    ) -> Result<(), (Unsent, Message)> {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err((Unsent::Late, call));
        }
        let mut outbox = lock(&self.outbox);
        let length = call.length();
        if !outbox.oneway_line.is_empty() || !outbox.takes_oneway(length) {
            let is_admitted;
            (outbox, is_admitted) = self.wait_in_oneway_line(outbox, length, deadline);
            if !is_admitted {
                return Err((Unsent::Late, call));
            }
        }
        if self.push(outbox, call)? == Sent::Partly {
            self.handler.stalled(self);
        }
        Ok(())
    }

    /// Waits until a call of `length` bytes may be added or the connection has ended; `false` where neither came in time.
    fn wait_in_oneway_line<'a>(
        &'a self,
        mut outbox: MutexGuard<'a, Outbox>,
        length: usize,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, Outbox>, bool) {
        let place = outbox.oneway_line.join();
        let is_next = |outbox: &Outbox| outbox.oneway_line.lets(place) && outbox.queue.may_send_oneway();
        let (mut outbox, mut is_admitted) = self.wait_until(outbox, deadline, is_next);
        // Still the next of this line, so that nobody else takes the room that the other side has.
        if is_admitted && !outbox.takes_oneway(length) {
            (outbox, is_admitted) = self.wait_in_line(outbox, length, deadline);
        }
        outbox.oneway_line.leave(place);
        // Whoever is next may go now.
        self.changed.notify_all();
        (outbox, is_admitted)
    }

    /// Takes note of a oneway call from the other side, and has it run.
    pub(super) fn oneway_arrived(self: &Arc<Self>, call: Message) -> Result<(), Violation> {
        lock(&self.outbox).queue.oneway_received(call.payload.len())?;
        self.handler.oneway(self, call);
        Ok(())
    }

    /// Takes note that this side has finished with the oldest oneway call from the other side. Never blocks.
    pub(crate) fn oneway_finished(&self) -> Sent {
        let mut outbox = lock(&self.outbox);
        if outbox.end().is_some() || !outbox.queue.oneway_finished() {
            return Sent::Cared;
        }
        self.write_unless_reader_does(outbox)
    }

    /// Tells the other side of all its oneway calls that are finished. Never blocks.
    pub(crate) fn tell_oneways_finished(&self) -> Sent {
        let mut outbox = lock(&self.outbox);
        if outbox.end().is_some() || !outbox.queue.tell_oneways_finished() {
            return Sent::Cared;
        }
        self.write_unless_reader_does(outbox)
    }

    /// Whether the other side has not finished with all oneway calls, as far as is known.
    pub(crate) fn has_oneways(&self) -> bool {
        lock(&self.outbox).queue.has_oneways()
    }

    /// Takes note that the other side has finished with `count` oneway calls; whether somebody waits, and is to look again.
    pub(super) fn credited(&self, count: u32) -> Result<bool, Violation> {
        let mut outbox = lock(&self.outbox);
        outbox.queue.credited(count)?;
        Ok(outbox.waiting > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::mpsc,
        task::{Context, Wake, Waker},
        thread,
        time::Duration,
    };

    use super::*;
    use crate::{
        connection::tests::{connect, promptly},
        protocol::{
            frame::{Header, Kind},
            oneway::MESSAGES,
        },
        transport::Link,
    };

    /// The other side has finished with one.
    const CREDIT: Header =
        Header { kind: Kind::Credit as u8, call: 1, length: 0, ack: 0, target: 0, deadline: 0, method: 0, flags: 0 };

    fn call() -> Message {
        Message::answer(Kind::Oneway, 0, vec![0; 10])
    }

    /// Whether a call is late that waits for a moment.
    fn is_late(connection: &Arc<Connection>) -> bool {
        let deadline = Instant::now() + Duration::from_millis(50);
        match connection.send_oneway(call(), Some(deadline)) {
            Err((unsent, back)) => unsent == Unsent::Late && back == call() && Instant::now() >= deadline,
            Ok(()) => false,
        }
    }

    #[test]
    fn whoever_waits_for_the_other_side_to_finish_is_woken_by_that_alone() {
        let (connection, other) = connect();
        (0..MESSAGES).for_each(|_| connection.send_oneway(call(), None).unwrap());
        assert!(is_late(&connection));
        let waits = Arc::clone(&connection);
        let waiting = thread::spawn(move || waits.send_oneway(call(), None).is_ok());
        while lock(&connection.outbox).oneway_line.is_empty() {
            thread::yield_now();
        }
        other.write(&CREDIT.to_wire()).unwrap();
        assert!(promptly(move || waiting.join().unwrap()));
        assert!(is_late(&connection), "there was room for one");
        assert!(lock(&connection.outbox).oneway_line.is_empty(), "who is late has left the line");
    }

    /// Takes note whether who reads holds a lock.
    struct Looks(Arc<Connection>, mpsc::Sender<bool>);

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            let is_locked = self.0.inbox.try_lock().is_err() || self.0.outbox.try_lock().is_err();
            self.1.send(is_locked).unwrap();
        }
    }

    #[test]
    fn a_task_that_waits_for_the_other_side_to_finish_is_woken_where_nothing_is_locked() {
        let (connection, other) = connect();
        (0..MESSAGES).for_each(|_| connection.send_oneway(call(), None).unwrap());
        let (looked, looks) = mpsc::channel();
        let waker = Waker::from(Arc::new(Looks(Arc::clone(&connection), looked)));
        let mut waits = pin!(connection.send_oneway_async(call(), None));
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        other.write(&CREDIT.to_wire()).unwrap();
        assert_eq!(looks.recv_timeout(Duration::from_secs(20)), Ok(false));
        assert!(waits.poll(&mut Context::from_waker(&waker)).is_ready());
    }

    #[test]
    fn nobody_goes_before_those_who_came_earlier() {
        let (connection, _unread) = connect();
        let place = lock(&connection.outbox).oneway_line.join();
        assert!(is_late(&connection));
        lock(&connection.outbox).oneway_line.leave(place);
        assert!(!is_late(&connection));
    }
}
