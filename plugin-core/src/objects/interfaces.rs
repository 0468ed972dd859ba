//! Numbers for interfaces that are referred to in messages: the same in all sessions of this process.

use std::sync::{Mutex, atomic::AtomicU32};

use crate::{
    connection::lock,
    interface::{Descriptor, Method},
    protocol::message::InterfaceEntry,
};

static NUMBERED: Mutex<Vec<Numbered>> = Mutex::new(Vec::new());

/// An interface, and for each method what is noted of it by whoever runs the methods of its objects.
struct Numbered {
    descriptor: &'static Descriptor,
    notes: &'static [AtomicU32],
}

/// The number that `descriptor` goes by.
pub(super) fn number(descriptor: &'static Descriptor) -> u32 {
    let mut numbered = lock(&NUMBERED);
    let place = numbered.iter().position(|known| are_same(known.descriptor, descriptor)).unwrap_or_else(|| {
        // For ever, like the interface itself.
        let notes = Box::leak(descriptor.methods.iter().map(|_| AtomicU32::new(0)).collect());
        numbered.push(Numbered { descriptor, notes });
        numbered.len() - 1
    });
    u32::try_from(place).expect("a program has fewer interfaces")
}

/// What is noted of a method of all objects of the interface that goes by `number`.
pub(crate) fn note(number: u32, method: u16) -> Option<&'static AtomicU32> {
    lock(&NUMBERED).get(number as usize)?.notes.get(usize::from(method))
}

/// A constant may be in several places, so the place alone does not tell.
fn are_same(one: &Descriptor, other: &Descriptor) -> bool {
    let names = |descriptor: &'static [Method]| descriptor.iter().map(|method| method.name);
    std::ptr::eq(one, other)
        || (one.name == other.name && one.version == other.version && names(one.methods).eq(names(other.methods)))
}

/// What is said of an interface.
pub(crate) fn entry(descriptor: &Descriptor) -> InterfaceEntry {
    InterfaceEntry {
        name: descriptor.name.into(),
        version: descriptor.version.map(Into::into),
        methods: descriptor.methods.iter().map(|method| method.name.into()).collect(),
    }
}
