//! How far a plugin came that was not ready in time.

use std::fmt;

/// How far a plugin came before its time to start was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartStage {
    /// It runs but never connected.
    Spawned,
    /// It connected but did not introduce itself.
    Connected,
}

impl fmt::Display for StartStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spawned => {
                "it never connected, so it may not be a plugin (a plugin's `main` calls `plugin_core::serve`)"
            }
            Self::Connected => "it connected but did not introduce itself",
        })
    }
}
