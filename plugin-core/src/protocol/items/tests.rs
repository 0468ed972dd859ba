//! Items cut anywhere, put together again.

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn bytes(length: usize) -> serde_bytes::ByteBuf {
    serde_bytes::ByteBuf::from(vec![u8::try_from(length % 251).unwrap(); length])
}

fn drain(unpacker: &mut Unpacker, items: &mut Vec<Vec<u8>>) -> Result<(), ItemError> {
    while let Some(item) = unpacker.next()? {
        items.push(item.to_vec());
    }
    Ok(())
}

proptest! {
    /// Items of any lengths, cut where anybody likes on either side, arrive as they were.
    #[test]
    fn any_cutting_gives_the_same_items(
        lengths in proptest::collection::vec(prop_oneof![0_usize..40, 0_usize..70_000, 60_000_usize..400_000], 0..12),
        cuts in proptest::collection::vec(prop_oneof![1_usize..9, 1_usize..70_000, Just(1_usize << 20)], 1..20),
        batch in 1_usize..6,
    ) {
        let (mut packer, mut unpacker, mut items) = (Packer::default(), Unpacker::new(LIMIT), Vec::new());
        let (mut cuts, mut frames) = (cuts.into_iter().cycle(), 0);
        for chunk in lengths.chunks(batch) {
            for length in chunk {
                packer.item(LIMIT, |to| to.value(&bytes(*length))).unwrap();
            }
            // Small cuts of much would take long: beyond some, whole frames.
            while let Some(Cut { bytes: frame, .. }) = packer.cut(if frames < 500 { cuts.next().unwrap() } else { usize::MAX }) {
                frames += 1;
                prop_assert!(frame.len() <= MAX_PAYLOAD);
                unpacker.push(frame);
                drain(&mut unpacker, &mut items).unwrap();
            }
            prop_assert!(packer.is_empty());
        }
        prop_assert_eq!(unpacker.finish(), Ok(()));
        let expected: Vec<_> = lengths.iter().map(|length| rmp_serde::to_vec(&bytes(*length)).unwrap()).collect();
        prop_assert!(items == expected);
    }

    #[test]
    fn no_bytes_make_it_panic_or_bloat(frames: Vec<Vec<u8>>) {
        let mut unpacker = Unpacker::new(100);
        for frame in frames {
            unpacker.push(frame.into());
            if drain(&mut unpacker, &mut Vec::new()).is_err() {
                break;
            }
            prop_assert!(unpacker.partial.len() <= LENGTH + 100);
        }
        let _ = unpacker.finish();
    }
}

#[test]
fn an_item_that_cannot_be_written_leaves_nothing_behind() {
    let mut packer = Packer::default();
    packer.item(10, |to| to.value(&1)).unwrap();
    let error = packer.item(10, |to| to.value(&bytes(9))).unwrap_err();
    assert!(matches!(error, EncodeError::TooLarge(10)), "{error}");
    let why = || EncodeError::Failed("on purpose".into());
    packer.item(10, |to| to.value(&2).and_then(|()| Err(why()))).unwrap_err();
    packer.item(10, |to| to.value(&bytes(8))).unwrap();
    let (mut unpacker, mut items) = (Unpacker::new(10), Vec::new());
    unpacker.push(packer.cut(usize::MAX).unwrap().bytes);
    drain(&mut unpacker, &mut items).unwrap();
    assert_eq!(items, [vec![1], rmp_serde::to_vec(&bytes(8)).unwrap()]);
}

#[test]
fn a_length_is_checked_before_anything_is_kept_for_it() {
    let mut unpacker = Unpacker::new(100);
    unpacker.push(101_u32.to_le_bytes()[..].into());
    assert_eq!(unpacker.next(), Err(ItemError::TooLong { length: 101, limit: 100 }));
    let mut unpacker = Unpacker::new(100);
    unpacker.push([101, 0][..].into());
    assert_eq!(unpacker.next(), Ok(None));
    unpacker.push([0, 0][..].into());
    assert_eq!(unpacker.next(), Err(ItemError::TooLong { length: 101, limit: 100 }));
}

#[test]
fn a_stream_may_not_end_inside_an_item() {
    for inside in [&[1][..], &[1, 0, 0, 0], &[2, 0, 0, 0, 7]] {
        let mut unpacker = Unpacker::new(100);
        unpacker.push(inside.into());
        assert_eq!(unpacker.next(), Ok(None));
        assert_eq!(unpacker.finish(), Err(ItemError::Truncated));
    }
    assert_eq!(Unpacker::new(100).finish(), Ok(()));
}

#[test]
fn plain_bytes_are_not_copied_where_they_are_a_frame() {
    let mut packer = Packer::default();
    let bytes = Buffer::from(vec![7; MAX_PAYLOAD]);
    let place = bytes.as_ptr();
    packer.adopt(bytes);
    assert!(packer.cut(0).is_none());
    assert_eq!(packer.cut(usize::MAX).unwrap().bytes.as_ptr(), place);
    packer.adopt(Buffer::from(&b"hello"[..]));
    packer.adopt(Buffer::from(&b" you"[..]));
    assert_eq!((&*packer.cut(2).unwrap().bytes, packer.len()), (&b"he"[..], 7));
    assert_eq!(&*packer.cut(9).unwrap().bytes, b"llo you");
    assert!(packer.cut(9).is_none());
}

#[test]
fn a_frame_that_could_not_be_sent_is_the_next() {
    let mut packer = Packer::default();
    packer.adopt(Buffer::from(&b"hello"[..]));
    for cut in [1, 4, 5] {
        let frame = packer.cut(cut).unwrap().bytes;
        packer.put_back(frame);
    }
    assert_eq!(&*packer.cut(9).unwrap().bytes, b"hello");
}

/// Puts itself along.
struct Refers(u8);

impl serde::Serialize for Refers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(crate::codec::along::put(std::sync::Arc::new(self.0)));
        serializer.serialize_u8(self.0)
    }
}

#[test]
fn an_item_that_refers_to_things_begins_a_frame() {
    for most in [1, 3, 5, 7, 1000] {
        let mut packer = Packer::default();
        for (item, refers) in [(0, false), (1, true), (2, true), (3, false), (4, true)] {
            packer.item(10, |to| if refers { to.value(&Refers(item)) } else { to.value(&item) }).unwrap();
        }
        assert!(packer.has_things());
        let (mut bytes, mut found) = (Vec::new(), Vec::new());
        while let Some(cut) = packer.cut(most) {
            for thing in cut.things {
                found.push((bytes.len(), *thing.downcast::<u8>().unwrap()));
            }
            bytes.extend_from_slice(&cut.bytes);
        }
        assert_eq!(found, [(5, 1), (10, 2), (20, 4)]);
        assert!(bytes.len() == 25 && !packer.has_things());
    }
}

#[test]
fn an_item_refers_to_few_enough_things_for_its_frame() {
    let mut packer = Packer::default();
    let many = |count: usize| (0..count).map(|_| Refers(0)).collect::<Vec<_>>();
    packer.item(usize::MAX, |to| to.value(&many(MAX_THINGS))).unwrap();
    let error = packer.item(usize::MAX, |to| to.value(&many(MAX_THINGS + 1))).unwrap_err();
    assert!(error.to_string().contains("4096"), "{error}");
    assert_eq!(packer.cut(usize::MAX).unwrap().things.len(), MAX_THINGS);
    assert!(!packer.has_things());
}

#[test]
fn what_items_refer_to_takes_of_the_window() {
    let mut packer = Packer::default();
    (0..1000).for_each(|_| packer.item(10, |to| to.value(&Refers(7))).unwrap());
    let (mut left, mut count) = (1 << 20, 0);
    while let Some(cut) = packer.cut(left) {
        left -= cut.taken();
        count += 1;
    }
    assert!((200..300).contains(&count), "{count} items");
    assert_eq!(left, 0);
    assert!(packer.cut(1).is_some_and(|cut| cut.weight == 0), "all of the window is its bytes'");
}
