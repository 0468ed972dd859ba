//! Readers of streams, and peers that break the rules.

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

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(30)
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
            assert!(matches!(inward.receive(Some(soon())), Err(CallFailure::Late { .. })));
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
    for waiter in [Waiter::take(), Waiter::of_task(None, None)] {
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
        assert!(inward.receive(Some(soon())).is_err());
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
        assert!(inward.receive(Some(soon())).is_err());
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
    assert!(full.receive(Some(soon())).is_err());
    (0..16).for_each(|_| send(&other, Kind::Items, 0, &vec![7; MAX_PAYLOAD]));
    send(&other, Kind::Items, 0, &[7]);
    assert_eq!(violation(&full), Violation::StreamOverrun(TARGET));
    let whole: usize = (0..16).map(|_| read(&mut full).len()).sum();
    assert_eq!(whole, WINDOW as usize, "what came before is read");
    assert!(matches!(full.receive(None), Err(CallFailure::Closed { .. })));
    let (mut empty, other) = inward();
    assert!(empty.receive(Some(soon())).is_err());
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
        assert!(inward.receive(Some(soon())).is_err());
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
        assert!(inward.receive(Some(soon())).is_err());
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
