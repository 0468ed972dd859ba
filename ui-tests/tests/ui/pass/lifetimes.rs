use std::borrow::Cow;

use plugin_core::{Result, plugin_interface};

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Doc<'a> {
    text: &'a str,
}

#[plugin_interface]
pub trait Lifetimes {
    fn named<'a>(&'a self, text: &'a str) -> Result<String>;
    fn several<'a, 'b: 'a>(&'a self, short: &'a str, long: &'b str) -> Result<String>
    where
        'b: 'a;
    fn unused<'a>(&self) -> Result<()>;
    fn inside<'a>(&self, text: Cow<'a, str>, docs: &'a [Doc<'a>], maybe: Option<&'a str>) -> Result<()>;
    fn hidden(&self, doc: Doc, reference: &Doc) -> Result<()>;
    fn typed(self: &Self, text: &str) -> Result<()>;
    fn typed_named<'a>(self: &'a Self, text: &'a str) -> Result<()>;
    fn default_body<'a>(&'a self, text: &'a str) -> Result<String> {
        self.named(text)
    }
    fn owned(&self) -> Result<Cow<'static, str>>;
}

fn main() {}
