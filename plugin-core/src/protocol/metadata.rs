//! What a request says beside its arguments: a map in front of them, whose unknown keys are ignored.

use crate::{
    buffer::Buffer,
    codec::{DecodeError, Decoder, EncodeError, Encoder},
};

/// The key of the call that a request is made from.
const PARENT: &str = "parent";

/// Targets from here up are what a call lends to the other side until it ends: its first is this one, its second the next.
pub(crate) const FIRST_LENT: u32 = 1 << 31;

/// Whether `target` is lent by a call.
pub(crate) fn is_lent(target: u32) -> bool {
    target >= FIRST_LENT
}

/// Writes what says that a request is made from call `parent` of the other side.
pub(crate) fn write_parent(to: &mut Encoder, parent: u32) -> Result<(), EncodeError> {
    to.map(1)?;
    to.value(PARENT)?;
    to.value(&parent)
}

/// The call that a request with metadata is made from, if it says so.
pub(crate) fn parent(payload: &Buffer) -> Result<Option<u32>, DecodeError> {
    let mut from = Decoder::new(payload);
    let mut parent = None;
    for _ in 0..from.map()? {
        // A key that is no string is nothing this version knows.
        let is_parent = from.optional_str()? == Some(PARENT);
        if is_parent {
            parent = Some(from.value()?);
        } else {
            from.skip()?;
        }
    }
    Ok(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_among_what_is_not_known() {
        let mut to = Encoder::new(100);
        to.map(3).unwrap();
        to.value(&7).unwrap();
        to.value(&[1, 2]).unwrap();
        to.value(PARENT).unwrap();
        to.value(&5_u32).unwrap();
        to.value("trace").unwrap();
        to.value("x").unwrap();
        assert_eq!(parent(&to.into_buffer()).unwrap(), Some(5));
        let mut to = Encoder::new(100);
        write_parent(&mut to, u32::MAX).unwrap();
        let mut payload = to.into_buffer();
        assert_eq!(parent(&payload).unwrap(), Some(u32::MAX));
        payload = payload[..4].into();
        assert!(parent(&payload).is_err());
        assert_eq!(parent(&[0x80][..].into()).unwrap(), None);
        assert!(parent(&[0xdf, 0xff, 0xff, 0xff, 0xff][..].into()).is_err(), "a length is not believed");
    }
}
