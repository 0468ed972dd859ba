//! What may wait to be read.

use super::*;
use crate::{
    connection::{Brought, tests::connect},
    protocol::{flow::WINDOW, metadata::Metadata},
    transport::memory::MemoryLink,
};

/// A stream that is read, of which nothing has come. The other end is to be held.
fn open() -> (Arc<Connection>, MemoryLink, Inward) {
    let (connection, other) = connect();
    let objects = Metadata { objects: vec![7], ..Metadata::default() };
    let brought = connection.take_over(&objects).unwrap().take().unwrap().downcast::<Brought>().unwrap();
    let inward = Inward::new(brought.import(7).unwrap()).unwrap();
    assert!(inward.find_at_once().is_none(), "now a window is demanded");
    (connection, other, inward)
}

fn arrives(connection: &Arc<Connection>, kind: Kind, meta: bool, payload: &[u8]) -> Result<(), Violation> {
    let message = Message { target: 7, meta, ..Message::answer(kind, 0, payload.to_vec()) };
    connection.stream_arrived(message, &mut Vec::new())
}

#[test]
fn nothing_comes_behind_the_end() {
    for kind in [Kind::End, Kind::Items] {
        let (connection, _other, mut inward) = open();
        arrives(&connection, Kind::Items, false, b"a").unwrap();
        arrives(&connection, Kind::End, false, b"").unwrap();
        assert_eq!(arrives(&connection, kind, false, b"b"), Err(Violation::BehindEnd(7)));
        let kinds = [(); 2].map(|()| inward.receive(None).unwrap().kind);
        assert_eq!(kinds, [Kind::Items, Kind::End], "what came before stays");
    }
}

#[test]
fn what_waits_is_bounded_with_what_it_says_beside_its_items() {
    let nothing_said = &[0x80, b'a'][..];
    let much_said = [&[0x81, 0xa1, b'x', 0xc5, 0xff, 0x00][..], &vec![0; 0xff00], b"a"].concat();
    for (payload, at_least) in [(nothing_said, WINDOW as usize / 10), (&much_said, 100)] {
        let (connection, _other, mut inward) = open();
        let arrived = (0..WINDOW).find(|_| arrives(&connection, Kind::Items, true, payload).is_err());
        let arrived = arrived.expect("the window alone is no bound") as usize;
        assert!(arrived > at_least && arrived * (payload.len() + OVERHEAD) <= MAX_WAITING, "{arrived}");
        assert_eq!(&*inward.receive(None).unwrap().payload, b"a");
        arrives(&connection, Kind::Items, true, payload).expect("there is room again");
    }
}

#[test]
fn what_an_honest_producer_has_under_way_may_wait() {
    let (connection, _other, _inward) = open();
    // The shortest item that refers to anything: a length, and an array of a number from 65,536 up.
    let metadata = [&[0x81, 0xa7][..], b"objects", &[0x91, 0xce, 0, 1, 0, 0]].concat();
    let item = [6, 0, 0, 0, 0x91, 0xce, 0, 1, 0, 0];
    let payload = [&metadata[..], &item].concat();
    for _ in 0..WINDOW as usize / item.len() {
        arrives(&connection, Kind::Items, true, &payload).unwrap();
    }
}
