//! Finding where a MessagePack value ends, without decoding it.
//!
//! Decoders of nested data recurse, and rmp-serde's own depth limit does not count nested enum variants, so that a frame
//! of 90 KB overflows the stack and aborts the process. This scan needs no stack of its own kind: it walks the bytes,
//! bounds the nesting, and finds the end of the value, which also splits an argument list.

use super::decode::DecodeError;

/// How deeply values may nest: as deep as `serde_json` goes by default.
pub(crate) const MAX_DEPTH: usize = 128;

/// What the first byte of a value announces.
enum Head {
    /// So many bytes follow, marker and length field included.
    Bytes(usize),
    /// A marker of so many bytes, then so many values.
    Values(usize, u64),
}

/// The length in bytes of the first value of `input`.
#[inline]
pub(crate) fn value_length(input: &[u8]) -> Result<usize, DecodeError> {
    // Most arguments hold no others, and need no memory for the scan.
    match head(input)? {
        Head::Bytes(length) if length <= input.len() => Ok(length),
        Head::Bytes(_) => Err(DecodeError::Truncated),
        Head::Values(..) => nested_length(input),
    }
}

/// As [`value_length`], of a value that holds others.
fn nested_length(input: &[u8]) -> Result<usize, DecodeError> {
    // Values still to come on each open level; the array is the whole memory the scan needs.
    let mut open = [0_u64; MAX_DEPTH];
    let mut depth = 0;
    let mut position = 0;
    loop {
        let rest = input.get(position..).ok_or(DecodeError::Truncated)?;
        let children = match head(rest)? {
            Head::Bytes(length) => {
                position = position.checked_add(length).ok_or(DecodeError::Truncated)?;
                0
            }
            Head::Values(length, children) => {
                position += length;
                children
            }
        };
        if children > 0 {
            *open.get_mut(depth).ok_or(DecodeError::TooDeep)? = children;
            depth += 1;
            continue;
        }
        // A value is complete: close every level that it was the last value of.
        while depth > 0 {
            open[depth - 1] -= 1;
            if open[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return if position <= input.len() { Ok(position) } else { Err(DecodeError::Truncated) };
        }
    }
}

fn head(input: &[u8]) -> Result<Head, DecodeError> {
    let marker = *input.first().ok_or(DecodeError::Truncated)?;
    Ok(match marker {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Head::Bytes(1),
        0x80..=0x8f => Head::Values(1, 2 * u64::from(marker & 0x0f)),
        0x90..=0x9f => Head::Values(1, u64::from(marker & 0x0f)),
        0xa0..=0xbf => Head::Bytes(1 + usize::from(marker & 0x1f)),
        0xc1 => return Err(DecodeError::Malformed("byte 0xc1 starts no MessagePack value".into())),
        0xc4 | 0xd9 => Head::Bytes(2 + length(input, 1)?),
        0xc5 | 0xda => Head::Bytes(3 + length(input, 2)?),
        0xc6 | 0xdb => Head::Bytes(length(input, 4)?.saturating_add(5)),
        0xc7 => Head::Bytes(3 + length(input, 1)?),
        0xc8 => Head::Bytes(4 + length(input, 2)?),
        0xc9 => Head::Bytes(length(input, 4)?.saturating_add(6)),
        0xcc | 0xd0 => Head::Bytes(2),
        0xcd | 0xd1 | 0xd4 => Head::Bytes(3),
        0xd5 => Head::Bytes(4),
        0xca | 0xce | 0xd2 => Head::Bytes(5),
        0xd6 => Head::Bytes(6),
        0xcb | 0xcf | 0xd3 => Head::Bytes(9),
        0xd7 => Head::Bytes(10),
        0xd8 => Head::Bytes(18),
        0xdc => Head::Values(3, length(input, 2)? as u64),
        0xdd => Head::Values(5, length(input, 4)? as u64),
        0xde => Head::Values(3, 2 * length(input, 2)? as u64),
        0xdf => Head::Values(5, 2 * length(input, 4)? as u64),
    })
}

/// The big-endian length of `width` bytes behind the marker.
fn length(input: &[u8], width: usize) -> Result<usize, DecodeError> {
    let bytes = input.get(1..=width).ok_or(DecodeError::Truncated)?;
    Ok(bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(bytes: &[u8], expected: Result<usize, &str>) {
        let found = value_length(bytes).map_err(|e| e.to_string());
        assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e), "{bytes:02x?}");
    }

    #[test]
    fn finds_the_end_of_a_value() {
        check(&[0x07, 0xff], Ok(1));
        check(&[0xa2, b'h', b'i', 0x01], Ok(3));
        check(&[0x92, 0x01, 0x91, 0xc0, 0x05], Ok(4));
        check(&[0x81, 0xa1, b'k', 0x90], Ok(4));
        check(&[0xc4, 0x02, 0, 0, 0], Ok(4));
    }

    #[test]
    fn refuses_truncated_values() {
        check(&[], Err("the message ends in the middle of a value"));
        check(&[0x92, 0x01], Err("the message ends in the middle of a value"));
        check(&[0xdb, 0xff, 0xff, 0xff, 0xff, b'x'], Err("the message ends in the middle of a value"));
        check(&[0xdd, 0xff, 0xff, 0xff, 0xff], Err("the message ends in the middle of a value"));
    }

    #[test]
    fn allows_128_levels_and_refuses_129() {
        let nested = |levels: usize| [vec![0x91; levels], vec![0xc0]].concat();
        check(&nested(128), Ok(129));
        check(&nested(129), Err("the message nests deeper than 128 levels"));
        check(&nested(100_000), Err("the message nests deeper than 128 levels"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_decoder_about_where_a_value_ends(
            value: (Vec<Option<String>>, std::collections::BTreeMap<u16, (f64, i64, Vec<u8>)>, Option<bool>),
            tail: Vec<u8>,
        ) {
            let encoded = rmp_serde::to_vec_named(&value).unwrap();
            let mut bytes = encoded.clone();
            bytes.extend(&tail);
            prop_assert_eq!(value_length(&bytes).unwrap(), encoded.len());
        }

        #[test]
        fn never_panics_and_never_reads_past_the_end(bytes: Vec<u8>) {
            if let Ok(length) = value_length(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
