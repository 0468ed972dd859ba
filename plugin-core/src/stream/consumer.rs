//! Reading a stream that is produced elsewhere.

use std::task::{Context, Poll};

use serde::de::DeserializeOwned;

use super::{source::Read, unreadable};
use crate::{
    Error, Result,
    buffer::Buffer,
    codec::{
        self,
        along::{self, Thing},
    },
    protocol::items::{ItemError, Unpacker},
};

/// What arrives of a stream.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The next bytes, and what came along, if that is anything: then an item begins with them, which refers to it.
    Items(Buffer, Option<Thing>),
    /// No more; why, if not because that was all.
    End(Option<Error>),
}

/// A stream's way from its producer. Dropping it stops the producer.
pub(crate) trait Upstream: Send {
    /// What arrives next, waiting for it until the deadline in force on this thread.
    ///
    /// # Errors
    /// [`Error::Timeout`] at the deadline: reading may go on. Any other if nothing will arrive any more.
    fn receive(&mut self) -> Result<Arrival>;

    /// As [`receive`](Self::receive), for a task.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Arrival>>;

    /// What errors call the producer's side.
    fn peer(&self) -> &str;

    /// The most bytes that an item may have.
    fn max_item(&self) -> usize;
}

/// Puts the items of a stream together and decodes them.
pub(crate) struct Consumer<T> {
    upstream: Box<dyn Upstream>,
    items: Unpacker,
    /// What the next item refers to.
    came: Option<Thing>,
    decode: fn(&[u8]) -> Result<T, codec::DecodeError>,
}

impl<T: DeserializeOwned + 'static> Consumer<T> {
    pub(super) fn new(upstream: Box<dyn Upstream>) -> Self {
        let items = Unpacker::new(upstream.max_item());
        Self { upstream, items, came: None, decode: codec::decode_item }
    }
}

impl<T> Consumer<T> {
    /// The next item, waiting for it.
    pub(super) fn read(&mut self) -> Read<T> {
        loop {
            if let Some(read) = self.read_here() {
                return read;
            }
            let arrival = self.upstream.receive();
            if let Some(last) = self.arrived(arrival) {
                return last;
            }
        }
    }

    /// As [`read`](Self::read), for a task.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Read<T>> {
        loop {
            if let Some(read) = self.read_here() {
                return Poll::Ready(read);
            }
            let Poll::Ready(arrival) = self.upstream.poll_receive(context) else { return Poll::Pending };
            if let Some(last) = self.arrived(arrival) {
                return Poll::Ready(last);
            }
        }
    }

    /// The next item that has arrived whole.
    fn read_here(&mut self) -> Option<Read<T>> {
        let item = match self.items.next() {
            Ok(item) => {
                let (item, decode) = (item?, self.decode);
                along::coming(self.came.take(), || decode(item))
                    .map_err(|error| unreadable(self.upstream.peer(), &error))
            }
            Err(error) => Err(unreadable(self.upstream.peer(), &error)),
        };
        Some(item.map_or_else(Read::Failed, Read::Item))
    }

    fn arrived(&mut self, arrival: Result<Arrival>) -> Option<Read<T>> {
        match arrival {
            Ok(Arrival::Items(frame, came)) => {
                self.items.push(frame);
                if came.is_some() {
                    self.came = came;
                }
                None
            }
            Ok(Arrival::End(None)) => Some(match self.items.finish() {
                Ok(()) => Read::End,
                Err(error @ (ItemError::Truncated | ItemError::TooLong { .. })) => {
                    Read::Failed(unreadable(self.upstream.peer(), &error))
                }
            }),
            Ok(Arrival::End(Some(error))) => Some(Read::Failed(error)),
            Err(error) => Some(failed(error)),
        }
    }
}

/// What has come of reading where nothing has arrived.
pub(super) fn failed<T>(error: Error) -> Read<T> {
    if let Error::Timeout { .. } = error { Read::Late(error) } else { Read::Failed(error) }
}
