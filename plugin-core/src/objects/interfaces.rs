//! Numbers for interfaces that are referred to in messages: the same in all sessions of this process.

use std::sync::Mutex;

use crate::{
    connection::lock,
    interface::{Descriptor, Method},
    protocol::message::InterfaceEntry,
};

static NUMBERED: Mutex<Vec<&'static Descriptor>> = Mutex::new(Vec::new());

/// The number that `descriptor` goes by.
pub(super) fn number(descriptor: &'static Descriptor) -> u32 {
    let mut numbered = lock(&NUMBERED);
    let place = numbered.iter().position(|known| are_same(known, descriptor)).unwrap_or_else(|| {
        numbered.push(descriptor);
        numbered.len() - 1
    });
    u32::try_from(place).expect("a program has fewer interfaces")
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
