//! Numbers for interfaces that are referred to in messages: the same in all sessions of this process.

use std::sync::Mutex;

use crate::{connection::lock, interface::Descriptor, protocol::message::InterfaceEntry};

static NUMBERED: Mutex<Vec<&'static Descriptor>> = Mutex::new(Vec::new());

/// The number that `descriptor` goes by.
pub(super) fn number(descriptor: &'static Descriptor) -> u32 {
    let mut numbered = lock(&NUMBERED);
    let place = numbered.iter().position(|known| std::ptr::eq(*known, descriptor)).unwrap_or_else(|| {
        numbered.push(descriptor);
        numbered.len() - 1
    });
    u32::try_from(place).expect("a program has fewer interfaces")
}

/// What is said of an interface.
pub(crate) fn entry(descriptor: &Descriptor) -> InterfaceEntry {
    InterfaceEntry {
        name: descriptor.name.into(),
        version: descriptor.version.map(Into::into),
        methods: descriptor.methods.iter().map(|method| method.name.into()).collect(),
    }
}
