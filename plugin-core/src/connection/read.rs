//! Receiving: bytes to messages, and each message to whom it concerns.
//!
//! Whoever holds the [`Reading`] calls [`read_on`](Connection::read_on) again and again. One turn writes what waits, for
//! everybody; waits for bytes; notes what all the frames in them say; and only then wakes those who were answered. While a
//! reader is awake, others need not write: it does so before it waits again. That is how many callers share few system calls.

use std::io::{self, IoSliceMut};

use super::{
    Cause, Connection,
    baton::{Attendance, Left, Reading},
    lock,
    waiter::Woken,
};
use crate::{
    protocol::{
        Violation,
        direct::{self, Fragment},
        frame::Kind,
        incoming::Incoming,
        message::Message,
        metadata::{self, FIRST_OBJECT, Metadata},
    },
    sync::{Arc, Instant, thread},
    transport::{Link, Pollable, TICK},
};

/// After how many frames of one turn no more are received: what waits to be written has waited for long enough.
const MAX_FRAMES: usize = 16;

/// How many requests are handed on together.
const REQUESTS: usize = 64;

/// How many turns are taken at once where there is always more to read: of a few hundred KiB, while others wait for the thread.
#[cfg(any(unix, test))]
const MAX_TURNS: usize = 4;

/// What has come of one turn of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Frames have been taken.
    Some,
    /// Nothing came in time.
    Nothing,
    /// Nothing will come any more by this reading.
    Over,
}

/// What has become of a reading that was to be taken from a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recalled {
    /// That handler does not hold it up any more.
    NotLent,
    /// Somebody else has it now.
    Taken,
    /// Nobody has.
    Free,
}

/// What a turn of reading has brought, to be seen to behind a lock, or behind all frames.
#[derive(Default)]
pub(super) struct Brought {
    /// Those to be woken.
    woken: Vec<Woken>,
    /// Somebody waits for room in the outbox, and there is some, or for the other side to finish with oneway calls.
    has_room: bool,
    /// Requests that came one after the other, for the interfaces of the greeting and without metadata.
    requests: Vec<Message>,
}

/// What became of received frames.
enum Taken {
    Frames(usize),
    /// Another link has taken this one's place; what it still brings will come again there.
    Outdated,
}

impl Connection {
    /// Writes what waits, then waits for frames, at most until `until`, and takes them.
    pub(crate) fn read_on(self: &Arc<Self>, reading: &mut Reading, until: Option<Instant>) -> Progress {
        if std::mem::take(&mut reading.is_fresh) {
            // What came behind the greeting.
            match self.take_frames(reading) {
                Progress::Nothing => {}
                progress => return progress,
            }
        }
        let is_stalled = self.write_before_waiting(reading.generation);
        let link = Arc::clone(&reading.link);
        let received = match link.pollable() {
            Some(link) => self.receive(link, reading, until, is_stalled),
            None => link.read(reading.deframer.space()),
        };
        self.take_received(reading, &*link, received)
    }

    fn take_received(
        self: &Arc<Self>,
        reading: &mut Reading,
        link: &dyn Link,
        received: io::Result<usize>,
    ) -> Progress {
        let reason = match received {
            Ok(0) if reading.deframer.is_inside_frame() => "the connection ended inside a frame".into(),
            Ok(0) => "the other side closed the connection".into(),
            Ok(count) => {
                reading.deframer.filled(count);
                self.heard();
                return self.take_frames(reading);
            }
            Err(error) if is_timeout(&error) => return Progress::Nothing,
            Err(error) => format!("reading failed: {error}"),
        };
        link.close();
        self.link_lost(reading.generation, reason);
        Progress::Over
    }

    /// Reads without waiting: all that is there, or [`Progress::Some`] of it, so that this thread can do something else before
    /// it goes on.
    #[cfg(any(unix, test))]
    pub(super) fn read_at_once(self: &Arc<Self>, reading: &mut Reading) -> Progress {
        if std::mem::take(&mut reading.is_fresh) {
            // What came behind the greeting.
            match self.take_frames(reading) {
                Progress::Nothing => {}
                Progress::Some => return Progress::Some,
                Progress::Over => return Progress::Over,
            }
        }
        let link = Arc::clone(&reading.link);
        let Some(pollable) = link.pollable() else { return Progress::Nothing };
        for _ in 0..MAX_TURNS {
            let space = reading.deframer.space();
            let most = space.len();
            reading.has_left_some = false;
            let received = pollable.try_read(space);
            // A stream that gives less than it could has no more. Whoever waits for the next bytes is told of no others, so
            // it matters that these are all, be they whole frames or not.
            let is_all = received.as_ref().map_or_else(is_timeout, |count| *count < most);
            match self.take_received(reading, &*link, received) {
                Progress::Over => return Progress::Over,
                Progress::Some | Progress::Nothing if is_all && !reading.has_left_some => return Progress::Nothing,
                Progress::Some | Progress::Nothing => {}
            }
        }
        Progress::Some
    }

    /// Waits for bytes, at most until `until`, and while it waits writes what could not be written at once.
    fn receive(
        &self,
        link: &dyn Pollable,
        reading: &mut Reading,
        until: Option<Instant>,
        mut is_stalled: bool,
    ) -> io::Result<usize> {
        let mut now = Instant::now();
        while is_stalled {
            let left = until.map_or(TICK, |until| until.saturating_duration_since(now).min(TICK));
            link.wait(true, true, left)?;
            match link.try_read(reading.deframer.space()) {
                Err(error) if is_timeout(&error) => {}
                outcome => return outcome,
            }
            is_stalled = self.write_before_waiting(reading.generation);
            now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        let began = now;
        if let Some(give_up) = reading.patience.begin(began).filter(|_| !self.is_crowded(reading)) {
            if let Some(count) = yielding(link, reading, began, give_up)? {
                return Ok(count);
            }
            now = Instant::now();
        }
        let left = until.map(|until| until.saturating_duration_since(now));
        let outcome = link.read_within(reading.deframer.space(), left);
        if reading.patience.is_learning() {
            reading.patience.blocked(began, Instant::now());
        }
        outcome
    }

    /// Whether several callers share the connection at the moment: then what one turn brings is for many, and yielding
    /// would only make them come one by one.
    fn is_crowded(&self, reading: &Reading) -> bool {
        reading.last_frames > 1 || lock(&self.calls).len() > 1
    }

    /// Takes all the frames that are there.
    fn take_frames(self: &Arc<Self>, reading: &mut Reading) -> Progress {
        let mut brought = std::mem::take(&mut reading.brought);
        let taken = self.take_frames_locked(reading, &mut brought);
        let woken = &mut brought.woken;
        // Without a lock, and while this thread is known to be awake: what the woken ones send next is written with whatever
        // else this thread writes before it waits again.
        let are_several = woken.iter().filter(|woken| woken.is_thread()).count() > 1;
        Woken::wake_all(woken);
        if std::mem::take(&mut brought.has_room) {
            self.changed.notify_all();
        }
        reading.brought = brought;
        if are_several {
            // Or they would find this thread gone, or waiting, and each would have to write for itself.
            thread::yield_now();
        }
        match taken {
            Ok(Taken::Frames(0)) => Progress::Nothing,
            Ok(Taken::Frames(count)) => {
                reading.last_frames = count;
                Progress::Some
            }
            Ok(Taken::Outdated) => Progress::Over,
            Err(violation) => {
                self.close(Cause::Violation(violation));
                Progress::Over
            }
        }
    }

    fn take_frames_locked(self: &Arc<Self>, reading: &mut Reading, brought: &mut Brought) -> Result<Taken, Violation> {
        // Until the end, so that what the next link brings comes behind all of this.
        let mut inbox = lock(&self.inbox);
        if inbox.generation != reading.generation {
            return Ok(Taken::Outdated);
        }
        let mut count = 0;
        let mut acknowledged = None;
        // Kept from one answer to the next, and for nothing else.
        let mut calls = None;
        loop {
            let (header, message) = if let Some(frame) = reading.deframer.next()? {
                (frame.header, inbox.incoming.accept(&frame)?)
            } else {
                calls = None;
                self.hand_on_requests(brought);
                match receive_fragment(reading, &mut inbox.incoming, count < MAX_FRAMES)? {
                    Some(Fragment { header, message }) => (header, message),
                    None => break,
                }
            };
            if acknowledged != Some(header.ack) {
                acknowledged = Some(header.ack);
                calls = None;
                brought.has_room |= self.acknowledged(header.ack)?;
            }
            count += 1;
            match message {
                // With it, nothing is dropped but bytes, should nobody wait for it.
                Some(answer) if answer.kind.is_answer() && !answer.meta => {
                    let answered = calls.get_or_insert_with(|| lock(&self.calls)).answer(answer);
                    brought.woken.extend(answered.unwrap_or_default());
                }
                Some(request) if is_plain(&request) && brought.requests.len() < REQUESTS => {
                    brought.requests.push(request);
                }
                Some(message) => {
                    calls = None;
                    // In the order in which they came: it may cancel one of them.
                    self.hand_on_requests(brought);
                    self.route(message, brought)?;
                }
                None => {}
            }
        }
        drop(calls);
        if count > 0 {
            self.received(inbox.incoming.received());
        }
        Ok(Taken::Frames(count))
    }

    fn hand_on_requests(self: &Arc<Self>, brought: &mut Brought) {
        if !brought.requests.is_empty() {
            self.handler.requests(self, &mut brought.requests);
        }
    }

    fn route(self: &Arc<Self>, mut message: Message, brought: &mut Brought) -> Result<(), Violation> {
        let woken = &mut brought.woken;
        // What cannot be read is told by whoever decodes the values behind it.
        let metadata =
            if message.meta { Metadata::read(&message.payload).unwrap_or_default() } else { Metadata::default() };
        if metadata.has_objects() {
            message.cargo = self.take_over(&metadata)?;
        }
        match message.kind {
            Kind::Oneway => return self.oneway_arrived(message),
            Kind::Credit => brought.has_room |= self.credited(message.call)?,
            Kind::Request if message.meta || metadata::is_lent(message.target) => {
                self.request_arrived(message, metadata.parent, woken);
            }
            Kind::Request => self.handler.request(self, message),
            Kind::Notice => return self.notice_arrived(message, woken),
            Kind::Declare => return self.interface_declared(&message),
            Kind::Release => return self.released(message.target, message.call),
            Kind::Items | Kind::End => return self.stream_arrived(message, woken),
            Kind::Demand => return self.demanded(message.target, message.call),
            Kind::Value | Kind::Error | Kind::Failure | Kind::Pong => {
                let answered = lock(&self.calls).answer(message);
                // One that nobody waits for is dropped without the lock: it may have brought objects.
                woken.extend(answered.unwrap_or_default());
            }
            Kind::Ping => self.send_control(Message::control(Kind::Pong, message.call)),
            Kind::Goodbye => self.handler.goodbye(),
            Kind::Cancel => self.cancel_arrived(message.call, woken),
            Kind::Ack | Kind::Hello | Kind::Welcome | Kind::Refused => {}
        }
        Ok(())
    }

    /// Takes the reading, if nobody has it.
    pub(crate) fn take_reading(&self) -> Option<Box<Reading>> {
        lock(&self.calls).baton.take()
    }

    /// Gives the reading back, to a caller that sleeps or to whoever comes.
    pub(crate) fn leave(self: &Arc<Self>, reading: Box<Reading>) {
        let generation = reading.generation;
        let is_awaited = {
            let mut calls = lock(&self.calls);
            if calls.leave(reading) == Left::Taken {
                // Whoever has it now is awake, and writes what others have left to this thread, before it waits.
                return;
            }
            calls.tasks.count > 0 && calls.baton.attendance() == Some(Attendance::Nobody)
        };
        // Others have left their messages to this thread, which promised to write them.
        if self.write_before_waiting(generation) {
            self.handler.stalled(self);
        }
        if is_awaited {
            self.handler.awaited(self);
        }
        self.handler.unread(self);
    }

    /// Lends the reading while the handler of this thread runs; the number to ask it back by, unless the link has been replaced.
    pub(crate) fn lend(&self, reading: Box<Reading>) -> Option<u64> {
        lock(&self.calls).baton.lend(reading)
    }

    /// Asks back what was lent; `None` where it was taken meanwhile.
    pub(crate) fn reclaim(&self, handler: u64) -> Option<Box<Reading>> {
        lock(&self.calls).baton.reclaim(handler)
    }

    /// Takes the reading from the thread that runs the handler of that number, if it still does.
    pub(crate) fn recall(self: &Arc<Self>, handler: u64) -> Recalled {
        let mut calls = lock(&self.calls);
        let Some(reading) = calls.baton.reclaim(handler) else { return Recalled::NotLent };
        match calls.leave(reading) {
            Left::Taken => Recalled::Taken,
            Left::Free => Recalled::Free,
        }
    }

    /// The thread that does nothing but read one link, where others cannot.
    pub(super) fn read_link(self: &Arc<Self>, mut reading: Box<Reading>) {
        while self.read_on(&mut reading, None) != Progress::Over {}
    }
}

/// Whether nothing has to be known of a request but whom it asks: with all others, more may have to do.
fn is_plain(message: &Message) -> bool {
    message.kind == Kind::Request && !message.meta && message.target < FIRST_OBJECT
}

/// Takes a fragment of a large message, and for that receives more, without waiting, if it may.
fn receive_fragment(
    reading: &mut Reading,
    incoming: &mut Incoming,
    may_receive: bool,
) -> Result<Option<Fragment>, Violation> {
    let Some(link) = reading.link.pollable() else { return Ok(None) };
    let has_left_some = &mut reading.has_left_some;
    direct::receive(&mut reading.deframer, incoming, |payload, header| {
        if !may_receive {
            *has_left_some = true;
            return 0;
        }
        let most = payload.len() + header.len();
        // Where that fails, or is the end, the next read finds it, too.
        let count = link.try_read_pieces(&mut [IoSliceMut::new(payload), IoSliceMut::new(header)]).unwrap_or(0);
        *has_left_some = count == most;
        count
    })
}

/// Yields until there are bytes or it is time to give up.
fn yielding(link: &dyn Pollable, reading: &mut Reading, began: Instant, give_up: Instant) -> io::Result<Option<usize>> {
    let mut before = began;
    loop {
        thread::yield_now();
        let now = Instant::now();
        let is_crowded = reading.patience.yielded(before, now);
        match link.try_read(reading.deframer.space()) {
            Err(error) if is_timeout(&error) => {}
            Ok(count) => {
                reading.patience.waited(began, now);
                return Ok(Some(count));
            }
            Err(error) => return Err(error),
        }
        if is_crowded {
            return Ok(None);
        }
        if now >= give_up {
            reading.patience.waited(began, now);
            return Ok(None);
        }
        before = now;
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
