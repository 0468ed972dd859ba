//! From tokens to tokens: the stages, and what they share.
//!
//! Everything is emitted beside the trait, never in a module: a module could not name a trait declared inside a function.
//! Generated tokens have the hygiene of `Span::mixed_site`, so that no local meets one of the user's, and the place of
//! the user's type wherever a bound on that type is used, so that rustc reports a missing one there.

mod asynchronous;
mod callbacks;
mod declaration;
mod defaults;
mod dispatcher;
mod dispatcher_async;
mod impl_block;
mod implementation;
mod lifetimes;
mod methods;
mod proxy;
mod stub;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Ident, Item, ItemTrait, Type};

use crate::{
    check,
    errors::Errors,
    model::{Interface, Method},
    parse, types,
};

/// What `#[plugin_interface(options)] item` stands for.
pub(crate) fn plugin_interface(options: TokenStream, item: &TokenStream) -> TokenStream {
    match syn::parse2(item.clone()) {
        Ok(Item::Trait(item)) => interface(options, item),
        Ok(Item::Impl(block)) => impl_block::expand(&options, block, item),
        Ok(_) => refuse(item, "`#[plugin_interface]` belongs on a trait, or on an `impl` of one"),
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#error #item)
        }
    }
}

fn interface(options: TokenStream, item: ItemTrait) -> TokenStream {
    let mut errors = Errors::default();
    let interface = parse::interface(options, item, &mut errors);
    check::interface(&interface, &mut errors);
    match errors.into_result() {
        Ok(()) => expand(&interface),
        Err(errors) => {
            let (errors, stub) = (errors.into_compile_error(), stub::expand(interface));
            quote!(#errors #stub)
        }
    }
}

fn expand(interface: &Interface) -> TokenStream {
    let declaration = declaration::expand(interface);
    let defaults = defaults::expand(interface);
    let implementation = implementation::expand(interface);
    let methods = methods::expand(interface);
    let proxy = proxy::expand(interface);
    let dispatcher = dispatcher::expand(interface);
    quote!(#declaration #defaults #methods #implementation #proxy #dispatcher)
}

fn refuse(item: &TokenStream, message: &str) -> TokenStream {
    let error = syn::Error::new(Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}

/// The lints that the user's own tokens could trip where they are repeated.
fn quiet() -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        #[allow(
            deprecated,
            unused_parens,
            unused_qualifications,
            clippy::elidable_lifetime_names,
            clippy::needless_lifetimes,
            clippy::too_many_arguments,
            clippy::type_complexity,
            clippy::used_underscore_binding
        )]
    }
}

/// Brings traits of the codec into scope of a function body, where method lookup chooses between them by type.
fn codec(interface: &Interface, traits: &[&str]) -> TokenStream {
    let private = interface.private();
    let traits = traits.iter().map(|name| Ident::new(name, Span::mixed_site()));
    quote_spanned! {Span::mixed_site()=>
        #[allow(unused_imports)]
        use #private::{#(#traits as _),*};
    }
}

/// Calls a function of `Reply` or `OnewayReply`, whichever the return type must be; all of it at the type's tokens, so that rustc
/// underlines the type where it is not.
fn reply(
    interface: &Interface,
    (output, is_oneway): (&Type, bool),
    function: &str,
    arguments: &TokenStream,
) -> TokenStream {
    let (first, last) = types::ends(output);
    let (open, private) = (quote_spanned!(first=> <), interface.private_at(last));
    let function = Ident::new(function, last);
    let reply = Ident::new(if is_oneway { "OnewayReply" } else { "Reply" }, last);
    quote_spanned!(last=> #open #output as #private::#reply>::#function(#arguments))
}

/// Looks up the number of `method` in the descriptor, at compile time and under the `cfg`s in force.
fn number(interface: &Interface, method: &Method) -> TokenStream {
    let (private, trait_ident) = (interface.private(), &interface.item.ident);
    let (number, name, cfgs) = (method.number(), &method.name.value(), &method.cfgs);
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        const #number: ::core::primitive::usize = #private::method_number(
            <dyn #trait_ident as #private::Interface>::DESCRIPTOR.methods,
            #name,
        );
    }
}
