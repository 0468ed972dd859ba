//! `GreeterMethods`: the wire names as constants.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt as _;

use crate::model::{Interface, Method};

pub(super) fn expand(interface: &Interface) -> TokenStream {
    let (ident, vis, cfgs, methods) =
        (&interface.item.ident, &interface.item.vis, &interface.cfgs, &interface.names.methods);
    let hidden = &interface.hidden;
    let doc = format!("The names of the methods of [`{ident}`] on the wire.");
    let constants = interface.methods.iter().map(|method| constant(interface, method));
    let names = interface.methods.iter().map(name);
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[doc = #doc]
        #(#hidden)*
        #[allow(dead_code, clippy::exhaustive_enums)]
        #vis enum #methods {}

        #(#cfgs)*
        #[automatically_derived]
        #[allow(dead_code, non_upper_case_globals)]
        impl #methods {
            #(#constants)*

            /// All of them, in the order of the trait.
            pub const NAMES: &'static [&'static ::core::primitive::str] = &[#(#names),*];
        }
    }
}

fn constant(interface: &Interface, method: &Method) -> TokenStream {
    let (constant, cfgs, hidden, name) = (method.constant(), &method.cfgs, &method.hidden, method.name.value());
    let doc = format!("The name of `{}::{}`: `{name:?}`.", interface.item.ident.unraw(), method.ident.unraw());
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[doc = #doc]
        #(#hidden)*
        pub const #constant: &'static ::core::primitive::str = #name;
    }
}

fn name(method: &Method) -> TokenStream {
    let (cfgs, name) = (&method.cfgs, method.name.value());
    quote_spanned!(Span::mixed_site()=> #(#cfgs)* #name)
}
