//! A panic ends the model.

use std::convert::Infallible;

#[expect(clippy::unnecessary_wraps, reason = "as the plugin's own")]
pub(super) fn catch<R>(body: impl FnOnce() -> R) -> Result<R, Infallible> {
    Ok(body())
}
