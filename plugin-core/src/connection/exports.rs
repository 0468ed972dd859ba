//! What this side has given the other: each goes by its target until the other side has let go of all references to it.
//!
//! References are counted: one more for each in a message that leaves, so many fewer with each release. What is given again while
//! a release of it is under way is therefore still there.

use std::collections::HashMap;

use super::{Connection, Import, lock};
use crate::{
    protocol::{
        Violation,
        message::{Cargo, Freight},
        metadata::MAX_OBJECTS,
    },
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

/// How many streams of each side may be open.
pub(crate) const MAX_STREAMS: usize = 4096;

/// Something that this side gives the other.
pub(crate) trait Export: Send + Sync {
    /// What it goes by: a number of its own in this process, for as long as it lives.
    fn target(&self) -> u32;

    fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;

    /// Whether it can be given to the other side; why not.
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }

    /// Whether it is a stream.
    fn is_stream(&self) -> bool {
        false
    }

    /// The other side wants `bytes` more of a stream. Never blocks.
    fn demanded(&self, _connection: &Arc<Connection>, _bytes: u32) -> Result<(), Violation> {
        Err(Violation::NoStream(self.target()))
    }

    /// The other side has let go of it. Never blocks.
    fn released(&self) {}
}

/// What the other side holds.
#[derive(Default)]
pub(super) struct Exports {
    held: HashMap<u32, Held>,
    /// How many of them are streams.
    streams: usize,
    /// The connection has ended, and nothing is held by anybody.
    is_closed: bool,
}

struct Held {
    export: Arc<dyn Export>,
    references: u32,
}

/// There would be too many.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TooMany {
    Objects,
    Streams,
}

/// What one message refers to: of this side, taken back unless the message leaves; and of the other, released behind it.
struct Given {
    connection: Weak<Connection>,
    targets: Vec<u32>,
    has_left: AtomicBool,
    _returned: Vec<Arc<Import>>,
}

impl Freight for Given {
    fn left(&self) {
        self.has_left.store(true, Ordering::Relaxed);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if *self.has_left.get_mut() {
            return;
        }
        if let Some(connection) = self.connection.upgrade() {
            connection.not_given(&self.targets);
        }
    }
}

impl Connection {
    /// Takes note that a message refers to these of this side, and those of the other; what is to go along with it.
    pub(crate) fn give(
        self: &Arc<Self>,
        exports: &[Arc<dyn Export>],
        returned: &[Arc<Import>],
    ) -> Result<Cargo, TooMany> {
        let mut given = Given {
            connection: Arc::downgrade(self),
            targets: Vec::with_capacity(exports.len()),
            has_left: AtomicBool::new(false),
            _returned: returned.to_vec(),
        };
        let admitted = if exports.len() > MAX_OBJECTS {
            Err(TooMany::Objects)
        } else {
            let mut table = lock(&self.exports);
            exports.iter().try_for_each(|export| {
                table.add(export)?;
                given.targets.push(export.target());
                Ok(())
            })
        };
        // Where it is not, what has been noted is taken back here, without the lock.
        let cargo = Cargo::new(Arc::new(given));
        admitted.map(|()| cargo)
    }

    /// What the other side calls by `target`, if it holds that.
    pub(crate) fn exported(&self, target: u32) -> Option<Arc<dyn Export>> {
        lock(&self.exports).held.get(&target).map(|held| Arc::clone(&held.export))
    }

    /// How many of this side's objects the other holds.
    pub(crate) fn given(&self) -> usize {
        lock(&self.exports).held.len()
    }

    fn not_given(&self, targets: &[u32]) {
        for target in targets {
            let freed = lock(&self.exports).remove(*target, 1);
            drop(freed); // Without the lock: it is somebody else's code.
        }
    }

    /// Takes note that the other side has let go of `count` references. What nobody else holds is dropped elsewhere: whoever
    /// reads runs no code of others.
    pub(super) fn released(&self, target: u32, count: u32) -> Result<(), Violation> {
        let freed = lock(&self.exports).remove(target, count);
        match freed {
            Ok(None) => {}
            Ok(Some(freed)) => {
                freed.released();
                self.handler.discard(vec![freed]);
            }
            Err(held) => return Err(Violation::ReleaseOfUnheld { target, released: count, held }),
        }
        Ok(())
    }

    /// The other side wants more of a stream. One that it has let go of meanwhile gives nothing more.
    pub(super) fn demanded(self: &Arc<Self>, target: u32, bytes: u32) -> Result<(), Violation> {
        self.exported(target).map_or(Ok(()), |stream| stream.demanded(self, bytes))
    }

    /// The other side holds nothing any more; what it held is for the caller to drop.
    pub(crate) fn take_exports(&self) -> Vec<Arc<dyn Export>> {
        let held = {
            let mut table = lock(&self.exports);
            table.is_closed = true;
            std::mem::take(&mut table.held)
        };
        for held in held.values() {
            held.export.released();
        }
        held.into_values().map(|held| held.export).collect()
    }
}

impl Exports {
    /// Counts one more reference, unless there are too many.
    fn add(&mut self, export: &Arc<dyn Export>) -> Result<(), TooMany> {
        if self.is_closed {
            return Ok(()); // The message will not leave.
        }
        let target = export.target();
        if !self.held.contains_key(&target) {
            if export.is_stream() && self.streams >= MAX_STREAMS {
                return Err(TooMany::Streams);
            }
            if self.held.len() >= MAX_OBJECTS {
                return Err(TooMany::Objects);
            }
            self.streams += usize::from(export.is_stream());
        }
        let held = self.held.entry(target).or_insert_with(|| Held { export: Arc::clone(export), references: 0 });
        held.references = held.references.checked_add(1).ok_or(TooMany::Objects)?;
        Ok(())
    }

    /// Takes so many references off; gives what has none left, or how many there were.
    fn remove(&mut self, target: u32, count: u32) -> Result<Option<Arc<dyn Export>>, u32> {
        let Some(held) = self.held.get_mut(&target) else { return if self.is_closed { Ok(None) } else { Err(0) } };
        held.references = held.references.checked_sub(count).ok_or(held.references)?;
        if held.references > 0 {
            return Ok(None);
        }
        let freed = self.held.remove(&target).map(|held| held.export);
        self.streams -= usize::from(freed.as_ref().is_some_and(|freed| freed.is_stream()));
        Ok(freed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connection::{
            Brought, CallFailure, Cause,
            tests::{Nobody, connect},
        },
        protocol::{frame::Kind, message::Message, metadata::Metadata, outgoing::Outgoing},
    };

    struct Numbered(u32);

    impl Export for Numbered {
        fn target(&self) -> u32 {
            self.0
        }

        fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
            self
        }
    }

    fn export(target: u32) -> Arc<dyn Export> {
        Arc::new(Numbered(target))
    }

    #[test]
    fn what_is_given_is_held_until_every_reference_is_released() {
        let (connection, _other) = connect();
        let object = export(7);
        let mut queue = Outgoing::default();
        for _ in 0..2 {
            let cargo = connection.give(&[Arc::clone(&object), Arc::clone(&object)], &[]).unwrap();
            queue.push(Message { cargo, ..Message::control(Kind::Request, 1) });
        }
        queue.fill_bytes(&mut Vec::new(), usize::MAX);
        drop(queue);
        assert_eq!(connection.given(), 1, "the messages have left");
        connection.released(7, 3).unwrap();
        assert!(connection.exported(7).is_some());
        let violation = connection.released(7, 2).unwrap_err();
        assert_eq!(violation, Violation::ReleaseOfUnheld { target: 7, released: 2, held: 1 });
        connection.released(7, 1).unwrap();
        assert!(connection.exported(7).is_none());
        assert!(connection.released(7, 0).is_err() && connection.released(8, 1).is_err());
    }

    #[test]
    fn what_does_not_leave_is_taken_back() {
        let (connection, _other) = connect();
        let object = export(7);
        let cargo = connection.give(&[Arc::clone(&object)], &[]).unwrap();
        let message = Message { cargo, ..Message::control(Kind::Request, 1) };
        let mut queue = Outgoing::default();
        queue.push(message);
        assert_eq!(connection.given(), 1);
        drop(queue.withdraw(1));
        assert_eq!((connection.given(), Arc::strong_count(&object)), (0, 1));
    }

    #[test]
    fn what_cannot_leave_any_more_keeps_nothing() {
        let (connection, _other) = connect();
        let unlinked = Connection::open(Arc::new(Nobody), connection.options);
        let object = export(7);
        let objects = Metadata { objects: vec![1], ..Metadata::default() };
        let mut brought = unlinked.take_over(&objects).unwrap();
        let brought = brought.take().unwrap().downcast::<Brought>().unwrap();
        let import = brought.import(1).unwrap();
        drop(brought);
        for kind in [Kind::Value, Kind::Oneway, Kind::Request] {
            let cargo = unlinked.give(&[Arc::clone(&object)], &[Arc::clone(&import)]).unwrap();
            unlinked.send(Message { cargo, ..Message::control(kind, 1) }, None).unwrap();
        }
        drop(import);
        unlinked.close(Cause::Local("the test is over"));
        assert!(matches!(unlinked.closed_under(1), CallFailure::Unsent(_)));
        assert_eq!((Arc::strong_count(&object), Arc::strong_count(&unlinked)), (1, 1));
    }

    #[test]
    fn there_are_only_so_many() {
        let (connection, _other) = connect();
        let most = u32::try_from(MAX_OBJECTS).unwrap();
        let all: Vec<_> = (0..most).map(export).collect();
        let cargo = connection.give(&all, &[]).unwrap();
        assert!(connection.give(&[export(most)], &[]).is_err());
        assert!(connection.give(&all[..1], &[]).is_ok(), "one more reference is no more objects");
        drop(cargo);
        assert_eq!(connection.given(), 0);
        assert!(connection.give(&[export(most)], &[]).is_ok());
    }
}
