//! Two ends of a session, cuts at any byte, and every message exactly once and in order. No threads, no clock, no socket.

use proptest::prelude::*;

use super::{
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
    /// The calls that arrived, of small and of large messages: within each kind the order of sending is kept.
    arrived: [Vec<u32>; 2],
    pushed: [Vec<u32>; 2],
}

impl Side {
    fn new() -> Self {
        Self {
            outgoing: Outgoing::default(),
            incoming: Incoming::new(usize::MAX),
            deframer: Deframer::new(),
            wire: Vec::new(),
            arrived: Default::default(),
            pushed: Default::default(),
        }
    }

    fn push(&mut self, call: u32, length: usize) {
        let payload = vec![u8::try_from(call % 251).unwrap(); length];
        self.outgoing.push(Message::answer(Kind::Request, call, payload));
        self.pushed[usize::from(length > MAX_PAYLOAD)].push(call);
    }

    fn receive(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(MAX_PAYLOAD) {
            self.deframer.space()[..chunk.len()].copy_from_slice(chunk);
            self.deframer.filled(chunk.len());
            while let Some(frame) = self.deframer.next().unwrap() {
                self.outgoing.acknowledge(frame.header.ack).unwrap();
                let message = self.incoming.accept(&frame).unwrap();
                self.outgoing.received(self.incoming.received());
                let Some(message) = message else { continue };
                assert!(message.payload.iter().all(|byte| u32::from(*byte) == message.call % 251));
                self.arrived[usize::from(message.payload.len() > MAX_PAYLOAD)].push(message.call);
            }
        }
    }
}

/// What can happen, to side 0 or 1.
#[derive(Debug, Clone)]
enum Step {
    Push(usize, usize),
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
        4 => (0_usize..2, length).prop_map(|(side, length)| Step::Push(side, length)),
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
        assert!(round < 100_000, "it does not get on: {} arrived", sides[1].arrived[1].len());
        if sides[1].arrived[1].len() == 300 {
            break;
        }
        while call < 300 && sides[0].outgoing.has_room(LENGTH) {
            call += 1;
            sides[0].push(call, LENGTH);
        }
        for from in 0..2 {
            let side = &mut sides[from];
            side.outgoing.fill(&mut side.wire, usize::MAX);
            deliver(&mut sides, from, usize::MAX);
        }
    }
    assert_eq!(call, 300);
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
                Step::Fill(side, limit) => {
                    let side = &mut sides[side];
                    side.outgoing.fill(&mut side.wire, limit);
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
        while sides.iter().any(|side| !side.outgoing.is_idle() || !side.wire.is_empty()) {
            for from in 0..2 {
                let side = &mut sides[from];
                side.outgoing.fill(&mut side.wire, usize::MAX);
                deliver(&mut sides, from, usize::MAX);
            }
        }
        for side in 0..2 {
            prop_assert_eq!(&sides[side].pushed[0], &sides[1 - side].arrived[0], "small messages of side {}", side);
            let (mut pushed, mut arrived) = (sides[side].pushed[1].clone(), sides[1 - side].arrived[1].clone());
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
                side.outgoing.fill(&mut side.wire, usize::MAX);
            }
            deliver(&mut sides, 0, distance);
            reconnect(&mut sides);
        }
        prop_assert_eq!(&sides[1].arrived[1], &[1]);
    }
}
