//! Catching a handler's panic, with its message and the place in the source.
//!
//! Only a panic hook is told the place. The hook is chained in front of the one that was there, which still prints.

use std::{
    any::Any,
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    /// Where the last panic of this thread was.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a panic said.
#[derive(Debug)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) location: Option<String>,
}

/// Runs `body`, turning a panic into an error.
pub(crate) fn catch<R>(body: impl FnOnce() -> R) -> Result<R, Panic> {
    install_hook();
    // The value behind a panicking method stays in use, as in any server: the method's own state is its own to guard.
    panic::catch_unwind(AssertUnwindSafe(body))
        .map_err(|payload| Panic { message: text(&*payload), location: LOCATION.take() })
}

fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let location = info.location().map(ToString::to_string);
            LOCATION.with(|place| place.replace(location));
            previous(info);
        }));
    });
}

fn text(payload: &(dyn Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<&str>() {
        (*message).to_owned()
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message.clone()
    } else {
        "a value that is no message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_message_and_place() {
        let panic = catch(|| panic!("number {}", 7)).unwrap_err();
        assert_eq!(panic.message, "number 7");
        assert!(panic.location.unwrap().contains("panics.rs:"));
    }

    #[test]
    fn what_does_not_panic_comes_back() {
        assert_eq!(catch(|| 7).unwrap(), 7);
    }
}
