//! What the other side has given this one: held for as long as anything here refers to it, then released.

use std::{any::Any, collections::HashMap};

use super::{Connection, Export, lock};
use crate::{
    protocol::{
        Violation,
        frame::Kind,
        message::{Cargo, Freight, Message},
        metadata::{MAX_OBJECTS, Metadata},
    },
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

/// After how many references to one object all but one are released: so they are never too many to be counted, however long it
/// is held.
const SURPLUS: u32 = 1 << 16;

/// By target, what this side holds.
pub(super) type Imports = HashMap<u32, Weak<Import>>;

/// Something of the other side's.
pub(crate) struct Import {
    connection: Arc<Connection>,
    target: u32,
    /// How many references have come, to be released together. It grows with the table locked.
    references: AtomicU32,
}

impl Import {
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(crate) fn target(&self) -> u32 {
        self.target
    }
}

impl Drop for Import {
    /// Behind all that this side has sent about it: the other side lets go of it when it has taken that.
    fn drop(&mut self) {
        {
            let mut imports = lock(&self.connection.imports);
            // It may have come again meanwhile, to be counted anew.
            if imports.get(&self.target).is_some_and(|held| std::ptr::eq(held.as_ptr(), self)) {
                imports.remove(&self.target);
            }
        }
        let references = *self.references.get_mut();
        self.release(references);
    }
}

impl Import {
    fn release(&self, references: u32) {
        let release = Message::control(Kind::Release, references);
        self.connection.send_control(Message { target: self.target, ..release });
    }
}

/// What a message has brought: objects of the other side, and of this one.
pub(crate) struct Brought {
    connection: Arc<Connection>,
    /// Both in the order of their targets.
    imports: Vec<Arc<Import>>,
    returned: Mutex<Vec<Returned>>,
}

struct Returned {
    export: Arc<dyn Export>,
    is_wanted: bool,
}

impl Freight for Brought {
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl Brought {
    /// What the other side calls `target`, if it has sent that along.
    pub(crate) fn import(&self, target: u32) -> Option<Arc<Import>> {
        let place = self.imports.binary_search_by_key(&target, |import| import.target).ok()?;
        Some(Arc::clone(&self.imports[place]))
    }

    /// What this side calls `target`, if it has come back.
    pub(crate) fn returned(&self, target: u32) -> Option<Arc<dyn Export>> {
        let mut returned = lock(&self.returned);
        let place = returned.binary_search_by_key(&target, |returned| returned.export.target()).ok()?;
        let found = &mut returned[place];
        found.is_wanted = true;
        Some(Arc::clone(&found.export))
    }
}

impl Drop for Brought {
    /// What nobody wanted may be the last that holds an object of this side, whose end is code of somebody else's; this may be a
    /// thread that reads.
    fn drop(&mut self) {
        let returned = std::mem::take(&mut *lock(&self.returned));
        let unwanted: Vec<_> =
            returned.into_iter().filter(|returned| !returned.is_wanted).map(|returned| returned.export).collect();
        if !unwanted.is_empty() {
            self.connection.handler.discard(unwanted);
        }
    }
}

impl Connection {
    /// Takes over what a message gives this side, and finds what it brings back.
    pub(super) fn take_over(self: &Arc<Self>, metadata: &Metadata) -> Result<Cargo, Violation> {
        if metadata.objects.len().max(metadata.returned.len()) > MAX_OBJECTS {
            return Err(Violation::TooManyObjects(MAX_OBJECTS));
        }
        let imports: Result<Vec<_>, _> = metadata.objects.iter().map(|target| self.import(*target)).collect();
        let mut imports = imports?;
        imports.sort_by_key(|import| import.target);
        imports.dedup_by_key(|import| import.target);
        // It may wait for long, and a list of one object's references is short on the wire.
        imports.shrink_to_fit();
        let returned = metadata.returned.iter().filter_map(|target| self.exported(*target));
        let mut returned: Vec<_> = returned.map(|export| Returned { export, is_wanted: false }).collect();
        returned.sort_by_key(|returned| returned.export.target());
        returned.dedup_by_key(|returned| returned.export.target());
        returned.shrink_to_fit();
        let brought = Brought { connection: Arc::clone(self), imports, returned: Mutex::new(returned) };
        Ok(Cargo::new(Arc::new(brought)))
    }

    /// Counts one more reference to what the other side calls `target`.
    fn import(self: &Arc<Self>, target: u32) -> Result<Arc<Import>, Violation> {
        let mut imports = lock(&self.imports);
        if let Some(import) = imports.get(&target).and_then(Weak::upgrade) {
            let references = import.references.fetch_add(1, Ordering::Relaxed) + 1;
            let is_surplus = references >= SURPLUS;
            if is_surplus {
                import.references.store(1, Ordering::Relaxed);
            }
            drop(imports);
            if is_surplus {
                import.release(references - 1);
            }
            return Ok(import);
        }
        // One that is being let go of is still there, and gives its place to the same that has come again.
        if imports.len() >= MAX_OBJECTS && !imports.contains_key(&target) {
            return Err(Violation::TooManyObjects(MAX_OBJECTS));
        }
        let import = Arc::new(Import { connection: Arc::clone(self), target, references: AtomicU32::new(1) });
        imports.insert(target, Arc::downgrade(&import));
        Ok(import)
    }

    /// How many of the other side's objects this one holds.
    pub(crate) fn held(&self) -> usize {
        lock(&self.imports).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connection::tests::connect,
        protocol::frame::{Deframer, Header},
        transport::Link as _,
    };

    /// The headers of what has been sent.
    fn sent(link: &crate::transport::memory::MemoryLink, deframer: &mut Deframer, count: usize) -> Vec<Header> {
        let mut headers = Vec::new();
        while headers.len() < count {
            if let Some(frame) = deframer.next().unwrap() {
                headers.push(frame.header);
                continue;
            }
            let count = link.read(deframer.space()).unwrap();
            deframer.filled(count);
        }
        headers
    }

    fn objects(objects: &[u32]) -> Metadata {
        Metadata { objects: objects.to_vec(), ..Metadata::default() }
    }

    #[test]
    fn the_last_reference_releases_all_that_have_come() {
        let (connection, other) = connect();
        let mut deframer = Deframer::new();
        let first = connection.take_over(&objects(&[7, 8, 7])).unwrap();
        let second = connection.take_over(&objects(&[7])).unwrap();
        assert_eq!(connection.held(), 2);
        drop(first);
        let released = sent(&other, &mut deframer, 1)[0];
        assert_eq!((released.kind, released.target, released.call), (Kind::Release as u8, 8, 1));
        drop(second);
        let released = sent(&other, &mut deframer, 1)[0];
        assert_eq!((released.kind, released.target, released.call), (Kind::Release as u8, 7, 3));
        assert_eq!(connection.held(), 0);
    }

    #[test]
    fn what_is_found_stays_when_the_message_goes() {
        let (connection, _other) = connect();
        let mut cargo = connection.take_over(&objects(&[7])).unwrap();
        let brought = cargo.take().unwrap().downcast::<Brought>().unwrap();
        assert!(brought.import(8).is_none());
        let import = brought.import(7).unwrap();
        drop(brought);
        assert_eq!((connection.held(), import.target()), (1, 7));
        drop(import);
        assert_eq!(connection.held(), 0);
    }

    #[test]
    fn what_is_given_again_and_again_is_released_now_and_then() {
        let (connection, other) = connect();
        let mut deframer = Deframer::new();
        let held = connection.take_over(&objects(&[7])).unwrap();
        drop(connection.take_over(&objects(&vec![7; MAX_OBJECTS])).unwrap());
        drop(held);
        let released: u32 = sent(&other, &mut deframer, 2).iter().map(|header| header.call).sum();
        assert_eq!(released, u32::try_from(MAX_OBJECTS).unwrap() + 1);
    }

    #[test]
    fn nobody_can_make_this_side_hold_any_number() {
        let (connection, _other) = connect();
        let most = u32::try_from(MAX_OBJECTS).unwrap();
        assert!(connection.take_over(&objects(&vec![7; MAX_OBJECTS + 1])).is_err());
        let held = connection.take_over(&objects(&(0..most).collect::<Vec<_>>())).unwrap();
        assert!(connection.take_over(&objects(&[most])).is_err());
        assert!(connection.take_over(&objects(&[0])).is_ok());
        // As where the thread that drops the last handle has not come further.
        lock(&connection.imports).insert(0, Weak::new());
        assert!(connection.take_over(&objects(&[0])).is_ok(), "an honest side counts no more objects");
        drop(held);
        assert_eq!(connection.held(), 0);
    }

    #[test]
    fn what_is_let_go_of_at_this_moment_may_come_again_however_many_there_are() {
        let (connection, _other) = connect();
        let most = u32::try_from(MAX_OBJECTS).unwrap();
        let held = connection.take_over(&objects(&(1..most).collect::<Vec<_>>())).unwrap();
        // As its last handle leaves it before its drop has begun.
        lock(&connection.imports).insert(0, Weak::new());
        assert!(connection.take_over(&objects(&[0])).is_ok());
        drop(held);
    }
}
