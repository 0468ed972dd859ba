//! The attribute on `impl Trait for Type`: its `async fn`s become what those of the trait became.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{ImplItem, ImplItemFn, ItemImpl};

use super::asynchronous;
use crate::{attributes, errors::Errors};

/// What has no `async fn` stays as written, token for token.
pub(super) fn expand(options: &TokenStream, mut block: ItemImpl, written: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    if !options.is_empty() {
        errors.at(options, "options belong on the trait; on an `impl` write `#[plugin_interface]`");
    }
    if block.trait_.is_none() {
        errors.at(&block.self_ty, "`#[plugin_interface]` belongs on the `impl` of a trait: `impl Trait for Type`");
        let (errors, block) = (errors.into_result().err().map(syn::Error::into_compile_error), written);
        return quote!(#errors #block);
    }
    let mut is_async = false;
    for member in &mut block.items {
        if let ImplItem::Fn(function) = member {
            refuse_options(function, &mut errors);
            is_async |= function.sig.asyncness.is_some();
            asynchronous::box_function(&mut function.sig, &mut function.block);
        }
    }
    let errors = errors.into_result().err().map(syn::Error::into_compile_error);
    let block = if is_async || errors.is_some() { block.into_token_stream() } else { written.clone() };
    quote!(#errors #block)
}

fn refuse_options(function: &mut ImplItemFn, errors: &mut Errors) {
    for attribute in attributes::take_method(&mut function.attrs) {
        errors.at(attribute, "options belong on the trait's method, where both sides see them; remove `#[method]`");
    }
}
