//! The trait itself: as written, plus `Send + Sync`, with default bodies moved to the hidden helper.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens as _;
use syn::{Ident, TraitItem, TraitItemFn, TypeParamBound, parse_quote, parse_quote_spanned};

use super::asynchronous;
use crate::{
    attributes,
    model::{Interface, Method, is_marker},
};

pub(super) fn expand(interface: &Interface) -> TokenStream {
    let mut item = interface.item.clone();
    add_supertraits(&mut item);
    if interface.methods.iter().any(|method| method.default.is_some()) {
        attributes::relax_expectations(&mut item.attrs);
    }
    for (place, member) in item.items.iter_mut().enumerate() {
        if let (TraitItem::Fn(function), Some(method)) = (member, interface.method_at(place)) {
            if method.default.is_some() {
                delegate(function, method, &interface.names.defaults);
            }
            asynchronous::box_signature(&mut function.sig);
        }
    }
    item.into_token_stream()
}

/// A proxy is shared between threads, and so is what a plugin serves.
pub(super) fn add_supertraits(item: &mut syn::ItemTrait) {
    for name in ["Send", "Sync"] {
        let named = |bound: &TypeParamBound| match bound {
            TypeParamBound::Trait(bound) => is_marker(&bound.path, name),
            _ => false,
        };
        if !item.supertraits.iter().any(named) {
            let ident = Ident::new(name, Span::mixed_site());
            item.supertraits.push(parse_quote!(::core::marker::#ident));
        }
    }
    item.colon_token.get_or_insert_default();
}

/// Replaces a default body by a call of the helper that has it now.
fn delegate(function: &mut TraitItemFn, method: &Method, defaults: &Ident) {
    let (helper, self_token) = (method.default_ident(), method.self_token);
    let arguments = method.arguments.iter().map(|argument| &argument.ident);
    attributes::relax_expectations(&mut function.attrs);
    if method.arguments.iter().any(|argument| argument.ident.to_string().starts_with('_')) {
        function.attrs.push(parse_quote_spanned!(Span::mixed_site()=> #[allow(clippy::used_underscore_binding)]));
    }
    function.sig = method.signature.clone();
    function.default = Some(parse_quote_spanned!(Span::mixed_site()=> {
        #defaults::#helper(#self_token #(, #arguments)*)
    }));
}
