//! Two ends of a session, cuts at any byte, and every message exactly once and in order. No threads, no clock, no socket.

use proptest::prelude::*;

use super::{
    direct,
    frame::{Deframer, Kind, MAX_PAYLOAD},
    incoming::Incoming,
    message::Message,
    outgoing::Outgoing,
};

/// One side: both directions, and the bytes on their way to the other.
struct Side {
    outgoing: Outgoing,
    incoming: Incoming,
    deframer: Deframer,
    wire: Vec<u8>,
    /// What arrived, of small, of large and of oneway messages: of the first and of the last the order of sending is kept.
    arrived: [Vec<u32>; 3],
    pushed: [Vec<u32>; 3],
    /// How many oneway messages arrived and are not finished.
    unfinished: usize,
}

const SMALL: usize = 0;
const LARGE: usize = 1;
const ONEWAY: usize = 2;

impl Side {
    fn new() -> Self {
        Self {
            outgoing: Outgoing::default(),
            incoming: Incoming::new(usize::MAX),
            deframer: Deframer::new(),
            wire: Vec::new(),
            arrived: Default::default(),
            pushed: Default::default(),
            unfinished: 0,
        }
    }

    fn push(&mut self, call: u32, length: usize) {
        let payload = vec![u8::try_from(call % 251).unwrap(); length];
        self.outgoing.push(Message::answer(Kind::Request, call, payload));
        self.pushed[if length > MAX_PAYLOAD { LARGE } else { SMALL }].push(call);
    }

    /// Sends a oneway message if the other side takes it; whether it does.
    fn push_oneway(&mut self, length: usize) -> bool {
        if !self.outgoing.may_send_oneway() {
            return false;
        }
        let number = u32::try_from(self.pushed[ONEWAY].len()).unwrap();
        let payload = [number.to_le_bytes().to_vec(), vec![0; length]].concat();
        self.outgoing.push(Message::answer(Kind::Oneway, 0, payload));
        self.pushed[ONEWAY].push(number);
        true
    }

    fn finish_oneways(&mut self, count: usize) {
        for _ in 0..count.min(self.unfinished) {
            self.unfinished -= 1;
            let _ = self.outgoing.oneway_finished();
        }
    }

    /// Takes a whole message.
    fn take(&mut self, message: &Message) {
        match message.kind {
            Kind::Credit => self.outgoing.credited(message.call).unwrap(),
            Kind::Oneway => {
                self.outgoing.oneway_received(message.payload.len()).unwrap();
                self.unfinished += 1;
                let number = message.payload.first_chunk().copied().map(u32::from_le_bytes).unwrap();
                self.arrived[ONEWAY].push(number);
            }
            _ => {
                let expected = vec![u8::try_from(message.call % 251).unwrap(); message.payload.len()];
                assert!(message.payload[..] == expected[..]);
                self.arrived[if message.payload.len() > MAX_PAYLOAD { LARGE } else { SMALL }].push(message.call);
            }
        }
    }

    /// Receives as a link does: some bytes to the deframer, then more of large messages to where these grow.
    fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = take(&mut bytes, self.deframer.space());
            self.deframer.filled(count);
            while let Some((ack, message)) = self.next(&mut bytes) {
                self.outgoing.acknowledge(ack).unwrap();
                self.outgoing.received(self.incoming.received());
                if let Some(message) = message {
                    self.take(&message);
                }
            }
        }
    }

    /// The next frame's acknowledgement, and the message that it completes.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<(u32, Option<Message>)> {
        if let Some(frame) = self.deframer.next().unwrap() {
            return Some((frame.header.ack, self.incoming.accept(&frame).unwrap()));
        }
        let read = |payload: &mut [u8], header: &mut [u8]| take(bytes, payload) + take(bytes, header);
        let fragment = direct::receive(&mut self.deframer, &mut self.incoming, read).unwrap()?;
        Some((fragment.header.ack, fragment.message))
    }
}

/// Moves as much as there is and fits.
fn take(bytes: &mut &[u8], place: &mut [u8]) -> usize {
    let (taken, rest) = bytes.split_at(bytes.len().min(place.len()));
    place[..taken.len()].copy_from_slice(taken);
    *bytes = rest;
    taken.len()
}

/// What can happen, to side 0 or 1.
#[derive(Debug, Clone)]
enum Step {
    Push(usize, usize),
    /// So many oneway messages of a length, as far as they are taken.
    PushOneways(usize, usize, usize),
    /// Side 0 or 1 has finished with so many oneway messages.
    FinishOneways(usize, usize),
    /// Hands frames out onto the wire.
    Fill(usize, usize),
    /// So many bytes of the wire arrive at the other side.
    Deliver(usize, usize),
    /// Everything on the wire is lost, half a frame at the receiver too; the sides meet again.
    Cut,
    /// As `Cut`, but a second connection replaces the first before anything was sent on it.
    CutTwice,
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![8 => 0_usize..200, 1 => 0..5 * MAX_PAYLOAD];
    prop_oneof![
        4 => (0_usize..2, length.clone()).prop_map(|(side, length)| Step::Push(side, length)),
        2 => (0_usize..2, 1_usize..5, length).prop_map(|(side, count, length)| Step::PushOneways(side, count, length)),
        1 => (0_usize..2, 900_usize..1500).prop_map(|(side, count)| Step::PushOneways(side, count, 1)),
        2 => (0_usize..2, 1_usize..2000).prop_map(|(side, count)| Step::FinishOneways(side, count)),
        4 => (0_usize..2, 1_usize..200_000).prop_map(|(side, limit)| Step::Fill(side, limit)),
        4 => (0_usize..2, 1_usize..300_000).prop_map(|(side, bytes)| Step::Deliver(side, bytes)),
        1 => Just(Step::Cut),
        1 => Just(Step::CutTwice),
    ]
}

fn deliver(sides: &mut [Side; 2], from: usize, bytes: usize) {
    let count = bytes.min(sides[from].wire.len());
    let delivered: Vec<u8> = sides[from].wire.drain(..count).collect();
    sides[1 - from].receive(&delivered);
}

fn reconnect(sides: &mut [Side; 2]) {
    for side in 0..2 {
        sides[side].wire.clear();
        sides[side].deframer = Deframer::new();
        let received = sides[1 - side].incoming.received().frames;
        sides[side].outgoing.rewind(received).unwrap();
    }
}

/// Acknowledged fragments make room for more messages, whose fragments take turns with those of the others: still the
/// other side never has more unfinished than it must hold.
#[test]
fn many_large_messages_at_once_do_not_overfill_the_other_side() {
    const LENGTH: usize = 1000 * 1024;
    let mut sides = [Side::new(), Side::new()];
    sides[1].incoming = Incoming::new(1 << 20);
    let mut call = 0;
    for round in 0.. {
        assert!(round < 100_000, "it does not get on: {} arrived", sides[1].arrived[LARGE].len());
        if sides[1].arrived[LARGE].len() == 300 {
            break;
        }
        while call < 300 && sides[0].outgoing.has_room(LENGTH) {
            call += 1;
            sides[0].push(call, LENGTH);
        }
        for from in 0..2 {
            let side = &mut sides[from];
            side.outgoing.fill_bytes(&mut side.wire, usize::MAX);
            deliver(&mut sides, from, usize::MAX);
        }
    }
    assert_eq!(call, 300);
}

/// Lets everything arrive and be finished.
fn finish(sides: &mut [Side; 2]) {
    let is_done = |side: &Side| side.outgoing.is_idle() && side.wire.is_empty() && side.unfinished == 0;
    while !sides.iter().all(is_done) {
        for from in 0..2 {
            let side = &mut sides[from];
            side.outgoing.fill_bytes(&mut side.wire, usize::MAX);
            deliver(sides, from, usize::MAX);
            sides[1 - from].finish_oneways(usize::MAX);
        }
    }
}

/// What nothing answers costs next to no frames back.
#[test]
fn small_oneway_messages_are_credited_by_the_hundreds() {
    let mut sides = [Side::new(), Side::new()];
    for _ in 0..10_000 {
        assert!(sides[0].push_oneway(10));
        finish(&mut sides);
    }
    let back = sides[0].incoming.received().frames;
    assert!((1..=20).contains(&back), "{back} frames came back for 10,000");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_is_cut_every_message_arrives_once_and_in_order(steps in proptest::collection::vec(step(), 1..120)) {
        let mut sides = [Side::new(), Side::new()];
        let mut call = 0;
        for step in steps {
            match step {
                Step::Push(side, length) => {
                    call += 1;
                    sides[side].push(call, length);
                }
                Step::PushOneways(side, count, length) => {
                    (0..count).take_while(|_| sides[side].push_oneway(length)).for_each(drop);
                }
                Step::FinishOneways(side, count) => sides[side].finish_oneways(count),
                Step::Fill(side, limit) => {
                    let side = &mut sides[side];
                    side.outgoing.fill_bytes(&mut side.wire, limit);
                }
                Step::Deliver(side, bytes) => deliver(&mut sides, side, bytes),
                Step::Cut => reconnect(&mut sides),
                Step::CutTwice => {
                    reconnect(&mut sides);
                    reconnect(&mut sides);
                }
            }
        }
        reconnect(&mut sides);
        finish(&mut sides);
        for side in 0..2 {
            prop_assert!(sides[side].outgoing.may_send_oneway(), "a window that is finished with opens again");
            for kind in [SMALL, ONEWAY] {
                let (pushed, arrived) = (&sides[side].pushed[kind], &sides[1 - side].arrived[kind]);
                prop_assert_eq!(pushed, arrived, "messages of kind {} of side {}", kind, side);
            }
            let (mut pushed, mut arrived) = (sides[side].pushed[LARGE].clone(), sides[1 - side].arrived[LARGE].clone());
            // Large ones take turns, so a shorter one overtakes a longer one.
            pushed.sort_unstable();
            arrived.sort_unstable();
            prop_assert_eq!(pushed, arrived, "large messages of side {}", side);
        }
    }

    #[test]
    fn a_message_longer_than_the_distance_between_cuts_still_arrives(distance in 70_000_usize..400_000) {
        let mut sides = [Side::new(), Side::new()];
        sides[0].push(1, 20 * MAX_PAYLOAD);
        for _ in 0..40 {
            while sides[0].wire.len() < distance && !sides[0].outgoing.is_idle() {
                let side = &mut sides[0];
                side.outgoing.fill_bytes(&mut side.wire, usize::MAX);
            }
            deliver(&mut sides, 0, distance);
            reconnect(&mut sides);
        }
        prop_assert_eq!(&sides[1].arrived[LARGE], &[1]);
    }
}
