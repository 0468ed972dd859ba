//! A stream of this side that the other one holds: serialised as a number, produced once it is read.

use std::{
    any::Any,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use serde::{Serialize, Serializer, ser};

use super::{
    ByteStream, Stream,
    producer::{Items, Produce},
    pump::{Outlet, Pump, Unsendable},
    runtime::Pool,
};
use crate::{
    Result,
    buffer::Buffer,
    codec::along,
    connection::{Connection, Export, Sent, lock},
    objects::{Attachment, Attachments, object::Target},
    protocol::{Violation, frame::Kind, items::Cut, message::Message},
};

/// A stream that has been put into a message.
struct Outward {
    target: Target,
    state: Mutex<State>,
}

enum State {
    /// Nobody reads yet. `None` for a moment, while it is put into the message.
    Waiting(Option<Box<dyn Produce>>),
    Begun(Arc<Pump>),
}

impl Export for Outward {
    fn target(&self) -> u32 {
        self.target.number()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn check(&self) -> Result<(), &'static str> {
        match &*lock(&self.state) {
            State::Waiting(_) => Ok(()),
            State::Begun(_) => Err("the plugin that had begun to read the stream is gone, and a stream is read once; \
                make another, and call again"),
        }
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn demanded(&self, connection: &Arc<Connection>, bytes: u32) -> Result<(), Violation> {
        let pump = {
            let mut state = lock(&self.state);
            match &mut *state {
                State::Begun(pump) => Arc::clone(pump),
                State::Waiting(produce) => {
                    let Some(produce) = produce.take() else { return Ok(()) };
                    let target = self.target.number();
                    let outlet = ToReader { connection: Arc::clone(connection), target };
                    let pump = Pump::new(produce, Box::new(outlet), Arc::new(Threads(Arc::clone(connection))));
                    *state = State::Begun(Arc::clone(&pump));
                    pump
                }
            }
        };
        pump.demanded(bytes)
    }

    fn released(&self) {
        // One that nobody has read yet may go to another process with the same message.
        let pump = if let State::Begun(pump) = &*lock(&self.state) { Some(Arc::clone(pump)) } else { None };
        if let Some(pump) = pump {
            pump.release();
        }
    }
}

/// The way of a stream to the other side.
struct ToReader {
    connection: Arc<Connection>,
    target: u32,
}

impl ToReader {
    fn message(&self, kind: Kind, payload: impl Into<Buffer>) -> Message {
        Message { target: self.target, ..Message::answer(kind, 0, payload) }
    }

    /// The message that brings these bytes, and what they refer to.
    fn items(&self, Cut { bytes, things, weight }: Cut) -> Result<Message, Unsendable> {
        if things.is_empty() {
            return Ok(self.message(Kind::Items, bytes));
        }
        let attachments = Attachments::of(things);
        let metadata = attachments.metadata(None);
        let mut payload = crate::codec::Encoder::new(usize::MAX);
        let written = metadata.write(&mut payload).and_then(|()| payload.encoded(&bytes));
        let items = written.and_then(|()| {
            let items = self.message(Kind::Items, payload.into_buffer());
            let items = Message { meta: true, deadline: weight, ..items };
            attachments.attach(items, &self.connection)
        });
        items.map_err(Unsendable::Refused)
    }
}

impl Outlet for ToReader {
    fn send(&self, items: Cut) -> Result<(), Unsendable> {
        match self.connection.send(self.items(items)?, None) {
            Ok(Sent::Cared) => Ok(()),
            Ok(Sent::Partly) => {
                self.connection.stalled();
                Ok(())
            }
            Err(_) => Err(Unsendable::Unread),
        }
    }

    fn try_send(&self, items: Buffer) -> Result<(), Buffer> {
        match self.connection.try_send(self.message(Kind::Items, items)) {
            Ok(Sent::Cared) => Ok(()),
            Ok(Sent::Partly) => {
                self.connection.stalled();
                Ok(())
            }
            Err(message) => Err(message.payload),
        }
    }

    fn send_async(&self, items: Cut) -> Pin<Box<dyn Future<Output = Result<(), Unsendable>> + Send + '_>> {
        Box::pin(async move {
            let is_sent = self.connection.send_async(self.items(items)?).await;
            if is_sent { Ok(()) } else { Err(Unsendable::Unread) }
        })
    }

    fn max_item(&self) -> usize {
        self.connection.max_message()
    }

    fn end(&self, why: Vec<u8>) {
        self.connection.send_control(self.message(Kind::End, why));
    }
}

/// The threads that run what may block on behalf of a connection.
struct Threads(Arc<Connection>);

impl Pool for Threads {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.0.run(job);
    }
}

/// Puts a stream into the message that is being encoded, in which a number stands for it.
fn give<S: Serializer>(serializer: S, take: impl FnOnce() -> Result<Box<dyn Produce>>) -> Result<S::Ok, S::Error> {
    let outward = Arc::new(Outward { target: Target::new(), state: Mutex::new(State::Waiting(None)) });
    // Before its source is taken, which would be lost.
    if !along::put(Arc::new(Attachment::Given(Arc::clone(&outward) as Arc<dyn Export>, None))) {
        return Err(ser::Error::custom("a stream can be serialised as a part of a plugin call only"));
    }
    *lock(&outward.state) = State::Waiting(Some(take().map_err(ser::Error::custom)?));
    (outward.target.number(),).serialize(serializer)
}

impl<T: Serialize + Send + 'static> Serialize for Stream<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        give(serializer, || Ok(Box::new(Items::new(self.take_source()?))))
    }
}

impl Serialize for ByteStream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        give(serializer, || Ok(Box::new(self.take_source()?)))
    }
}
