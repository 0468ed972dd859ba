//! Default bodies, in a helper that both the trait and the proxy call: a plugin without the method is answered locally.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::TraitItemFn;

use super::asynchronous;
use crate::{
    attributes,
    model::{Interface, Method},
};

pub(super) fn expand(interface: &Interface) -> Option<TokenStream> {
    let bodies: Vec<_> = interface.methods.iter().filter_map(body).collect();
    if bodies.is_empty() {
        return None;
    }
    let (ident, defaults, cfgs) = (&interface.item.ident, &interface.names.defaults, &interface.cfgs);
    let mut lint_levels = attributes::lint_levels(&interface.item.attrs);
    attributes::relax_expectations(&mut lint_levels);
    Some(quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(
            clippy::elidable_lifetime_names,
            clippy::needless_lifetimes,
            clippy::too_many_arguments,
            clippy::type_complexity
        )]
        #(#lint_levels)*
        trait #defaults: #ident {
            #(#bodies)*
        }

        #(#cfgs)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl<__Implementor: #ident + ?::core::marker::Sized> #defaults for __Implementor {}
    })
}

fn body(method: &Method) -> Option<TokenStream> {
    let mut function: TraitItemFn = method.default.clone()?;
    function.attrs = [&method.cfgs[..], &method.lint_levels[..]].concat();
    function.sig.ident = method.default_ident();
    asynchronous::box_declaration(&mut function);
    Some(function.into_token_stream())
}
