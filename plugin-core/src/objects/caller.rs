//! What a proxy holds: an interface of a plugin, or an object of the other side.

use std::{
    future::{Future, ready},
    sync::Arc,
};

use super::{
    Lent, LentByTask,
    distant::{self, Distant},
};
use crate::{
    Result,
    client::{self, Answer},
    codec::{EncodeError, Encoder},
    interface::BoxFuture,
};

/// Calls the methods of one interface of one plugin, or of one object.
#[doc(hidden)]
#[derive(Clone)]
pub struct Client(Callee);

#[derive(Clone)]
enum Callee {
    Plugin(client::Client),
    Distant(Arc<Distant>),
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Callee::Plugin(client) => client.fmt(f),
            Callee::Distant(object) => f.debug_tuple("Distant").field(&object.interface()).finish(),
        }
    }
}

impl Client {
    pub(crate) fn of_plugin(client: client::Client) -> Self {
        Self(Callee::Plugin(client))
    }

    pub(super) fn distant(object: Arc<Distant>) -> Self {
        Self(Callee::Distant(object))
    }

    /// Whether the other side has method number `method` of the descriptor.
    pub fn supports(&self, method: usize) -> bool {
        match &self.0 {
            Callee::Plugin(client) => client.supports(method),
            Callee::Distant(object) => object.supports(method),
        }
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
    ) -> Result<Answer<'_>> {
        self.call_lending(method, arguments, encode, &mut [])
    }

    /// As [`call`](Self::call), lending functions and objects for as long as it lasts.
    ///
    /// # Errors
    /// When the call fails for any reason but the method's own.
    pub fn call_lending(
        &self,
        method: usize,
        arguments: u32,
        encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
        lent: &mut [Lent<'_>],
    ) -> Result<Answer<'_>> {
        match &self.0 {
            Callee::Plugin(client) => client.call(method, arguments, encode, lent),
            Callee::Distant(object) => object.call(method, arguments, encode, lent),
        }
    }

    /// Sends a call of oneway method number `method` of the descriptor, with `arguments` values, which `encode` writes.
    ///
    /// # Errors
    /// When it cannot be sent. What becomes of it then, nobody is told.
    pub fn call_oneway(
        &self,
        method: usize,
        arguments: u32,
        encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<()> {
        match &self.0 {
            Callee::Plugin(client) => client.call_oneway(method, arguments, encode),
            Callee::Distant(object) => object.call_oneway(method, arguments, encode),
        }
    }

    /// Encodes the arguments of a call of async method number `method`, whose time begins now, to be made when somebody waits
    /// for it.
    pub fn prepare(
        &self,
        method: usize,
        arguments: u32,
        encode: &mut dyn FnMut(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Prepared<'_> {
        Prepared(match &self.0 {
            Callee::Plugin(client) => client.prepare(method, arguments, encode).map(Of::Plugin),
            Callee::Distant(object) => {
                object.prepare(method, arguments, encode).map(|call| Of::Distant(Box::new(call)))
            }
        })
    }
}

/// A call that is ready to be sent.
#[doc(hidden)]
#[derive(Debug)]
pub struct Prepared<'a>(Result<Of<'a>>);

/// Whose method is called.
#[derive(Debug)]
enum Of<'a> {
    Plugin(client::Prepared<'a>),
    /// Boxed: a future is as large as the largest of what it may hold.
    Distant(Box<distant::Prepared>),
}

impl<'a> Prepared<'a> {
    /// Makes the call.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call(self) -> impl Future<Output = Result<Answer<'a>>> + Send + 'a {
        match self.0 {
            Ok(Of::Plugin(call)) => call.call(),
            Ok(Of::Distant(call)) => client::Calling::of(async move { call.call_lending(&mut []).await }),
            Err(error) => client::Calling::of(ready(Err(error))),
        }
    }

    /// As [`call`](Self::call), lending functions and objects for as long as it lasts.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call_lending<'b>(self, lent: &'b mut [LentByTask<'_>]) -> BoxFuture<'b, Result<Answer<'a>>>
    where
        'a: 'b,
    {
        match self.0 {
            Ok(Of::Plugin(call)) => call.call_lending(lent),
            Ok(Of::Distant(call)) => call.call_lending(lent),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }

    /// Sends the oneway call.
    ///
    /// # Errors
    /// As [`Client::call_oneway`].
    pub async fn call_oneway(self) -> Result<()> {
        match self.0? {
            Of::Plugin(call) => call.call_oneway().await,
            Of::Distant(call) => Box::pin(call.call_oneway()).await,
        }
    }
}
