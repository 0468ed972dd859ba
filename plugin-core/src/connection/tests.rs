//! Connections over memory: no room to send, two links at once, a peer that asks and does not read.

use std::sync::{OnceLock, Weak, mpsc};

use super::{greeting::GreetingError, outbox::Unsent, *};
use crate::{
    protocol::{
        frame::{HEADER, Header, MAX_PAYLOAD},
        message::InterfaceEntry,
        outgoing::{MEMORY, Withdrawn},
    },
    transport::memory::{self, MemoryLink},
};

const OPTIONS: Options = Options { max_message: usize::MAX, yields: false, ticks: false };

pub(super) struct Nobody;

impl Handler for Nobody {
    fn request(&self, _: &Arc<Connection>, _: Message) {}

    fn closed(&self, _: &End) {}
}

/// Whoever waits for another link is not told.
struct Patient;

impl Handler for Patient {
    fn request(&self, _: &Arc<Connection>, _: Message) {}

    fn lost(&self, _: &Arc<Connection>, _: String) {}

    fn closed(&self, _: &End) {}
}

/// One side of a session, and the bare other end of its link.
pub(super) fn connect() -> (Arc<Connection>, MemoryLink) {
    connect_with(Arc::new(Nobody))
}

fn connect_with(handler: Arc<dyn Handler>) -> (Arc<Connection>, MemoryLink) {
    let (link, other) = memory::pair();
    let connection = Connection::start(Box::new(link), Deframer::new(), handler, OPTIONS).unwrap();
    (connection, other)
}

/// What `body` gives; a failure if it does not end.
pub(super) fn promptly<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, over) = mpsc::channel();
    thread::spawn(move || done.send(body()));
    over.recv_timeout(Duration::from_secs(20)).expect("it must end by itself")
}

fn request(length: usize) -> Message {
    Message::answer(Kind::Request, 1, vec![0; length])
}

#[test]
fn a_sender_waits_for_room_no_longer_than_its_deadline() {
    let (connection, _unread) = connect();
    let outcome = promptly(move || {
        connection.send(request(MEMORY), None).unwrap();
        let deadline = Instant::now() + Duration::from_millis(50);
        connection.send(request(1), Some(deadline)).map_err(|(unsent, _)| (unsent, Instant::now() >= deadline))
    });
    assert_eq!(outcome, Err((Unsent::Late, true)));
}

#[test]
fn a_sender_does_not_wait_for_a_link_that_takes_no_more() {
    let (connection, _unread) = connect();
    promptly(move || {
        for _ in 0..16 {
            connection.send(request(MAX_PAYLOAD), None).unwrap();
        }
    });
}

#[test]
fn what_is_declared_can_be_looked_up_while_a_declaration_ends_the_connection() {
    /// Looks up what the other side has declared, as who reads does.
    #[derive(Default)]
    struct LooksUp(OnceLock<Weak<Connection>>);
    impl Handler for LooksUp {
        fn request(&self, _: &Arc<Connection>, _: Message) {}

        fn closed(&self, _: &End) {
            assert!(self.0.get().and_then(Weak::upgrade).unwrap().declared(1).is_none());
        }
    }
    let handler = Arc::new(LooksUp::default());
    let (connection, _unread) = connect_with(Arc::clone(&handler) as _);
    handler.0.set(Arc::downgrade(&connection)).unwrap();
    promptly(move || {
        let entry = || InterfaceEntry { name: "Other".into(), version: None, methods: Vec::new() };
        let mut numbers = 0..;
        while connection.end().is_none() {
            connection.declare(numbers.next().unwrap(), entry);
        }
    });
}

#[test]
fn of_two_resumptions_the_one_that_began_last_wins() {
    let (connection, _first) = connect();
    let (earlier, later) = (connection.begin_resume(), connection.begin_resume());
    let ((outdated, refused), (present, other)) = (memory::pair(), memory::pair());
    connection.resume(later, Box::new(present), Deframer::new(), 0).unwrap();
    connection.resume(earlier, Box::new(outdated), Deframer::new(), 0).unwrap();
    assert_eq!(promptly(move || refused.read(&mut [0]).unwrap()), 0, "the earlier one's link is closed");
    other.write(&Header { kind: Kind::Ping as u8, call: 5, ..Header::default() }.to_wire()).unwrap();
    let pong = promptly(move || {
        let mut pong = [0; HEADER];
        assert_eq!(other.read(&mut pong).unwrap(), HEADER);
        Header::from_wire(pong)
    });
    assert_eq!((pong.kind, pong.call), (Kind::Pong as u8, 5), "the later one's link is in use");
}

#[test]
fn a_peer_that_asks_without_reading_is_hung_up_on() {
    let (connection, other) = connect();
    let pings = Header { kind: Kind::Ping as u8, call: 1, ..Header::default() }.to_wire().repeat(1000);
    let outcome = promptly(move || {
        for _ in 0..200 {
            let mut rest = pings.as_slice();
            while !rest.is_empty() {
                rest = &rest[other.write(rest)?..];
            }
        }
        io::Result::Ok(())
    });
    assert!(outcome.is_err(), "its questions are answered into memory without bound");
    assert!(matches!(connection.end().unwrap().cause, Cause::Local(_)));
}

/// Gives the connection another link.
fn relink(connection: &Arc<Connection>) -> MemoryLink {
    let (link, other) = memory::pair();
    connection.resume(connection.begin_resume(), Box::new(link), Deframer::new(), 0).unwrap();
    other
}

#[test]
fn the_time_of_a_cut_is_over_when_the_next_link_comes_even_if_that_is_cut_too() {
    let (connection, first) = connect_with(Arc::new(Patient));
    let soon = || Instant::now() + Duration::from_secs(20);
    let cut = |other: MemoryLink| {
        other.close();
        connection.wait_lost(soon());
        connection.cut("cut".into(), Duration::from_millis(1))
    };
    let earlier = cut(first);
    assert!(!connection.wait_resumed(&earlier, Duration::from_secs(20)), "its time is over, and there is no link");
    let later = cut(relink(&connection));
    assert!(connection.wait_resumed(&earlier, Duration::from_secs(20)), "there was one");
    connection.give_up(&earlier, "it did not come back");
    assert!(connection.end().is_none(), "the later cut has its own time");
    connection.give_up(&later, "it did not come back");
    assert_eq!(connection.end().unwrap().cause.to_string(), "cut, and it did not come back");
}

#[test]
fn dialling_again_ends_with_the_first_link_the_last_moment_or_what_no_other_try_can_mend() {
    let (connection, first) = connect_with(Arc::new(Patient));
    first.close();
    connection.wait_lost(Instant::now() + Duration::from_secs(20));
    let cut = connection.cut("cut".into(), Duration::from_secs(20));
    let mut tries = 0;
    let mut other = None;
    connection.redial(
        &cut,
        |_| false,
        || {
            tries += 1;
            if tries < 3 {
                return Err(Failed::ForNow("not yet".into()));
            }
            other = Some(relink(&connection));
            Ok(())
        },
    );
    assert_eq!((tries, connection.is_linked()), (3, true));

    drop(other);
    connection.wait_lost(Instant::now() + Duration::from_secs(20));
    let cut = connection.cut("cut".into(), Duration::ZERO);
    let (late, other) = connect_with(Arc::new(Patient));
    other.close();
    late.wait_lost(Instant::now() + Duration::from_secs(20));
    late.redial(&late.cut("cut".into(), Duration::ZERO), |_| false, || Err(Failed::ForNow("nobody".into())));
    let cause = late.end().unwrap().cause.to_string();
    assert_eq!(cause, "cut, and the other side could not be reached again: nobody");

    let broken = || Err(GreetingError::from(Violation::UnexpectedKind(99)).into());
    connection.redial(&cut, |_| false, broken);
    assert!(matches!(connection.end().unwrap().cause, Cause::Violation(Violation::UnexpectedKind(99))));
}

/// A link that brings what was sent before it was closed long after that. That `begins` is closed says that nobody reads it any more.
struct Belated {
    bytes: Mutex<mpsc::Receiver<Vec<u8>>>,
    /// Told when somebody begins to read.
    begins: mpsc::Sender<()>,
}

impl Link for Belated {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let _ = self.begins.send(());
        let bytes = lock(&self.bytes).recv().unwrap_or_default();
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn close(&self) {}
}

#[test]
fn what_an_old_link_brings_once_the_number_received_is_said_is_not_received() {
    let (arrive, bytes) = mpsc::channel();
    let (begins, reading) = mpsc::channel();
    let belated = Belated { bytes: Mutex::new(bytes), begins };
    let handler = Arc::new(Patient);
    let connection = Connection::start(Box::new(belated), Deframer::new(), handler, OPTIONS).unwrap();
    let asked = |call| Header { kind: Kind::Ping as u8, call, ..Header::default() }.to_wire();
    let reading = promptly(move || reading.recv().map(|()| reading).unwrap());
    let resumption = connection.begin_resume();
    assert_eq!(resumption.received(), 0);
    arrive.send(asked(5).to_vec()).unwrap();
    drop(arrive);
    promptly(move || reading.iter().count());
    let (link, other) = memory::pair();
    connection.resume(resumption, Box::new(link), Deframer::new(), 0).unwrap();
    other.write(&asked(6)).unwrap();
    let pong = promptly(move || {
        let mut pong = [0; HEADER];
        assert_eq!(other.read(&mut pong).unwrap(), HEADER);
        Header::from_wire(pong)
    });
    assert_eq!((pong.kind, pong.call, pong.ack), (Kind::Pong as u8, 6, 1), "the other was neither heard nor counted");
}

#[test]
fn a_request_says_how_much_time_is_left_behind_the_wait_for_room() {
    let (connection, _unread) = connect();
    let left = promptly(move || {
        connection.send(request(MEMORY), None).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let deadline = Instant::now() + Duration::from_secs(10);
                let late = Message { call: 2, ..request(1) };
                connection.send(late, Some(deadline)).map(drop).map_err(|(unsent, _)| unsent)
            });
            while lock(&connection.outbox).waiting() == 0 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(50));
            connection.withdraw(1);
            waiting.join().unwrap().unwrap();
        });
        connection.withdraw(2)
    });
    let Withdrawn::Unsent(request) = left else { panic!("{left:?}") };
    assert!((1..=9950).contains(&request.deadline), "{}", request.deadline);
}

/// Callers read in turn, and nobody else does.
#[cfg(unix)]
pub(crate) struct Reads;

#[cfg(unix)]
impl Handler for Reads {
    fn reads(&self) -> bool {
        true
    }

    fn request(&self, _: &Arc<Connection>, _: Message) {}

    fn lost(&self, _: &Arc<Connection>, _: String) {}

    fn closed(&self, _: &End) {}
}

#[cfg(unix)]
#[test]
fn who_reads_a_link_that_is_outdated_writes_nothing_to_the_next() {
    use crate::transport::local::{LocalLink, LocalListener};

    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let listener = LocalListener::bind(&socket).unwrap();
    let pair = || (LocalLink::dial(&socket).unwrap(), listener.accept().unwrap());
    let ((old, _old_end), (new, new_end)) = (pair(), pair());
    let connection = Connection::start(Box::new(old), Deframer::new(), Arc::new(Reads), OPTIONS).unwrap();
    let mut outdated = connection.take_reading().unwrap();
    outdated.is_fresh = false;
    connection.resume(connection.begin_resume(), Box::new(new), Deframer::new(), 0).unwrap();
    let mut present = connection.take_reading().unwrap();
    new_end.write(&Header { kind: Kind::Pong as u8, ..Header::default() }.to_wire()).unwrap();
    assert_eq!(connection.read_on(&mut present, None), Progress::Some);
    // Left to whoever reads the new link, and is awake.
    connection.send(request(1), None).unwrap();
    assert_eq!(connection.read_on(&mut outdated, None), Progress::Over);
    let nothing = new_end.pollable().unwrap().try_read(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    connection.leave(present);
    assert!(new_end.pollable().unwrap().try_read(&mut [0]).is_ok());
}

/// Notes what it is asked for, keeps the reading that is put down, and then does what it was made for.
#[cfg(unix)]
struct Notes {
    neglected: AtomicBool,
    reading: Mutex<Option<Box<Reading>>>,
    put_down: Box<dyn Fn() + Send + Sync>,
}

#[cfg(unix)]
impl Notes {
    fn new(put_down: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { neglected: AtomicBool::new(false), reading: Mutex::default(), put_down: Box::new(put_down) })
    }
}

#[cfg(unix)]
impl Handler for Notes {
    fn reads(&self) -> bool {
        true
    }

    fn neglected(&self, _: &Arc<Connection>) {
        self.neglected.store(true, Ordering::Relaxed);
    }

    fn put_down(&self, _: &Arc<Connection>, reading: Box<Reading>) {
        *lock(&self.reading) = Some(reading);
        (self.put_down)();
    }

    fn take_back(&self, _: &Arc<Connection>) -> Option<Box<Reading>> {
        lock(&self.reading).take()
    }

    fn request(&self, _: &Arc<Connection>, _: Message) {}

    fn closed(&self, _: &End) {}
}

#[cfg(unix)]
#[test]
fn who_waits_for_the_end_of_a_link_has_it_looked_at_now() {
    let notes = Notes::new(|| {});
    let (link, _other) = crate::transport::local::pair().unwrap();
    let handler = Arc::clone(&notes) as Arc<dyn Handler>;
    let connection = Connection::start(Box::new(link), Deframer::new(), handler, OPTIONS).unwrap();
    connection.wait_lost(Instant::now());
    assert!(notes.neglected.load(Ordering::Relaxed), "nobody reads, and it would be noticed by and by only");
}

#[cfg(unix)]
#[test]
fn the_reading_is_taken_back_also_where_what_it_was_put_down_for_is_given_up() {
    let waiter = waiter::Waiter::take();
    waiter.asked.add(Message { call: 7, ..request(1) }).unwrap();
    let asked = Arc::clone(&waiter);
    // As soon as others read, they may read that it is given up.
    let notes = Notes::new(move || assert!(asked.asked.give_up(7).is_some()));
    let (link, _other) = crate::transport::local::pair().unwrap();
    let connection = Connection::start(Box::new(link), Deframer::new(), notes, OPTIONS).unwrap();
    let mut held = connection.take_reading();
    assert!(held.is_some());
    connection.run_waiting(&waiter, &mut held, None, &mut callbacks::LendsNothing);
    assert!(held.is_some(), "it is this caller's again");
}
