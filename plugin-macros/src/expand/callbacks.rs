//! What a method lends for the time of a call: `&dyn Other` and `&mut dyn FnMut(..)` as arguments.
//!
//! The proxy gives the runtime the object, or a closure which borrows the function, and sends what refers to it. The dispatcher decodes
//! that, and passes a proxy, or a closure that calls back.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Ident, Type};

use super::{dispatcher, proxy};
use crate::{
    model::{Argument, ArgumentKind, Callback, Interface, Method},
    types,
};

/// Whether `method` lends anything.
pub(super) fn are_lent(method: &Method) -> bool {
    method.arguments.iter().any(Argument::is_lent)
}

/// Encodes what refers to the argument in place `place` among those that are lent.
pub(super) fn refer(interface: &Interface, argument: &Argument, place: u32) -> TokenStream {
    let (first, _) = types::ends(argument.ty());
    let private = interface.private_at(first);
    if let ArgumentKind::Object(ty) = &argument.kind {
        return quote_spanned!(first=> #private::lend(__to, #place, <#ty as #private::Interface>::DESCRIPTOR));
    }
    quote_spanned!(first=> #private::lend_function(__to, #place))
}

/// What the runtime is given to run for each argument that is lent.
pub(super) fn lend(interface: &Interface, method: &Method) -> TokenStream {
    let lent = Ident::new(if method.is_async() { "LentByTask" } else { "Lent" }, Span::mixed_site());
    let lent = method.arguments.iter().filter(|argument| argument.is_lent()).map(|argument| {
        let (first, _) = types::ends(argument.ty());
        let (private, ident, lent) = (interface.private_at(first), &argument.ident, &lent);
        if let ArgumentKind::Function(_, callback) = &argument.kind {
            let run = run(interface, argument, callback);
            return quote_spanned! {Span::mixed_site()=>
                #private::#lent::function(&mut |_, __arguments, __answer| { #run })
            };
        }
        let ty = argument.ty();
        quote_spanned!(first=> #private::#lent::object::<#ty>(&#ident))
    });
    quote_spanned!(Span::mixed_site()=> &mut [#(#lent),*])
}

/// Decodes the arguments of a function, calls it, and encodes what it returned.
fn run(interface: &Interface, function: &Argument, callback: &Callback) -> TokenStream {
    let (private, ident) = (interface.private(), &function.ident);
    let (locals, receive) = dispatcher::receive(interface, &callback.arguments);
    let arguments =
        callback.arguments.iter().zip(&locals).map(|(argument, local)| dispatcher::pass(interface, argument, local));
    let call = quote_spanned!(Span::mixed_site()=> #ident(#(#arguments),*));
    let send = if let Some(output) = &callback.output {
        dispatcher::send(interface, (output, false), &quote_spanned!(Span::mixed_site()=> #call, __answer))
    } else {
        quote_spanned!(Span::mixed_site()=> #private::returned(#call, __answer))
    };
    quote_spanned!(Span::mixed_site()=> #receive #send)
}

/// Decodes what refers to an argument.
pub(super) fn decode(interface: &Interface, argument: &Argument) -> TokenStream {
    let (first, _) = types::ends(argument.ty());
    let private = interface.private_at(first);
    if let ArgumentKind::Function(_, callback) = &argument.kind {
        let name = &callback.name;
        return quote_spanned!(first=> #private::Function::decode(__arguments, #name));
    }
    let ty = argument.ty();
    quote_spanned!(first=> #private::borrow::<#ty>(__arguments))
}

/// What the method is given for a function: a closure that calls back.
pub(super) fn call_back(interface: &Interface, callback: &Callback, function: &Ident) -> TokenStream {
    let private = interface.private();
    let values: Vec<_> = callback.arguments.iter().map(|argument| &argument.ident).collect();
    let types = callback.types.iter();
    let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
    let encode = proxy::encode_all(interface, &callback.arguments);
    let parameters = quote_spanned!(Span::mixed_site()=> |#(#values: #types),*|);
    let Some(output) = &callback.output else {
        return quote_spanned! {Span::mixed_site()=>
            &mut #parameters #private::Function::notify(&#function, #count, &mut #encode)
        };
    };
    let call = quote_spanned!(Span::mixed_site()=> #private::Function::call(&#function, #count, &mut #encode));
    let receive = proxy::decode(interface, (output, false), &call);
    let ty: Type = types::infer_lifetimes(output.clone());
    quote_spanned!(Span::mixed_site()=> &mut #parameters -> #ty { #receive })
}
