//! Dropping values that the other side held.

use std::sync::Arc;

use super::panics;
use crate::connection::Export;

/// What nobody holds any more, each to be dropped whatever becomes of the others.
pub(super) struct Discarded(pub(super) Vec<Arc<dyn Export>>);

impl Drop for Discarded {
    fn drop(&mut self) {
        for export in self.0.drain(..) {
            // Its panic has been told, and there is no call that it could fail.
            let _ = panics::catch(|| drop(export));
        }
    }
}
