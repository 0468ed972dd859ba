//! The only paths that generated code names. Not part of the public interface: anything here may change in any release.

pub use crate::{
    client::{Answer, Client, Prepared},
    codec::{
        Decode, DecodeBytes, DecodeError, DecodeSerde, Decoder, Encode, EncodeBytes, EncodeError, EncodeSerde, Encoder,
        Fetch, FetchBytes, FetchSerde, Give, GiveBytes, GiveSerde, Lend, LendBytes, LendFromMessage, LendOwned,
        LendValue,
    },
    interface::{
        BoxFuture, Descriptor, Dispatch, Fault, Interface, Method, Request, Timeout, Verdict, Wraps, assert_unique,
        method_number,
    },
    reply::{CallError, OnewayReply, Reply},
};

pub use crate::host::{Pending, pending};

#[cfg(unix)]
pub use crate::transport::tally::{SystemCalls, system_calls};
