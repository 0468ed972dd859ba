//! As `plugin_core::deadline`, where nothing is suspended.

use std::time::Duration;

use crate::sync::Instant;

pub(crate) fn after(start: Instant, limit: Duration) -> Instant {
    start + limit
}
