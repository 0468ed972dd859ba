//! What a message says beside its values: a map in front of them, whose unknown keys are ignored.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use crate::{
    buffer::Buffer,
    codec::{DecodeError, Decoder, EncodeError, Encoder},
};

/// The key of the call that a request is made from.
const PARENT: &str = "parent";

/// The keys of the objects that the message gives the other side, and of those of the other side's own that it brings back: an
/// array of targets, of the former one for each reference.
const OBJECTS: &str = "objects";
const RETURNED: &str = "returned";

/// How many objects each side may hold of the other's, and one message refer to.
pub(crate) const MAX_OBJECTS: usize = 65_536;

/// Targets from here up to those that are lent are objects that belong to no call; each goes by its own until it is released.
pub(crate) const FIRST_OBJECT: u32 = 1 << 16;

/// Targets from here up are what a call lends to the other side until it ends: its first is this one, its second the next.
pub(crate) const FIRST_LENT: u32 = 1 << 31;

/// Whether `target` is lent by a call.
pub(crate) fn is_lent(target: u32) -> bool {
    target >= FIRST_LENT
}

/// What this version knows of metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// The call of the other side that a request is made from.
    pub(crate) parent: Option<u32>,
    /// The targets of the objects that the values give, one for each reference.
    pub(crate) objects: Vec<u32>,
    /// The targets of the receiving side's objects that they refer to.
    pub(crate) returned: Vec<u32>,
}

impl Metadata {
    /// Metadata that name the call that a request is made from.
    pub(crate) fn from_call(parent: u32) -> Self {
        Self { parent: Some(parent), ..Self::default() }
    }

    /// Whether the values refer to objects.
    pub(crate) fn has_objects(&self) -> bool {
        !self.objects.is_empty() || !self.returned.is_empty()
    }

    pub(crate) fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        let lists = [(OBJECTS, &self.objects), (RETURNED, &self.returned)];
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        let count = usize::from(self.parent.is_some()) + lists.clone().count();
        to.map(u32::try_from(count).unwrap_or(u32::MAX))?;
        if let Some(parent) = self.parent {
            to.value(PARENT)?;
            to.value(&parent)?;
        }
        for (key, list) in lists {
            to.value(key)?;
            to.value(list)?;
        }
        Ok(())
    }

    /// What is said before the values of `payload`.
    pub(crate) fn read(payload: &Buffer) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(payload);
        let mut metadata = Self::default();
        for _ in 0..from.map()? {
            // A key that is no string is nothing this version knows.
            match from.optional_str()? {
                Some(PARENT) => metadata.parent = Some(from.value()?),
                Some(OBJECTS) => metadata.objects = from.value::<Targets>()?.0,
                Some(RETURNED) => metadata.returned = from.value::<Targets>()?.0,
                _ => from.skip()?,
            }
        }
        Ok(metadata)
    }
}

/// A list that is read as far as a side may ever want it.
struct Targets(Vec<u32>);

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Targets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of targets")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Targets, A::Error> {
                let mut targets = Vec::new();
                while let Some(target) = from.next_element()? {
                    // One more shows that there are too many.
                    if targets.len() <= MAX_OBJECTS {
                        targets.push(target);
                    }
                }
                Ok(Targets(targets))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(metadata: &Metadata) -> Buffer {
        let mut to = Encoder::new(1000);
        metadata.write(&mut to).unwrap();
        to.into_buffer()
    }

    #[test]
    fn what_is_written_is_read() {
        let (objects, returned) = (vec![FIRST_OBJECT, u32::MAX], vec![FIRST_OBJECT; 3]);
        let all = Metadata { parent: Some(u32::MAX), objects, returned };
        for metadata in [Metadata::default(), Metadata::from_call(1), all] {
            assert_eq!(Metadata::read(&written(&metadata)).unwrap(), metadata);
        }
    }

    #[test]
    fn a_list_is_not_kept_beyond_what_is_too_long() {
        let metadata = Metadata { objects: vec![1; 100 * MAX_OBJECTS], ..Metadata::default() };
        let mut to = Encoder::new(usize::MAX);
        metadata.write(&mut to).unwrap();
        let read = Metadata::read(&to.into_buffer()).unwrap();
        assert_eq!(read.objects.len(), MAX_OBJECTS + 1);
        assert!(read.objects.capacity() < 4 * MAX_OBJECTS);
    }

    #[test]
    fn what_is_known_is_found_among_what_is_not() {
        let mut to = Encoder::new(100);
        to.map(3).unwrap();
        to.value(&7).unwrap();
        to.value(&[1, 2]).unwrap();
        to.value(PARENT).unwrap();
        to.value(&5_u32).unwrap();
        to.value("trace").unwrap();
        to.value("x").unwrap();
        assert_eq!(Metadata::read(&to.into_buffer()).unwrap(), Metadata::from_call(5));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let mut payload = written(&Metadata::from_call(u32::MAX));
        payload = payload[..4].into();
        assert!(Metadata::read(&payload).is_err());
        assert!(Metadata::read(&[0xdf, 0xff, 0xff, 0xff, 0xff][..].into()).is_err(), "a length is not believed");
        let list = [&[0x81, 0xa7], &b"objects"[..], &[0xdd, 0xff, 0xff, 0xff, 0xff]].concat();
        assert!(Metadata::read(&list[..].into()).is_err(), "nor is that of a list");
    }
}
