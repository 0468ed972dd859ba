//! The attribute of plugin-core.

mod args;
mod attributes;
mod check;
mod errors;
mod expand;
mod model;
mod parse;
mod types;

use proc_macro::TokenStream;

/// Turns a trait into a plugin interface.
#[proc_macro_attribute]
pub fn plugin_interface(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::plugin_interface(options.into(), &item.into()).into()
}
