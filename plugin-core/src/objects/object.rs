//! A value of this process that the other side may hold, and its number.

use std::{
    any::Any,
    collections::HashSet,
    sync::{Arc, Mutex, OnceLock},
};

use super::interfaces;
use crate::{
    connection::{Connection, Export, lock},
    interface::{Dispatch, Interface},
    protocol::metadata::{FIRST_LENT, FIRST_OBJECT},
    server::Executor,
};

/// A number that nothing else in this process has: messages are encoded before it is known by which connection they go.
#[derive(Debug)]
pub(crate) struct Target(u32);

/// The numbers in use, and the last one given.
static NUMBERS: Mutex<Option<(HashSet<u32>, u32)>> = Mutex::new(None);

impl Target {
    pub(crate) fn new() -> Self {
        let mut numbers = lock(&NUMBERS);
        let (used, last) = numbers.get_or_insert_with(|| (HashSet::new(), FIRST_LENT - 1));
        // Not the lowest one free: what is late about the one before is not to meet this one.
        loop {
            *last = if *last + 1 < FIRST_LENT { *last + 1 } else { FIRST_OBJECT };
            if used.insert(*last) {
                return Self(*last);
            }
        }
    }

    pub(crate) fn number(&self) -> u32 {
        self.0
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((used, _)) = &mut *lock(&NUMBERS) {
            used.remove(&self.0);
        }
    }
}

/// A value behind an interface.
pub(crate) struct Object {
    target: Target,
    pub(crate) dispatcher: Arc<dyn Dispatch>,
    /// What its interface goes by.
    interface: u32,
    /// An `Arc<I>`.
    value: Box<dyn Any + Send + Sync>,
    /// Where its async methods run.
    executor: OnceLock<Executor>,
}

impl Export for Object {
    fn target(&self) -> u32 {
        self.target.number()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl Object {
    pub(super) fn new<I: Interface + ?Sized + 'static>(value: &Arc<I>) -> Arc<Self> {
        let dispatcher = I::__dispatcher(Arc::clone(value));
        Arc::new(Self {
            target: Target::new(),
            interface: interfaces::number(I::DESCRIPTOR),
            dispatcher,
            value: Box::new(Arc::clone(value)),
            executor: OnceLock::new(),
        })
    }

    /// The value, if it is behind that interface.
    pub(super) fn value<I: ?Sized + 'static>(&self) -> Option<&Arc<I>> {
        self.value.downcast_ref()
    }

    /// What stands for all objects of its interface.
    pub(crate) fn place(&self) -> u32 {
        FIRST_OBJECT + self.interface
    }

    /// Decides where its async methods run: in the runtime from which it is sent, if there is one.
    pub(super) fn settle(&self) {
        self.executor();
    }

    pub(crate) fn executor(&self) -> &Executor {
        self.executor.get_or_init(|| Executor::of(std::slice::from_ref(&self.dispatcher)))
    }
}

/// Whether `target` is no interface of the greeting.
pub(crate) fn is_object(target: u32) -> bool {
    target >= FIRST_OBJECT
}

/// What the other side calls by `target`, if that is an object it holds.
pub(crate) fn find(connection: &Connection, target: u32) -> Option<Arc<Object>> {
    if !is_object(target) {
        return None;
    }
    connection.exported(target)?.into_any().downcast().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_have_the_same_number() {
        let (one, other) = (Target::new(), Target::new());
        assert_ne!(one.number(), other.number());
        let number = one.number();
        drop(one);
        assert!(!lock(&NUMBERS).as_ref().unwrap().0.contains(&number));
        assert!((FIRST_OBJECT..FIRST_LENT).contains(&other.number()));
    }
}
