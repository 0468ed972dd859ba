//! The only paths that generated code names. Not part of the public interface: anything here may change in any release.

pub use crate::{
    client::Answer,
    codec::{
        Decode, DecodeBytes, DecodeError, DecodeSerde, Decoder, Encode, EncodeBytes, EncodeError, EncodeSerde, Encoder,
        Fetch, FetchBytes, FetchSerde, Give, GiveBytes, GiveSerde, Lend, LendBytes, LendFromMessage, LendOwned,
        LendValue,
    },
    interface::{
        Descriptor, Dispatch, Dispatched, Fault, Holds, Interface, Method, Request, Timeout, Verdict, Wraps, arm,
        assert_unique, method_number, no_such_method,
    },
    objects::{Client, Function, Lent, LentByTask, Prepared, borrow, lend, lend_function, returned},
    reply::{CallError, OnewayReply, Reply},
};

pub use crate::host::{Pending, pending};

#[cfg(unix)]
pub use crate::transport::tally::{SystemCalls, system_calls};
