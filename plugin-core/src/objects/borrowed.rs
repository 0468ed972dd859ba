//! What a caller has lent, seen from the method that was called with it: calling it asks the thread that waits for the method.

use std::sync::Arc;

use super::{
    callee::{Called, Callee, Encode},
    caller::Client,
    context::Context,
    distant::Distant,
};
use crate::{
    Error, Interface, Result,
    client::Answer,
    codec::{DecodeError, Decoder},
    interface::Timeout,
    protocol::{
        message::{Failure, FailureKind},
        metadata,
    },
    server::CallState,
};

/// Decodes what refers to something lent; gives the number of its interface, too, which a function has not.
fn decode(from: &mut Decoder<'_>) -> Result<(Callee, Option<u32>), DecodeError> {
    let (target, interface): (u32, Option<u32>) = from.value()?;
    let context = Context::current().filter(|context| context.call != 0 && metadata::is_lent(target));
    let context = context.ok_or_else(|| DecodeError::Malformed("nothing can be lent here".into()))?;
    Ok((Callee::of_call(context, target), interface))
}

/// Decodes what refers to an object that the call lends; gives a proxy for it.
///
/// # Errors
/// When nothing of that interface is lent.
#[doc(hidden)]
pub fn borrow<I: Interface + ?Sized>(from: &mut Decoder<'_>) -> Result<Arc<I>, DecodeError> {
    let (callee, interface) = decode(from)?;
    let object = Distant::new(callee, I::DESCRIPTOR, interface)?;
    Ok(I::proxy(Client::distant(Arc::new(object))))
}

/// A function that is lent.
#[doc(hidden)]
pub struct Function {
    callee: Callee,
    called: Called,
    /// The call that lends it.
    call: Option<Arc<CallState>>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("name", &self.called.name).finish_non_exhaustive()
    }
}

impl Function {
    /// Decodes what refers to a function that the call lends; errors call it by that name.
    ///
    /// # Errors
    /// When no function is lent.
    pub fn decode(from: &mut Decoder<'_>, name: &'static str) -> Result<Self, DecodeError> {
        match decode(from)? {
            (callee, None) => {
                let call = CallState::current();
                Ok(Self { callee, called: Called { method: 0, name, timeout: Timeout::Inherit }, call })
            }
            (_, Some(_)) => Err(DecodeError::Malformed("expected a function, got an object".into())),
        }
    }

    /// Calls it with so many arguments, which `encode` writes, and waits for the answer.
    ///
    /// # Errors
    /// When the call fails for any reason but the function's own.
    pub fn call(&self, arguments: u32, encode: Encode<'_>) -> Result<Answer<'_>> {
        self.callee.call(self.called, arguments, encode, &mut [])
    }

    /// Calls it without waiting. There is nobody to tell what goes wrong but the call that lends it: its answer says that all has
    /// been told, so it fails, too.
    pub fn notify(&self, arguments: u32, encode: Encode<'_>) {
        let Err(error) = self.callee.notify(self.called, arguments, encode) else { return };
        tracing::warn!(%error, "a callback without a result was not called");
        if let Some(call) = &self.call {
            call.leave_incomplete(match error {
                Error::Timeout { .. } => Failure::new(
                    FailureKind::Late,
                    "its time was over before all that it told its caller could be sent",
                ),
                error => Failure::new(
                    FailureKind::BadAnswer,
                    &format!("what it tells its caller is part of it, and {error}"),
                ),
            });
        }
    }
}
