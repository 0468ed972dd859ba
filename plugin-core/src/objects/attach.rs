//! What a message refers to besides its bytes: put along by the values, and taken to whichever connection it goes.

use std::{fmt, sync::Arc};

use super::interfaces;
use crate::{
    buffer::Buffer,
    codec::{Decoder, EncodeError, Encoder, along::Thing},
    connection::{Connection, Export, Import, MAX_STREAMS, TooMany},
    error::whose,
    interface::Descriptor,
    protocol::{
        message::Message,
        metadata::{MAX_OBJECTS, Metadata},
    },
};

/// What a value puts along.
pub(crate) enum Attachment {
    /// Something of this side's, and the interface that it has, if any.
    Given(Arc<dyn Export>, Option<&'static Descriptor>),
    /// Something of the other side's.
    Returned(Arc<Import>),
}

/// Everything that one message refers to; mostly nothing.
#[derive(Default)]
pub(crate) struct Attachments(Option<Box<All>>);

#[derive(Default)]
struct All {
    given: Vec<Arc<dyn Export>>,
    interfaces: Vec<&'static Descriptor>,
    returned: Vec<Arc<Import>>,
}

impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.as_ref().map_or(0, |all| all.given.len() + all.returned.len());
        f.debug_tuple("Attachments").field(&count).finish()
    }
}

/// An encoded message that is not addressed yet.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) payload: Buffer,
    /// Whether the payload begins with metadata.
    pub(crate) meta: bool,
    pub(crate) attachments: Attachments,
}

impl Parcel {
    /// Closes what has been encoded up to `limit` bytes: metadata of so many bytes that say no more than `parent`, and values.
    #[inline]
    pub(crate) fn seal(
        payload: Buffer,
        things: Vec<Thing>,
        limit: usize,
        parent: Option<u32>,
        metadata: usize,
    ) -> Result<Self, EncodeError> {
        let attachments = Attachments::of(things);
        if attachments.0.is_none() {
            return Ok(Self { payload, meta: parent.is_some(), attachments });
        }
        Self { payload, meta: true, attachments }.say(limit, parent, metadata)
    }

    /// As it is where it is a part of a request that is made from `parent`.
    pub(crate) fn made_from(self, limit: usize, parent: u32) -> Result<Self, EncodeError> {
        let mut values = Decoder::new(&self.payload);
        if self.meta {
            values.skip().map_err(|error| EncodeError::Failed(error.to_string()))?;
        }
        let metadata = self.payload.len() - values.left();
        self.say(limit, Some(parent), metadata)
    }

    /// Puts what is to be said beside the values in place of the first bytes.
    fn say(self, limit: usize, parent: Option<u32>, metadata: usize) -> Result<Self, EncodeError> {
        let mut whole = Encoder::new(limit);
        let written = self.attachments.metadata(parent).write(&mut whole);
        match written.and_then(|()| whole.encoded(&self.payload[metadata..])) {
            Ok(()) => Ok(Self { payload: whole.into_buffer(), meta: true, ..self }),
            Err(EncodeError::TooLarge(_)) => Err(EncodeError::TooLarge(limit)),
            Err(error) => Err(error),
        }
    }

    /// Makes it part of `message`, which goes out by `connection`.
    pub(crate) fn address(self, message: Message, connection: &Arc<Connection>) -> Result<Message, EncodeError> {
        let Self { payload, meta, attachments } = self;
        attachments.attach(Message { meta, payload, ..message }, connection)
    }
}

impl Attachments {
    #[inline]
    pub(crate) fn of(things: Vec<Thing>) -> Self {
        Self(if things.is_empty() { None } else { Some(Box::new(All::of(things))) })
    }

    pub(crate) fn metadata(&self, parent: Option<u32>) -> Metadata {
        let Some(all) = &self.0 else { return Metadata { parent, ..Metadata::default() } };
        let objects = all.given.iter().map(|export| export.target()).collect();
        let returned = all.returned.iter().map(|import| import.target()).collect();
        Metadata { parent, objects, returned }
    }

    /// Sends them along with a message that goes out by `connection`.
    ///
    /// # Errors
    /// When it may not refer to one of them.
    #[inline]
    pub(crate) fn attach(&self, message: Message, connection: &Arc<Connection>) -> Result<Message, EncodeError> {
        match &self.0 {
            Some(all) => all.attach(message, connection),
            None => Ok(message),
        }
    }
}

impl All {
    fn of(things: Vec<Thing>) -> Self {
        let mut all = Self::default();
        for thing in things {
            match thing.downcast_ref() {
                Some(Attachment::Given(export, interface)) => {
                    all.given.push(Arc::clone(export));
                    all.interfaces.extend(interface);
                }
                Some(Attachment::Returned(import)) => all.returned.push(Arc::clone(import)),
                None => {}
            }
        }
        // Once for all references: these are not counted.
        all.returned.sort_by_key(|import| import.target());
        all.returned.dedup_by(|one, other| Arc::ptr_eq(one, other));
        all
    }

    fn attach(&self, message: Message, connection: &Arc<Connection>) -> Result<Message, EncodeError> {
        for import in &self.returned {
            check_home(import, connection)?;
        }
        for export in &self.given {
            export.check().map_err(|why| EncodeError::Failed(why.into()))?;
        }
        for descriptor in &self.interfaces {
            declare(descriptor, connection)?;
        }
        let cargo = connection.give(&self.given, &self.returned).map_err(|too_many| {
            let peer = whose(&connection.peer());
            EncodeError::Failed(match too_many {
                TooMany::Objects => {
                    format!("{peer} would hold more than {MAX_OBJECTS} objects of this process; drop some first")
                }
                TooMany::Streams => {
                    format!("more than {MAX_STREAMS} streams to {peer} would be open; read or drop some first")
                }
            })
        })?;
        Ok(Message { cargo, ..message })
    }
}

/// Refuses what does not live where it is sent to.
fn check_home(import: &Import, connection: &Arc<Connection>) -> Result<(), EncodeError> {
    let home = import.connection();
    if Arc::ptr_eq(home, connection) {
        return Ok(());
    }
    let (owner, peer) = (whose(&home.peer()), whose(&connection.peer()));
    let why = if home.end().is_some() {
        format!("a `Remote` lived in {owner}, whose connection has ended, and the object with it")
    } else {
        format!(
            "a `Remote` lives in {owner} and cannot be passed on to {peer}; send `Remote::from(Remote::into_arc(remote))`, which calls it by way of this process"
        )
    };
    Err(EncodeError::Failed(why))
}

/// Says what interface an object has, where that has not been said yet.
pub(super) fn declare(descriptor: &'static Descriptor, connection: &Arc<Connection>) -> Result<(), EncodeError> {
    if connection.declare(interfaces::number(descriptor), || interfaces::entry(descriptor)) {
        return Ok(());
    }
    let name = descriptor.name;
    Err(EncodeError::Failed(format!("interface `{name}` has too many methods to be told to the other side")))
}
