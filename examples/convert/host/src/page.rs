//! The HTML page around what a plugin made.

use std::path::Path;

use convert_api::escape;

/// A whole page.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n</head>\n<body>\n{}\n</body>\n</html>\n",
        escape(title),
        body.trim_end()
    )
}

/// The title of a document that has none of its own.
pub(crate) fn title_of(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
