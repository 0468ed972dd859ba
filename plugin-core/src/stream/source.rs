//! Where the items of a stream come from.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use super::{channel::Receiver, consumer::Consumer, late, runtime::Runtime};
use crate::{Error, Result, blocking, deadline};

/// What has come of reading.
#[derive(Debug)]
pub(crate) enum Read<T> {
    Item(T),
    /// There are no more items.
    End,
    /// There are no more items, because of this.
    Failed(Error),
    /// The next item did not come in time. Reading may go on.
    Late(Error),
}

/// Where the items of a stream come from.
pub(crate) enum Source<T> {
    Iter(Box<dyn Iterator<Item = Result<T>> + Send>),
    Polled(Pin<Box<dyn futures_core::Stream<Item = Result<T>> + Send>>, Runtime),
    Channel(Receiver<T>),
    Received(Consumer<T>),
}

impl<T> Source<T> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Iter(_) => "iterator",
            Self::Polled(..) => "async stream",
            Self::Channel(_) => "channel",
            Self::Received(_) => "received",
        }
    }

    /// Whether reading in a task blocks it.
    pub(super) fn blocks(&self) -> bool {
        matches!(self, Self::Iter(_))
    }

    /// Whether the items come from elsewhere.
    pub(super) fn is_received(&self) -> bool {
        matches!(self, Self::Received(_))
    }

    /// Where it is to be polled.
    pub(super) fn runtime(&self) -> Runtime {
        match self {
            Self::Polled(_, runtime) => runtime.clone(),
            Self::Iter(_) | Self::Channel(_) | Self::Received(_) => Runtime::default(),
        }
    }

    /// The next item, waiting for it until the deadline in force on this thread.
    pub(super) fn read(&mut self) -> Read<T> {
        match self {
            Self::Iter(items) => items.next().into(),
            Self::Polled(items, runtime) => {
                let poll = |context: &mut Context<'_>| items.as_mut().poll_next(context);
                let waited = runtime.enter(|| blocking::wait(deadline::in_force(), poll));
                waited.map_or_else(|waited| Read::Late(late(waited)), Read::from)
            }
            Self::Channel(items) => {
                let waited = blocking::wait(deadline::in_force(), |context| items.poll(context));
                waited.unwrap_or_else(|waited| Read::Late(late(waited)))
            }
            Self::Received(items) => items.read(),
        }
    }

    /// As [`read`](Self::read), for a task.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Read<T>> {
        match self {
            Self::Iter(items) => Poll::Ready(items.next().into()),
            Self::Polled(items, runtime) => runtime.enter(|| items.as_mut().poll_next(context).map(Read::from)),
            Self::Channel(items) => items.poll(context),
            Self::Received(items) => items.poll_read(context),
        }
    }
}

impl<T> From<Option<Result<T>>> for Read<T> {
    fn from(next: Option<Result<T>>) -> Self {
        match next {
            Some(Ok(item)) => Self::Item(item),
            Some(Err(error)) => Self::Failed(error),
            None => Self::End,
        }
    }
}
