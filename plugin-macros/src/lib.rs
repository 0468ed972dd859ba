//! The attribute of plugin-core.
use proc_macro::TokenStream;

/// Turns a trait into a plugin interface.
#[proc_macro_attribute]
pub fn plugin_interface(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    item
}
