//! Interfaces that are not in the greeting: each is declared once, before anything refers to it, and goes by a number then.

use std::collections::HashMap;

use super::{Connection, lock};
use crate::{
    buffer::Buffer,
    codec,
    protocol::{
        Violation,
        frame::{Kind, MAX_PAYLOAD},
        message::{InterfaceEntry, Message},
    },
    sync::Arc,
};

/// How many interfaces one side may declare, and about how many bytes of memory they may take: a name of no length takes some, too.
const MAX_DECLARED: usize = 4096;
const MAX_SIZE: usize = 16 << 20;
const NAME: usize = 32;

/// What either side has declared so far.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    /// By number, those that this side has declared.
    told: Vec<bool>,
    /// By number, those of the other side.
    heard: HashMap<u32, Arc<InterfaceEntry>>,
    /// About how many bytes of memory those have taken.
    size: usize,
}

impl Connection {
    /// Declares the interface of that number, unless that has been done; `false` where it cannot be, since it has too many
    /// methods.
    pub(crate) fn declare(self: &Arc<Self>, number: u32, entry: impl FnOnce() -> InterfaceEntry) -> bool {
        let place = number as usize;
        // Locked until it is queued: who finds it declared sends what refers to it behind it. But not until it is written: who
        // reads takes this lock, too, and waits for nothing but bytes.
        let mut declarations = lock(&self.declarations);
        if declarations.told.get(place).is_some_and(|is_told| *is_told) {
            return true;
        }
        // Strings and lists of them: their encoding cannot fail.
        let payload: Buffer = codec::encode(&entry()).unwrap_or_default();
        if payload.len() > MAX_PAYLOAD.min(self.max_message()) {
            return false;
        }
        if declarations.told.len() <= place {
            declarations.told.resize(place + 1, false);
        }
        declarations.told[place] = true;
        let queued = self.queue_control(Message { payload, ..Message::control(Kind::Declare, number) });
        drop(declarations);
        self.send_queued(queued);
        true
    }

    /// Takes note of an interface of the other side.
    pub(super) fn interface_declared(&self, message: &Message) -> Result<(), Violation> {
        let entry: InterfaceEntry =
            codec::from_slice(&message.payload).map_err(|error| Violation::BadDeclaration(error.to_string()))?;
        let mut declarations = lock(&self.declarations);
        declarations.size += message.payload.len() + NAME * entry.methods.len();
        declarations.heard.insert(message.call, Arc::new(entry));
        if declarations.heard.len() > MAX_DECLARED || declarations.size > MAX_SIZE {
            Err(Violation::TooManyDeclarations(MAX_DECLARED))
        } else {
            Ok(())
        }
    }

    /// The interface of the other side that goes by that number.
    pub(crate) fn declared(&self, number: u32) -> Option<Arc<InterfaceEntry>> {
        lock(&self.declarations).heard.get(&number).map(Arc::clone)
    }
}
