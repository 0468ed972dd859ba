//! Streams of the other side that are read here.
//!
//! What arrives of a stream waits in its [`Inlet`]. A reader that finds nothing there registers like a call, under a number that
//! is never sent, with the inlet locked, and waits like any caller: so it reads for everybody, is promoted, woken, told of the
//! end, and looks for signs of life. Whoever brings something locks the inlet, too: either it finds the reader registered, and
//! answers it, or the reader finds what was brought.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll},
};

use super::{
    CallFailure, Connection, Import, MAX_STREAMS,
    callbacks::LendsNothing,
    lock,
    outbox::Sent,
    tasks::is_past,
    waiter::{State as Waited, Waiter},
};
use crate::{
    codec::Decoder,
    protocol::{Violation, flow::Demand, frame::Kind, message::Message},
    sync::{Arc, Instant, Mutex},
};

/// How many bytes of one stream wait at most, with what they say of the objects that items refer to.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Up to this many bytes what comes without being waited for is added to what waits already.
const JOINED: usize = 64 << 10;

/// By target, the streams that are held here.
pub(super) type Inlets = HashMap<u32, Arc<Inlet>>;

/// What has arrived of one stream and was not read.
#[derive(Default)]
pub(crate) struct Inlet {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    arrived: VecDeque<Message>,
    /// The bytes in `arrived`.
    bytes: usize,
    demand: Demand,
    /// The number under which the reader waits, or did until somebody else ended that.
    reader: Option<u32>,
}

/// A stream of the other side's. Dropping it lets go of the stream there.
pub(crate) struct Inward {
    import: Arc<Import>,
    inlet: Arc<Inlet>,
    /// A task waits.
    waiting: Option<Waiting>,
}

struct Waiting {
    waiter: Arc<Waiter>,
    call: u32,
}

/// Why a stream cannot be read.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it refers to a stream that is held here already")]
    Held,
    #[error("more than {MAX_STREAMS} streams of the other side would be open")]
    TooMany,
}

/// What a reader finds.
enum Found {
    Message(Message),
    /// Nothing yet; the reader is registered.
    Nothing {
        call: u32,
        alarm: Option<Instant>,
    },
    /// The connection has ended.
    Closed,
}

impl Inward {
    pub(crate) fn new(import: Arc<Import>) -> Result<Self, Refused> {
        let inlet = Arc::<Inlet>::default();
        let mut inlets = lock(&import.connection().inlets);
        if inlets.contains_key(&import.target()) {
            return Err(Refused::Held);
        }
        if inlets.len() >= MAX_STREAMS {
            return Err(Refused::TooMany);
        }
        inlets.insert(import.target(), Arc::clone(&inlet));
        drop(inlets);
        Ok(Self { import, inlet, waiting: None })
    }

    pub(crate) fn import(&self) -> &Arc<Import> {
        &self.import
    }

    /// What arrives next, waiting for it until `deadline`.
    pub(crate) fn receive(&mut self, deadline: Option<Instant>) -> Result<Message, CallFailure> {
        // A task may have waited before, and have been answered since.
        let brought = self.waiting.take().and_then(|waiting| self.leave(waiting.call, &waiting.waiter));
        if let Some(message) = brought.or_else(|| self.find_at_once()) {
            return Ok(self.taken(message));
        }
        let waiter = Waiter::take();
        let outcome = match self.find(&waiter) {
            Found::Message(message) => Ok(message),
            Found::Closed => Err(closed()),
            Found::Nothing { call, .. } => self.wait(call, &waiter, deadline),
        };
        // Nobody finds the waiter any more.
        self.import.connection().refuse_waiting(&waiter);
        waiter.put_back();
        outcome.map(|message| self.taken(message))
    }

    fn wait(&self, call: u32, waiter: &Waiter, deadline: Option<Instant>) -> Result<Message, CallFailure> {
        match self.import.connection().wait(call, waiter, deadline, Sent::Cared, &mut LendsNothing) {
            Waited::Answered(message) => Ok(message),
            Waited::Closed => self.leave(call, waiter).ok_or_else(closed),
            _ => self.leave(call, waiter).ok_or(CallFailure::Late { may_have_run: false }),
        }
    }

    /// As [`receive`](Self::receive), for a task.
    pub(crate) fn poll_receive(
        &mut self,
        context: &Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<Result<Message, CallFailure>> {
        self.poll(context, deadline).map(|outcome| outcome.map(|message| self.taken(message)))
    }

    fn poll(&mut self, context: &Context<'_>, deadline: Option<Instant>) -> Poll<Result<Message, CallFailure>> {
        // A deadline of another poll than the last is another wait.
        let is_other = |waiting: &mut Waiting| waiting.waiter.task().is_some_and(|task| task.deadline != deadline);
        if let Some(waiting) = self.waiting.take_if(is_other) {
            if let Some(message) = self.leave(waiting.call, &waiting.waiter) {
                return Poll::Ready(Ok(message));
            }
        }
        if self.waiting.is_none() {
            if let Some(message) = self.find_at_once() {
                return Poll::Ready(Ok(message));
            }
            let waiter = Waiter::of_task(deadline);
            match self.find(&waiter) {
                Found::Message(message) => return Poll::Ready(Ok(message)),
                Found::Closed => return Poll::Ready(Err(closed())),
                Found::Nothing { call, alarm } => {
                    self.import.connection().arrange(alarm);
                    self.waiting = Some(Waiting { waiter, call });
                }
            }
        }
        let Some(waiting) = &self.waiting else { return Poll::Pending };
        let ended = match waiting.waiter.poll(context) {
            Poll::Ready(Waited::Answered(message)) => Ok(message),
            Poll::Ready(_) => Err(closed()),
            Poll::Pending if is_past(deadline) => Err(CallFailure::Late { may_have_run: false }),
            Poll::Pending => {
                self.import.connection().see_to_attendance();
                return Poll::Pending;
            }
        };
        let Some(waiting) = self.waiting.take() else { return Poll::Ready(ended) };
        // An answer leaves nothing behind; else something may have come at the last moment.
        Poll::Ready(ended.or_else(|failure| self.leave(waiting.call, &waiting.waiter).ok_or(failure)))
    }

    /// What waits to be read. The first time, asks for something to come.
    fn find_at_once(&self) -> Option<Message> {
        let (message, begin) = {
            let mut state = lock(&self.inlet.state);
            (state.next(), state.demand.begin())
        };
        self.demand(begin);
        message
    }

    /// What waits to be read; if that is nothing, whoever brings something tells `waiter`.
    fn find(&self, waiter: &Arc<Waiter>) -> Found {
        let mut state = lock(&self.inlet.state);
        if let Some(message) = state.next() {
            return Found::Message(message);
        }
        let mut calls = lock(&self.import.connection().calls);
        let Some(call) = calls.register(waiter) else { return Found::Closed };
        state.reader = Some(call);
        let alarm = waiter.task().and_then(|task| calls.tasks.alarm_for(task.deadline));
        Found::Nothing { call, alarm }
    }

    /// Ends a wait, unless something has just come.
    fn leave(&self, call: u32, waiter: &Waiter) -> Option<Message> {
        let connection = self.import.connection();
        // After this nobody finds the waiter any more.
        lock(&connection.calls).leave_unanswered(call, false);
        match waiter.look() {
            Waited::Answered(message) => return Some(message),
            Waited::Promoted(reading) => connection.leave(reading),
            Waited::Waiting | Waited::Parked | Waited::Closed => {}
        }
        if waiter.task().is_some() {
            connection.refuse_waiting(waiter);
        }
        let mut state = lock(&self.inlet.state);
        state.reader = None;
        state.next()
    }

    /// Takes note that the reader takes a message, and asks for more where it is time.
    fn taken(&self, message: Message) -> Message {
        if message.kind == Kind::Items {
            let more = lock(&self.inlet.state).demand.read(message.payload.len());
            self.demand(more);
        }
        message
    }

    fn demand(&self, bytes: Option<u32>) {
        if let Some(bytes) = bytes {
            let demand = Message::control(Kind::Demand, bytes);
            self.import.connection().send_control(Message { target: self.import.target(), ..demand });
        }
    }
}

impl Drop for Inward {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            let _ = self.leave(waiting.call, &waiting.waiter);
        }
        // Before the other side can hear of it, and use the number for another.
        let inlet = lock(&self.import.connection().inlets).remove(&self.import.target());
        drop(inlet);
    }
}

fn closed() -> CallFailure {
    CallFailure::Closed { may_have_run: true }
}

impl State {
    fn next(&mut self) -> Option<Message> {
        let message = self.arrived.pop_front()?;
        self.bytes -= message.payload.len();
        Some(message)
    }

    /// Keeps what nobody waits for.
    fn keep(&mut self, message: Message) {
        self.bytes += message.payload.len();
        let is_plain = |message: &Message| message.kind == Kind::Items && !message.meta;
        let last = self.arrived.back_mut().filter(|last| is_plain(last) && is_plain(&message));
        match last.filter(|last| last.payload.len() + message.payload.len() <= JOINED) {
            Some(last) => last.payload.extend_from_slice(&message.payload),
            None => self.arrived.push_back(message),
        }
    }
}

impl Connection {
    /// Something of a stream has arrived, be it its end. Of one that is not held any more, it is dropped.
    pub(super) fn stream_arrived(
        self: &Arc<Self>,
        mut message: Message,
        woken: &mut Vec<Arc<Waiter>>,
    ) -> Result<(), Violation> {
        let target = message.target;
        let Some(inlet) = lock(&self.inlets).get(&target).cloned() else { return Ok(()) };
        let metadata = metadata_length(&message)?;
        if metadata > 0 {
            message.payload = message.payload[metadata..].into();
        }
        let mut state = lock(&inlet.state);
        if message.kind == Kind::Items {
            let length = message.payload.len();
            let is_too_much = state.bytes.saturating_add(length + metadata) > MAX_WAITING_BYTES;
            // Frames of nothing could be any number.
            if length == 0 || is_too_much || !state.demand.received(length) {
                return Err(Violation::StreamOverrun(target));
            }
        }
        let message = match state.reader.take() {
            Some(call) => match lock(&self.calls).answer(Message { call, ..message }) {
                Ok(asleep) => {
                    woken.extend(asleep);
                    return Ok(());
                }
                Err(message) => message,
            },
            None => message,
        };
        state.keep(message);
        Ok(())
    }
}

/// How many bytes of metadata come before the items.
fn metadata_length(message: &Message) -> Result<usize, Violation> {
    if !message.meta {
        return Ok(0);
    }
    let mut decoder = Decoder::new(&message.payload);
    decoder.skip().map_err(|error| Violation::BadMetadata { target: message.target, why: error.to_string() })?;
    Ok(message.payload.len() - decoder.left())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        connection::{
            Brought, Cause,
            tests::{connect, promptly},
        },
        protocol::{
            flow::WINDOW,
            frame::{Deframer, Header, MAX_PAYLOAD},
            metadata::Metadata,
        },
        transport::{Link as _, memory::MemoryLink},
    };

    const TARGET: u32 = 70_000;

    /// One that the other side has sent, and that side.
    fn inward() -> (Inward, MemoryLink) {
        let (connection, other) = connect();
        (held(&connection), other)
    }

    fn held(connection: &Arc<Connection>) -> Inward {
        let metadata = Metadata { objects: vec![TARGET], ..Metadata::default() };
        let brought = connection.take_over(&metadata).unwrap().take().unwrap().downcast::<Brought>().unwrap();
        Inward::new(brought.import(TARGET).unwrap()).unwrap()
    }

    fn send(link: &MemoryLink, kind: Kind, call: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap();
        let header = Header { length, call, target: TARGET, kind: kind as u8, ..Header::default() };
        let bytes = [&header.to_wire(), payload].concat();
        let mut written = 0;
        while written < bytes.len() {
            written += link.write(&bytes[written..]).unwrap();
        }
    }

    fn receive(link: &MemoryLink, deframer: &mut Deframer) -> Header {
        loop {
            if let Some(frame) = deframer.next().unwrap() {
                return frame.header;
            }
            let count = link.read(deframer.space()).unwrap();
            deframer.filled(count);
        }
    }

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_millis(30))
    }

    fn read(inward: &mut Inward) -> Vec<u8> {
        let message = inward.receive(None).unwrap();
        assert_eq!(message.kind, Kind::Items);
        message.payload.to_vec()
    }

    /// Waits for the connection's end.
    fn violation(inward: &Inward) -> Violation {
        let connection = Arc::clone(inward.import.connection());
        promptly(move || {
            loop {
                match connection.end() {
                    Some(end) => match end.cause {
                        Cause::Violation(violation) => break violation,
                        cause => panic!("{cause}"),
                    },
                    None => std::thread::yield_now(),
                }
            }
        })
    }

    #[test]
    fn the_first_reading_asks_for_a_window_and_a_late_one_loses_nothing() {
        promptly(|| {
            let (mut inward, other) = inward();
            let mut deframer = Deframer::new();
            for round in 0..3 {
                assert!(matches!(inward.receive(soon()), Err(CallFailure::Late { .. })));
                assert!(inward.import.connection().pending() == 0, "nobody waits any more");
                send(&other, Kind::Items, 0, &[round]);
                assert_eq!(read(&mut inward), [round]);
            }
            let header = receive(&other, &mut deframer);
            assert_eq!((header.kind, header.target, header.call), (Kind::Demand as u8, TARGET, WINDOW));
            drop(inward);
            let header = receive(&other, &mut deframer);
            assert_eq!((header.kind, header.target, header.call), (Kind::Release as u8, TARGET, 1));
        });
    }

    #[test]
    fn what_comes_as_a_reader_leaves_is_found() {
        let (mut inward, _other) = inward();
        assert!(inward.find_at_once().is_none());
        let connection = Arc::clone(inward.import.connection());
        let arrive = |byte: u8| {
            let items = Message { target: TARGET, ..Message::answer(Kind::Items, 0, vec![byte]) };
            connection.stream_arrived(items, &mut Vec::new()).unwrap();
        };
        for waiter in [Waiter::take(), Waiter::of_task(None)] {
            let Found::Nothing { call, .. } = inward.find(&waiter) else { panic!("there is nothing") };
            // Its time is over, and it has not said so yet.
            arrive(1);
            arrive(2);
            assert_eq!(&*inward.leave(call, &waiter).unwrap().payload, [1]);
            let Found::Message(message) = inward.find(&waiter) else { panic!("there is something") };
            assert_eq!(&*message.payload, [2]);
            let Found::Nothing { call, .. } = inward.find(&waiter) else { panic!("there is nothing") };
            // It has been forgotten as a caller, and not yet as a reader.
            lock(&connection.calls).leave_unanswered(call, false);
            arrive(3);
            assert_eq!(&*inward.leave(call, &waiter).unwrap().payload, [3]);
        }
        assert_eq!(connection.pending(), 0);
        arrive(4);
        assert_eq!(read(&mut inward), [4]);
    }

    #[test]
    fn what_comes_near_a_deadline_is_read_once() {
        const COUNT: u32 = 3000;
        promptly(|| {
            let (mut inward, other) = inward();
            assert!(inward.receive(soon()).is_err());
            let sending = std::thread::spawn(move || {
                for number in 0..COUNT {
                    send(&other, Kind::Items, 0, &number.to_le_bytes());
                    std::thread::yield_now();
                }
                other
            });
            let (mut bytes, mut late) = (Vec::new(), 0_u32);
            while bytes.len() < 4 * COUNT as usize {
                // Of all lengths, so that some end just when something comes; every other wait is a task's.
                let deadline = Some(Instant::now() + Duration::from_micros(u64::from(late % 40)));
                let received = if late % 2 == 0 {
                    inward.receive(deadline)
                } else {
                    crate::blocking::wait(None, |context| {
                        context.waker().wake_by_ref();
                        inward.poll_receive(context, deadline)
                    })
                    .unwrap()
                };
                match received {
                    Ok(message) => bytes.extend_from_slice(&message.payload),
                    Err(CallFailure::Late { .. }) => {}
                    Err(failure) => panic!("{failure:?}"),
                }
                late = late.wrapping_add(1);
            }
            drop(sending.join().unwrap());
            assert!(bytes == (0..COUNT).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
            assert_eq!(inward.import.connection().pending(), 0);
        });
    }

    #[test]
    fn more_is_asked_for_when_half_a_window_has_been_read() {
        promptly(|| {
            let (mut inward, other) = inward();
            let mut deframer = Deframer::new();
            assert!(inward.receive(soon()).is_err());
            assert_eq!(receive(&other, &mut deframer).call, WINDOW);
            for _ in 0..8 {
                send(&other, Kind::Items, 0, &vec![7; MAX_PAYLOAD]);
                assert_eq!(read(&mut inward).len(), MAX_PAYLOAD);
            }
            let header = receive(&other, &mut deframer);
            assert_eq!((header.kind, header.call), (Kind::Demand as u8, WINDOW / 2));
        });
    }

    #[test]
    fn whoever_sends_what_nobody_has_asked_for_is_hung_up_on() {
        let (unread, other) = inward();
        send(&other, Kind::Items, 0, &[7]);
        assert_eq!(violation(&unread), Violation::StreamOverrun(TARGET));
        let (mut full, other) = inward();
        assert!(full.receive(soon()).is_err());
        (0..16).for_each(|_| send(&other, Kind::Items, 0, &vec![7; MAX_PAYLOAD]));
        send(&other, Kind::Items, 0, &[7]);
        assert_eq!(violation(&full), Violation::StreamOverrun(TARGET));
        let whole: usize = (0..16).map(|_| read(&mut full).len()).sum();
        assert_eq!(whole, WINDOW as usize, "what came before is read");
        assert!(matches!(full.receive(None), Err(CallFailure::Closed { .. })));
        let (mut empty, other) = inward();
        assert!(empty.receive(soon()).is_err());
        send(&other, Kind::Items, 0, &[]);
        assert_eq!(violation(&empty), Violation::StreamOverrun(TARGET), "nothing could come any number of times");
    }

    #[test]
    fn whoever_asks_for_bytes_of_what_is_no_stream_is_hung_up_on() {
        struct Plain;
        impl crate::connection::Export for Plain {
            fn target(&self) -> u32 {
                TARGET
            }

            fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
                self
            }
        }
        let (connection, _other) = connect();
        connection.demanded(TARGET, 1).unwrap();
        let _cargo = connection.give(&[Arc::new(Plain)], &[]).unwrap();
        assert_eq!(connection.demanded(TARGET, 1), Err(Violation::NoStream(TARGET)));
    }

    #[test]
    fn an_answer_to_a_number_that_was_never_sent_loses_nothing() {
        promptly(|| {
            let (mut inward, other) = inward();
            assert!(inward.receive(soon()).is_err());
            let guessing = std::thread::spawn(move || {
                (2..6).for_each(|call| send(&other, Kind::Value, call, &[0xc0]));
                (1..5).for_each(|round| send(&other, Kind::Items, 0, &[round]));
                other
            });
            let mut bytes = Vec::new();
            let mut others = 0;
            while bytes.len() < 4 {
                match inward.receive(None) {
                    Ok(message) if message.kind == Kind::Items => bytes.extend_from_slice(&message.payload),
                    // The reader had the number that was guessed.
                    Ok(message) => others += usize::from(message.kind == Kind::Value),
                    Err(failure) => panic!("{failure:?}"),
                }
            }
            assert!(bytes == [1, 2, 3, 4] && others <= 4);
            drop(guessing.join().unwrap());
        });
    }

    #[test]
    fn what_nobody_holds_is_ignored_and_small_pieces_are_joined() {
        promptly(|| {
            let (connection, other) = connect();
            send(&other, Kind::Items, 0, &[7]);
            send(&other, Kind::End, 0, &[]);
            send(&other, Kind::Ping, 0, &[]);
            let mut deframer = Deframer::new();
            assert_eq!(receive(&other, &mut deframer).kind, Kind::Pong as u8);
            let mut inward = held(&connection);
            assert!(inward.receive(soon()).is_err());
            (0..1000).for_each(|_| send(&other, Kind::Items, 0, &[7; 100]));
            send(&other, Kind::End, 0, &[]);
            send(&other, Kind::Ping, 0, &[]);
            while receive(&other, &mut deframer).kind != Kind::Pong as u8 {}
            assert_eq!(lock(&inward.inlet.state).arrived.len(), 3, "100,000 bytes, and the end");
            assert_eq!(read(&mut inward).len() + read(&mut inward).len(), 100_000);
            assert_eq!(inward.receive(None).unwrap().kind, Kind::End);
        });
    }

    #[test]
    fn there_are_only_so_many_and_each_is_held_once() {
        let (connection, _other) = connect();
        let targets: Vec<_> = (0..=u32::try_from(MAX_STREAMS).unwrap()).collect();
        let metadata = Metadata { objects: targets.clone(), ..Metadata::default() };
        let brought = connection.take_over(&metadata).unwrap().take().unwrap().downcast::<Brought>().unwrap();
        let open = |target| Inward::new(brought.import(target).unwrap());
        let mut held: Vec<_> = targets[..MAX_STREAMS].iter().map(|target| open(*target).unwrap()).collect();
        assert!(matches!(open(targets[MAX_STREAMS]), Err(Refused::TooMany)));
        assert!(matches!(open(0), Err(Refused::Held)));
        held.pop();
        assert!(open(targets[MAX_STREAMS]).is_ok());
    }
}
