//! Whether a method may have run that gave no answer, and how that is said.

use super::{Error, READ};

impl Error {
    /// Whether the plugin may have run the method although there is no answer.
    ///
    /// `false` promises that it did not, so that calling again is safe. An error that the method itself returned or
    /// panicked with counts as run.
    ///
    /// ```
    /// let error = plugin_core::Launcher::new("no/such/plugin").spawn().unwrap_err();
    /// assert!(!error.may_have_run());
    /// ```
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Timeout { may_have_run, .. }
            | Self::Died { may_have_run, .. }
            | Self::Disconnected { may_have_run, .. }
            | Self::Protocol { may_have_run, .. }
            | Self::Stopped { may_have_run, .. }
            | Self::GaveUp { may_have_run, .. } => *may_have_run,
            Self::Panicked { .. } | Self::BadAnswer { .. } | Self::Remote { .. } | Self::Custom(_) => true,
            Self::TooLarge { what, .. } => what == "answer",
            _ => false,
        }
    }
}

/// Whether a method without an answer has run. Of a stream that is read that says nothing.
pub(super) fn ran(method: &str, may_have_run: bool) -> &'static str {
    match may_have_run {
        _ if method == READ => "",
        true => " (it may have run)",
        false => " (it did not run)",
    }
}

/// As [`ran`], of a call that was to be repeated.
pub(super) fn again(may_have_run: bool) -> &'static str {
    if may_have_run { " again (it may have run)" } else { "" }
}

/// When a plugin died, seen from a call.
pub(super) fn died(method: &str, may_have_run: bool) -> String {
    if may_have_run {
        format!("died during `{method}`{}", ran(method, true))
    } else {
        format!("had died before `{method}` was called (it did not run)")
    }
}

/// When a plugin was stopped, seen from a call.
pub(super) fn stopped(method: &str, may_have_run: bool) -> String {
    if may_have_run { format!("during `{method}`{}", ran(method, true)) } else { format!("before it ran `{method}`") }
}
