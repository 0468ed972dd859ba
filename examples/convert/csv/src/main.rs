//! The `convert` plugin for CSV: a table whose head is the first record.

mod mistake;
mod table;

use convert_api::{ConvertError, Converter};

struct Csv;

impl Converter for Csv {
    fn extensions(&self) -> plugin_core::Result<Vec<String>> {
        Ok(vec!["csv".into()])
    }

    fn convert(&self, source: &str) -> Result<String, ConvertError> {
        table::render(source)
    }
}

fn main() -> plugin_core::Result<()> {
    plugin_core::serve::<dyn Converter>(Csv)
}
