//! What goes along with a message besides its bytes: things that its values refer to.
//!
//! A value that stands for more than bytes puts that along while it is encoded, and finds what came along while it is decoded:
//! serde hands neither through.

use std::{any::Any, cell::RefCell, mem, sync::Arc};

/// Whatever goes along, known to those who put it there and those who look for it.
pub(crate) type Thing = Arc<dyn Any + Send + Sync>;

thread_local! {
    /// What the value that is being encoded has put along; `None` where none is.
    static PUT: RefCell<Option<Vec<Thing>>> = const { RefCell::new(None) };
    /// What came along with the message whose values are being decoded.
    static CAME: RefCell<Option<Thing>> = const { RefCell::new(None) };
}

/// Runs what encodes a value; gives what was put along, too.
pub(super) fn putting<R>(encode: impl FnOnce() -> R) -> (R, Vec<Thing>) {
    /// Puts back what was there before, also behind a panic: one value may be encoded within the encoding of another.
    struct Restore(Option<Vec<Thing>>);
    impl Restore {
        fn restore(&mut self) -> Option<Vec<Thing>> {
            PUT.replace(self.0.take())
        }
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            self.restore();
        }
    }
    // At the end of a thread, the destructors of its other values may still encode.
    let Ok(last) = PUT.try_with(|put| put.replace(Some(Vec::new()))) else { return (encode(), Vec::new()) };
    let mut restore = Restore(last);
    let outcome = encode();
    let put = restore.restore().unwrap_or_default();
    mem::forget(restore); // It has done its work.
    (outcome, put)
}

/// Puts something along with the message that is being encoded; `false` where none is.
pub(crate) fn put(thing: Thing) -> bool {
    PUT.try_with(|put| put.borrow_mut().as_mut().map(|put| put.push(thing))).is_ok_and(|put| put.is_some())
}

/// Runs what decodes the values of a message with which `thing` came.
#[inline]
pub(crate) fn coming<R>(thing: Option<Thing>, decode: impl FnOnce() -> R) -> R {
    struct Restore(Option<Thing>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let last = CAME.try_with(|came| came.replace(self.0.take()));
            drop(last);
        }
    }
    // A message with which nothing came may be decoded within another's decoding, and finds nothing of that one's.
    if thing.is_none() && CAME.try_with(|came| came.borrow().is_none()).unwrap_or(true) {
        return decode();
    }
    let Ok(last) = CAME.try_with(|came| came.replace(thing)) else { return decode() };
    let _restore = Restore(last);
    decode()
}

/// What came along with the message whose values are being decoded, if it is a `T`.
pub(crate) fn came<T: Any + Send + Sync>() -> Option<Arc<T>> {
    // At the end of a thread, the destructors of its other values may still decode.
    CAME.try_with(|came| came.borrow().clone()).ok().flatten()?.downcast().ok()
}

/// All values of the message have been decoded: what none of them wanted is let go.
pub(super) fn decoded() {
    // At the end of a thread, the destructors of its other values may still decode.
    let rest = CAME.try_with(RefCell::take);
    drop(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_go_along_with_the_value_that_puts_them() {
        assert!(!put(Arc::new(0_u8)), "nothing is being encoded");
        let (inner, outer) = putting(|| {
            assert!(put(Arc::new(1_u8)));
            let ((), inner) = putting(|| assert!(put(Arc::new(2_u8))));
            assert!(put(Arc::new(3_u8)));
            inner
        });
        let values =
            |things: Vec<Thing>| things.into_iter().map(|thing| *thing.downcast::<u8>().unwrap()).collect::<Vec<_>>();
        assert_eq!((values(outer), values(inner)), (vec![1, 3], vec![2]));
    }

    #[test]
    fn what_came_is_found_until_all_is_decoded() {
        let held = Arc::new(7_u8);
        coming(Some(Arc::clone(&held) as Thing), || {
            assert!(came::<u8>().is_some_and(|came| *came == 7) && came::<u16>().is_none());
            coming(Some(Arc::new(8_u16)), || assert!(came::<u8>().is_none() && came::<u16>().is_some()));
            coming(None, || {
                assert!(came::<u8>().is_none(), "what came with another message");
                decoded();
            });
            assert!(crate::codec::from_slice::<u8>(&[1]).is_ok_and(|value| value == 1));
            assert_eq!(Arc::strong_count(&held), 2);
            decoded();
            assert!(came::<u8>().is_none());
            assert_eq!(Arc::strong_count(&held), 1);
        });
    }
}
