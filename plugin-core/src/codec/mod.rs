//! Values to MessagePack and back.
//!
//! The envelope (how many arguments, in which order) is positional; the user's own types travel as named maps, so that
//! fields may be added. Byte strings travel as MessagePack `bin` whatever alias they hide behind: see [`bytes`].
//! What values refer to besides bytes goes [`along`]. Nothing is decoded before [`scan`] has bounded its nesting.

pub(crate) mod along;
mod bytes;
mod decode;
mod encode;
mod fetch;
mod give;
mod lend;
pub(crate) mod scan;

pub use bytes::{Decode, DecodeBytes, DecodeSerde, Encode, EncodeBytes, EncodeSerde};
pub(crate) use bytes::{decode_item, encode_item};
pub use decode::{DecodeError, Decoder};
pub use encode::{EncodeError, Encoder};
pub use fetch::{Fetch, FetchBytes, FetchSerde};
pub use give::{Give, GiveBytes, GiveSerde};
pub use lend::{Lend, LendBytes, LendFromMessage, LendOwned, LendValue};

use serde::{Serialize, de::DeserializeOwned};

use crate::buffer::Buffer;

/// Encodes one of the protocol's own messages.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Buffer, EncodeError> {
    let mut encoder = Encoder::new(usize::MAX);
    encoder.value(value)?;
    Ok(encoder.into_buffer())
}

/// Decodes one of the protocol's own messages, refusing deep nesting and trailing bytes.
pub(crate) fn from_slice<T: DeserializeOwned>(payload: &[u8]) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(payload);
    let value = decoder.value()?;
    decoder.end()?;
    Ok(value)
}
