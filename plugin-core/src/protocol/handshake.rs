//! Agreeing on a protocol version and on what both sides can do.

use serde::de::DeserializeOwned;

use super::{
    VERSIONS, Violation,
    frame::{Frame, Kind},
    message::{Hello, Refused, Welcome},
};
use crate::codec;

/// Optional abilities of this version, by name. None yet: what version 1 requires needs no name.
pub(crate) const FEATURES: &[&str] = &[];

/// The highest protocol version that both sides speak.
pub(crate) fn choose_version(theirs: &[u16]) -> Option<u16> {
    VERSIONS.iter().copied().filter(|version| theirs.contains(version)).max()
}

/// The abilities that both sides have.
pub(crate) fn common_features(theirs: &[String]) -> Vec<String> {
    FEATURES.iter().filter(|ours| theirs.iter().any(|name| name == *ours)).map(ToString::to_string).collect()
}

/// Reads the first frame of a plugin.
pub(crate) fn read_hello(frame: &Frame<'_>) -> Result<Hello, Violation> {
    expect(frame, Kind::Hello)?;
    decode(frame.payload)
}

/// Reads what a host answers to an introduction.
pub(crate) fn read_welcome(frame: &Frame<'_>) -> Result<Result<Welcome, Refused>, Violation> {
    unless_refused(frame, Kind::Welcome)
}

/// Reads what a plugin answers to a host that has dialled to go on with a session.
pub(crate) fn read_resumed(frame: &Frame<'_>) -> Result<Result<Hello, Refused>, Violation> {
    unless_refused(frame, Kind::Hello)
}

fn unless_refused<T: DeserializeOwned>(frame: &Frame<'_>, kind: Kind) -> Result<Result<T, Refused>, Violation> {
    if frame.header.kind == Kind::Refused as u8 {
        return decode(frame.payload).map(Err);
    }
    expect(frame, kind)?;
    decode(frame.payload).map(Ok)
}

/// Checks that a handshake frame is the one due.
fn expect(frame: &Frame<'_>, kind: Kind) -> Result<(), Violation> {
    if frame.header.kind == kind as u8 && frame.header.flags == 0 {
        Ok(())
    } else {
        Err(Violation::UnexpectedKind(frame.header.kind))
    }
}

/// Decodes a handshake payload.
fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Violation> {
    codec::from_slice(payload).map_err(|error| Violation::BadGreeting(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "the tests' numbers are small")]
mod tests {
    use super::*;
    use crate::protocol::message::{Failure, FailureKind, InterfaceEntry};

    #[test]
    fn the_highest_common_version_is_chosen() {
        assert_eq!(choose_version(&[1, 2, 9]), Some(1));
        assert_eq!(choose_version(&[2]), None);
        assert_eq!(choose_version(&[]), None);
    }

    #[test]
    fn unknown_keys_of_a_newer_greeting_are_ignored() {
        let newer = serde_json_like(&[("protocols", rmp_serde::to_vec(&[1_u16, 2]).unwrap()), ("novelty", vec![0xc3])]);
        let hello: Hello = decode(&newer).unwrap();
        assert_eq!(hello.protocols, [1, 2]);
    }

    /// Whether `message` is still read with a key behind its others that nobody knows.
    fn takes_more<T: serde::Serialize + DeserializeOwned>(message: &T) -> bool {
        let mut newer = rmp_serde::to_vec_named(message).unwrap();
        assert!((0x80..0x8f).contains(&newer[0]), "a map that has room for one more");
        newer[0] += 1;
        rmp::encode::write_str(&mut newer, "novelty").unwrap();
        newer.push(0xc3);
        decode::<T>(&newer).is_ok()
    }

    #[test]
    fn unknown_keys_are_ignored_in_everything_that_newer_versions_may_add_to() {
        let interface = InterfaceEntry { name: "I".into(), version: None, methods: Vec::new() };
        let taken = [
            ("hello", takes_more(&Hello::default())),
            ("welcome", takes_more(&Welcome::default())),
            ("refused", takes_more(&Refused { reason: "no".into(), protocols: Vec::new() })),
            ("interface", takes_more(&interface)),
            ("failure", takes_more(&Failure::new(FailureKind::Stopping, "later"))),
        ];
        assert_eq!(taken.map(|(name, _)| (name, true)), taken);
    }

    /// A MessagePack map of ready-made values.
    fn serde_json_like(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut map = Vec::new();
        rmp::encode::write_map_len(&mut map, entries.len() as u32).unwrap();
        for (key, value) in entries {
            rmp::encode::write_str(&mut map, key).unwrap();
            map.extend(value);
        }
        map
    }
}
