//! What a proxy holds: its end of one interface of one plugin.

use std::sync::Arc;

use crate::{
    Error,
    codec::{DecodeError, Decoder, EncodeError, Encoder},
    interface::{Descriptor, Verdict},
};

/// Calls the methods of one interface of one plugin.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Client {
    descriptor: &'static Descriptor,
    plugin: Arc<str>,
}

impl Client {
    /// Whether the plugin has method number `method` of the descriptor.
    pub fn supports(&self, method: usize) -> bool {
        let _ = (method, self.descriptor);
        true
    }

    /// Calls method number `method` of the descriptor with `arguments` values, which `encode` writes.
    ///
    /// # Errors
    /// When the call fails for any reason but the method's own.
    pub fn call(
        &self,
        method: usize,
        arguments: u32,
        encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<Answer, Error> {
        let mut encoder = Encoder::new(64 << 20);
        encoder.array(arguments).and_then(|()| encode(&mut encoder)).map_err(|e| Error::custom(e))?;
        let _ = method;
        Err(Error::custom("not connected"))
    }
}

/// What came back from a call.
#[doc(hidden)]
#[derive(Debug)]
pub struct Answer {
    verdict: Verdict,
    payload: Vec<u8>,
}

impl Answer {
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Decodes the answer's one value.
    pub(crate) fn read<T>(&self, decode: impl FnOnce(&mut Decoder<'_>) -> Result<T, DecodeError>) -> Result<T, Error> {
        let mut decoder = Decoder::new(&self.payload);
        decode(&mut decoder).and_then(|value| decoder.finish().map(|()| value)).map_err(Error::custom)
    }
}
