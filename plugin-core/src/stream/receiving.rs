//! A stream of the other side that this one holds.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};

use super::{
    ByteStream, Stream,
    consumer::{Arrival, Consumer, Upstream},
    ending::Ending,
    reader::Bytes,
    source::Source,
    unreadable,
};
use crate::{
    Error, Result,
    codec::along,
    connection::{Brought, CallFailure, Inward},
    deadline,
    error::READ,
    objects::{Callee, context},
    protocol::{frame::Kind, message::Message},
};

/// The way of a stream from the other side.
struct FromProducer {
    inward: Inward,
    callee: Callee,
    /// When the task that waits began to.
    began: Option<Instant>,
    /// Finds out why nothing will come any more.
    failing: Option<Pin<Box<dyn Future<Output = Error> + Send>>>,
}

impl FromProducer {
    fn arrival(&self, mut message: Message) -> Arrival {
        match message.kind {
            Kind::Items => Arrival::Items(std::mem::take(&mut message.payload), message.cargo.take()),
            Kind::End => Arrival::End(Ending::read(&message.payload, self.peer(), self.max_item())),
            // Nothing that was asked for: only a peer that guesses numbers sends it.
            kind => {
                Arrival::End(Some(unreadable(self.peer(), &format!("an answer of kind {kind:?} in place of items"))))
            }
        }
    }
}

impl Upstream for FromProducer {
    fn receive(&mut self) -> Result<Arrival> {
        let (began, deadline) = (Instant::now(), deadline::in_force());
        let received = self.inward.receive(deadline);
        context::note_wait(began);
        match received {
            Ok(message) => Ok(self.arrival(message)),
            Err(failure) => Err(self.callee.explain(READ, began, deadline, &failure)),
        }
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Arrival>> {
        let deadline = deadline::in_force();
        let began = *self.began.get_or_insert_with(Instant::now);
        if self.failing.is_none() {
            match self.inward.poll_receive(context, deadline) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(message)) => {
                    self.began = None;
                    return Poll::Ready(Ok(self.arrival(message)));
                }
                Poll::Ready(Err(failure)) => self.failing = Some(self.explain(began, deadline, failure)),
            }
        }
        let Some(failing) = &mut self.failing else { return Poll::Pending };
        let Poll::Ready(error) = failing.as_mut().poll(context) else { return Poll::Pending };
        (self.failing, self.began) = (None, None);
        Poll::Ready(Err(error))
    }

    fn peer(&self) -> &str {
        &self.callee.peer
    }

    fn max_item(&self) -> usize {
        self.inward.import().connection().max_message()
    }
}

impl FromProducer {
    fn explain(
        &self,
        began: Instant,
        deadline: Option<Instant>,
        failure: CallFailure,
    ) -> Pin<Box<dyn Future<Output = Error> + Send>> {
        let callee = self.callee.clone();
        Box::pin(async move {
            if !matches!(failure, CallFailure::Late { .. }) {
                callee.settle(deadline).await;
            }
            callee.explain(READ, began, deadline, &failure)
        })
    }
}

/// Takes a stream out of the message that is being decoded.
fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<dyn Upstream>, D::Error> {
    let (target,) = <(u32,)>::deserialize(deserializer)?;
    let brought = along::came::<Brought>();
    let brought =
        brought.ok_or_else(|| de::Error::custom("a stream can be deserialised as a part of a plugin call only"))?;
    let import = brought.import(target);
    let import = import.ok_or_else(|| de::Error::custom("it refers to a stream that it did not bring"))?;
    let callee = Callee::held(std::sync::Arc::clone(&import));
    let inward = Inward::new(import).map_err(de::Error::custom)?;
    Ok(Box::new(FromProducer { inward, callee, began: None, failing: None }))
}

impl<'de, T: DeserializeOwned + 'static> Deserialize<'de> for Stream<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(Source::Received(Consumer::new(take(deserializer)?))))
    }
}

impl<'de> Deserialize<'de> for ByteStream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(Bytes::Received(take(deserializer)?)))
    }
}
