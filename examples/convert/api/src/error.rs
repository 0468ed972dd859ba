//! Why there is no HTML.

use serde::{Deserialize, Serialize};

/// Why a document could not be converted.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum ConvertError {
    /// The document has a mistake.
    #[error("{line}:{column}: {message}")]
    Syntax {
        /// Its line, counted from 1.
        line: usize,
        /// Its column in characters, counted from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// The plugin could not do its work.
    #[error(transparent)]
    Plugin(#[from] plugin_core::Error),
}

impl ConvertError {
    /// A mistake at the end of `before`, which is the document up to there.
    ///
    /// ```
    /// let error = convert_api::ConvertError::after("first line\nsec", "no such word");
    /// assert_eq!(error.to_string(), "2:4: no such word");
    /// ```
    pub fn after(before: &str, message: impl Into<String>) -> Self {
        let line = before.matches('\n').count() + 1;
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self::Syntax { line, column: last.chars().count() + 1, message: message.into() }
    }
}
