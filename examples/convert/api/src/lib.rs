//! What the `convert` host and its plugins share: the interface, and the error that crosses it.

mod error;
mod html;

pub use error::ConvertError;
pub use html::escape;

/// Turns text of one format into HTML.
#[plugin_core::plugin_interface(version = "1.0")]
pub trait Converter {
    /// The file name extensions of the format, in lower case and without the dot.
    ///
    /// # Errors
    /// If the plugin cannot be asked.
    fn extensions(&self) -> plugin_core::Result<Vec<String>>;

    /// The body of an HTML page that shows `source`.
    ///
    /// # Errors
    /// [`ConvertError::Syntax`] if `source` is not of the format.
    fn convert(&self, source: &str) -> Result<String, ConvertError>;

    /// The title that `source` gives itself. Optional: most formats have none.
    ///
    /// # Errors
    /// [`ConvertError::Syntax`] if `source` is not of the format.
    fn title(&self, source: &str) -> Result<Option<String>, ConvertError> {
        let _ = source;
        Ok(None)
    }
}
