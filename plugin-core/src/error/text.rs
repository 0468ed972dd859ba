//! The parts of errors' messages that depend on what is known.

use std::{fmt, time::Duration};

use super::Error;

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        causes(self).iter().try_for_each(|cause| write!(f, "\n  caused by: {cause}"))
    }
}

/// What a side calls its host in place of a plugin's name.
pub(crate) const HOST: &str = "the host";

/// What errors say in place of a plugin's name of what has never left this process.
pub(crate) const HERE: &str = "this process";

/// What errors call the reading of a stream.
pub(crate) const READ: &str = "Stream::read";

/// How long a method took that did not end.
pub(super) fn not_done(after: Duration) -> String {
    if after.is_zero() {
        "had no time left when it was called".into()
    } else {
        format!("was not done within {after:?}")
    }
}

/// Whose method it is that errors are about.
pub(crate) fn whose(plugin: &str) -> String {
    if [HOST, HERE].contains(&plugin) { plugin.into() } else { format!("plugin `{plugin}`") }
}

/// Names in a sentence.
pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { format!("`{}`", names.join("`, `")) }
}

/// What to do about a call that was late.
pub(super) fn late(method: &str, silent_for: Option<Duration>) -> String {
    let Some(silent_for) = silent_for else {
        if method == READ {
            return "read on, or allow more with `plugin_core::within` (`within_async` for a future)".into();
        }
        return "allow more with `plugin_core::within` (`within_async` for a future), `#[method(timeout)]` or `Launcher::call_timeout`"
            .into();
    };
    format!("it has given no sign of life for {:.1} s: is it stopped, or its machine asleep?", silent_for.as_secs_f64())
}

/// Where a panic was.
pub(super) fn at(location: Option<&str>) -> String {
    location.map(|location| format!(" at {location}")).unwrap_or_default()
}

/// The messages of causes, behind that of what they caused.
pub(super) fn caused(chain: &[String]) -> String {
    chain.iter().flat_map(|cause| [": ", cause]).collect()
}

/// The messages of the causes of `error`, the nearest first.
pub(super) fn causes(error: &Error) -> Vec<String> {
    let first = std::error::Error::source(error);
    std::iter::successors(first, |cause| cause.source()).map(ToString::to_string).collect()
}
