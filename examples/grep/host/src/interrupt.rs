//! Ctrl-C.

use std::{
    process,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// The exit status of what Ctrl-C stopped, by custom.
pub(crate) const STATUS: u8 = 130;

static HAS_COME: AtomicBool = AtomicBool::new(false);

/// From here on, the first Ctrl-C is [noted](has_come); the second ends the program, whatever it is at.
pub(crate) fn watch() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if HAS_COME.swap(true, Relaxed) {
            #[expect(clippy::exit, reason = "the plugin notices, and ends as well")]
            process::exit(STATUS.into());
        }
    })
}

/// Whether it has come.
pub(crate) fn has_come() -> bool {
    HAS_COME.load(Relaxed)
}
