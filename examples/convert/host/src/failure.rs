//! What can go wrong, and how it is told.

use std::{error::Error, io, path::Path};

use convert_api::ConvertError;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    NoPlugin(String),
    #[error(transparent)]
    Convert(#[from] ConvertError),
}

impl Failure {
    /// `file:line:column: message`, or `file: message` where it concerns no place in the file.
    pub(crate) fn about(&self, file: &Path) -> String {
        let file = file.display();
        if let Self::Convert(ConvertError::Syntax { line, column, message }) = self {
            return format!("{file}:{line}:{column}: {message}");
        }
        format!("{file}: {}", with_causes(self))
    }
}

impl From<plugin_core::Error> for Failure {
    fn from(error: plugin_core::Error) -> Self {
        Self::Convert(error.into())
    }
}

/// The message of `error` and those of its causes.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}
