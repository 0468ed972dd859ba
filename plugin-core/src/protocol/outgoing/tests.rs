//! The sending direction alone.

use super::*;
use crate::protocol::frame::Deframer;

fn request(call: u32, length: usize) -> Message {
    Message::answer(Kind::Request, call, vec![call as u8; length])
}

fn drain(outgoing: &mut Outgoing) -> Vec<(u32, u8, usize)> {
    let mut bytes = Vec::new();
    while !outgoing.is_idle() {
        outgoing.fill_bytes(&mut bytes, 1);
    }
    let mut frames = Vec::new();
    let mut deframer = Deframer::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let space = deframer.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        deframer.filled(count);
        while let Some(frame) = deframer.next().unwrap() {
            frames.push((frame.header.call, frame.header.flags, frame.payload.len()));
        }
    }
    frames
}

#[test]
fn small_messages_overtake_the_fragments_of_large_ones() {
    let mut outgoing = Outgoing::default();
    outgoing.push(request(1, 2 * MAX_PAYLOAD + 1));
    outgoing.push(request(2, 10));
    outgoing.push(request(3, 10));
    let expected = [(2, 0, 10), (1, MORE, MAX_PAYLOAD), (3, 0, 10), (1, MORE, MAX_PAYLOAD), (1, 0, 1)];
    assert_eq!(drain(&mut outgoing), expected);
    assert_eq!(outgoing.unsent, 0);
}

#[test]
fn senders_of_small_messages_leave_room_for_what_must_not_wait() {
    let mut outgoing = Outgoing::default();
    let mut count = 0;
    while outgoing.has_room(1) {
        outgoing.push(request(1, 1));
        count += 1;
    }
    assert_eq!(count, MAX_SMALL);
    assert!(outgoing.has_room_for_control());
    outgoing.fill_bytes(&mut Vec::new(), 1);
    assert!(outgoing.has_room(1));
}

#[test]
fn whoever_gives_objects_and_does_not_read_their_releases_is_noticed() {
    let mut outgoing = Outgoing::default();
    (1..MAX_CONTROL).for_each(|_| outgoing.push(Message::control(Kind::Release, 1)));
    assert!(outgoing.has_room_for_control());
    outgoing.push(Message::control(Kind::Release, 1));
    assert!(!outgoing.has_room_for_control());
}

#[test]
fn nothing_overtakes_the_declaration_of_what_it_refers_to() {
    let oneway = Message::answer(Kind::Oneway, 0, vec![0; 2]);
    for behind in [oneway, request(1, MAX_PAYLOAD + 1), request(1, 1)] {
        let mut outgoing = Outgoing::default();
        (0..3).for_each(|_| outgoing.push(request(9, 1)));
        for number in [7, 8] {
            outgoing.push(Message::answer(Kind::Declare, number, vec![0; 5]));
        }
        outgoing.push(behind);
        let mut frames = drain(&mut outgoing);
        frames.retain(|frame| frame.0 != 9);
        assert_eq!(frames[..2], [(8, 0, 5), (7, 0, 5)], "{frames:?}");
    }
}

#[test]
fn large_messages_take_turns() {
    let mut outgoing = Outgoing::default();
    outgoing.push(request(1, MAX_PAYLOAD + 1));
    outgoing.push(request(2, MAX_PAYLOAD + 2));
    let expected = [(1, MORE, MAX_PAYLOAD), (2, MORE, MAX_PAYLOAD), (1, 0, 1), (2, 0, 2)];
    assert_eq!(drain(&mut outgoing), expected);
}

#[test]
fn oneway_messages_keep_their_order_whatever_their_length_and_hold_up_no_others() {
    let mut outgoing = Outgoing::default();
    let oneway = |target, length| Message { target, ..Message::answer(Kind::Oneway, 0, vec![0; length]) };
    outgoing.push(oneway(1, MAX_PAYLOAD + 1));
    outgoing.push(oneway(2, 2));
    outgoing.push(Message::control(Kind::Goodbye, 0));
    outgoing.push(request(7, MAX_PAYLOAD + 3));
    outgoing.push(request(8, 4));
    let expected =
        [(8, 0, 4), (7, MORE, MAX_PAYLOAD), (0, MORE, MAX_PAYLOAD), (7, 0, 3), (0, 0, 1), (0, 0, 2), (0, 0, 0)];
    assert_eq!(drain(&mut outgoing), expected);
    assert!(outgoing.is_idle() && outgoing.unsent == 0 && outgoing.begun == 0 && !outgoing.is_lane_busy);
}

#[test]
fn withdrawing_tells_how_much_had_left() {
    let mut outgoing = Outgoing::default();
    outgoing.push(request(1, 10));
    outgoing.push(request(2, MAX_PAYLOAD * 3));
    assert_eq!(outgoing.withdraw(1), Withdrawn::Unsent(request(1, 10)));
    outgoing.fill(&mut Batch::default(), 1);
    assert_eq!(outgoing.withdraw(2), Withdrawn::Partly(Cargo::default()));
    assert_eq!(outgoing.withdraw(2), Withdrawn::Sent);
    outgoing.push(request(3, 1));
    assert_eq!(drain(&mut outgoing), [(2, 0, 0), (3, 0, 1)], "a cancellation goes ahead");
    assert!(outgoing.is_idle() && outgoing.unsent == 0 && outgoing.begun == 0);
}

#[test]
fn memory_is_bounded_but_one_message_always_fits() {
    let mut outgoing = Outgoing::default();
    assert!(outgoing.has_room(usize::MAX));
    outgoing.push(request(1, 10));
    assert!(outgoing.has_room(MEMORY - 10 - 2 * HEADER));
    assert!(!outgoing.has_room(MEMORY - 10 - 2 * HEADER + 1));
    drain(&mut outgoing);
    assert!(outgoing.has_room(usize::MAX), "what may linger unacknowledged does not count");
    outgoing.push(request(2, LINGERING));
    drain(&mut outgoing);
    assert!(!outgoing.has_room(MEMORY), "what is sent counts until it is acknowledged");
    outgoing.acknowledge(outgoing.sent).unwrap();
    assert_eq!(outgoing.kept_bytes, 0);
    assert!(outgoing.has_room(usize::MAX));
}

#[test]
fn a_rewound_session_hands_out_again_what_was_not_received_before_anything_new() {
    let mut outgoing = Outgoing::default();
    for call in 1..=3 {
        outgoing.push(request(call, 1));
    }
    drain(&mut outgoing);
    outgoing.push(request(4, 1));
    outgoing.rewind(1).unwrap();
    let calls: Vec<u32> = drain(&mut outgoing).into_iter().map(|frame| frame.0).collect();
    assert_eq!(calls, [2, 3, 4]);
    outgoing.rewind(4).unwrap();
    assert!(outgoing.is_idle() && outgoing.kept.is_empty());
}

#[test]
fn much_that_was_received_is_acknowledged_without_anything_else_to_send() {
    let mut outgoing = Outgoing::default();
    outgoing.received(Received { frames: ACK_FRAMES - 1, bytes: ACK_BYTES - 1 });
    assert!(outgoing.is_idle());
    outgoing.received(Received { frames: ACK_FRAMES, bytes: 0 });
    let mut batch = Vec::new();
    outgoing.fill_bytes(&mut batch, 1);
    let header = Header { ack: ACK_FRAMES, kind: Kind::Ack as u8, ..Header::default() };
    assert_eq!(batch, header.to_wire());
    outgoing.received(Received { frames: ACK_FRAMES + 1, bytes: ACK_BYTES });
    assert!(!outgoing.is_idle());
    assert_eq!(outgoing.sent, 0, "a bare acknowledgement is not counted, or each would ask for the next");
}

#[test]
fn acknowledging_what_was_never_sent_is_a_violation_even_where_the_count_wraps() {
    let mut outgoing = Outgoing { sent: u32::MAX, ..Outgoing::default() };
    for call in 1..=3 {
        outgoing.push(request(call, 1));
    }
    drain(&mut outgoing);
    assert_eq!(outgoing.sent, 2);
    assert!(outgoing.acknowledge(1).is_ok());
    assert_eq!(outgoing.acknowledge(3), Err(Violation::AckOfUnsent { acknowledged: 3, sent: 2 }));
    assert!(outgoing.acknowledge(0).is_err(), "an acknowledgement never goes back");
    assert!(outgoing.acknowledge(2).is_ok());
}
