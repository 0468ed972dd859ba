//! Connections over memory: no room to send, two links at once, a peer that asks and does not read.

use std::sync::mpsc;

use super::{outbox::Unsent, *};
use crate::{
    protocol::{
        frame::{HEADER, Header, MAX_PAYLOAD},
        outgoing::MEMORY,
    },
    transport::memory::{self, MemoryLink},
};

struct Nobody;

impl Handler for Nobody {
    fn request(&self, _: &Arc<Connection>, _: Message) {}

    fn closed(&self, _: &End) {}
}

/// One side of a session, and the bare other end of its link.
fn connect() -> (Arc<Connection>, MemoryLink) {
    let (link, other) = memory::pair();
    let connection = Connection::start(Box::new(link), Deframer::new(), Arc::new(Nobody), usize::MAX).unwrap();
    (connection, other)
}

/// What `body` gives; a failure if it does not end.
fn promptly<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
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
        std::io::Result::Ok(())
    });
    assert!(outcome.is_err(), "its questions are answered into memory without bound");
    assert!(matches!(connection.end().unwrap().cause, Cause::Local(_)));
}
