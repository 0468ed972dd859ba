//! `GreeterProxy`: the trait, implemented by asking the plugin.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Ident, TraitItemFn, Type};

use super::{asynchronous, callbacks, dispatcher};
use crate::{
    attributes,
    model::{Argument, Interface, Method},
    types,
};

const CODEC: [&str; 4] = ["EncodeBytes", "EncodeSerde", "FetchBytes", "FetchSerde"];

pub(super) fn expand(interface: &Interface) -> TokenStream {
    let private = interface.private();
    let (ident, vis, cfgs, proxy) =
        (&interface.item.ident, &interface.item.vis, &interface.cfgs, &interface.names.proxy);
    let (doc, hidden) = (format!("Implements [`{ident}`] by asking a plugin."), &interface.hidden);
    let methods = interface.methods.iter().map(|method| forward(interface, method));
    let outside = interface.outside.iter().map(|function| unreachable(interface, function));
    let quiet = super::quiet();
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[doc = #doc]
        #(#hidden)*
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #proxy {
            client: #private::Client,
        }

        #(#cfgs)*
        #[automatically_derived]
        #quiet
        impl #ident for #proxy {
            #(#methods)*
            #(#outside)*
        }
    }
}

fn forward(interface: &Interface, method: &Method) -> TokenStream {
    let (cfgs, mut signature) = (&method.cfgs, method.signature.clone());
    asynchronous::box_signature(&mut signature);
    let codec = super::codec(interface, if callbacks::are_lent(method) { &dispatcher::CODEC } else { &CODEC });
    let number = super::number(interface, method);
    let fall_back = fall_back(interface, method);
    let receive = if method.is_async() { receive_async(interface, method) } else { receive(interface, method) };
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #signature {
            #codec
            #number
            #fall_back
            #receive
        }
    }
}

/// Runs the default body here where the plugin was built before the method existed.
fn fall_back(interface: &Interface, method: &Method) -> Option<TokenStream> {
    method.default.as_ref()?;
    let private = interface.private();
    let (self_token, number) = (method.self_token, method.number());
    let (defaults, helper) = (&interface.names.defaults, method.default_ident());
    let arguments = method.arguments.iter().map(|argument| &argument.ident);
    Some(quote_spanned! {Span::mixed_site()=>
        if !#private::Client::supports(&#self_token.client, #number) {
            return #defaults::#helper(#self_token #(, #arguments)*);
        }
    })
}

/// Calls, and decodes the answer, if there is to be one.
fn receive(interface: &Interface, method: &Method) -> TokenStream {
    let call = call(interface, method, if method.oneway { "call_oneway" } else { "call" });
    decode(interface, method.reply(), &call)
}

/// Encodes the arguments at once, so that the future holds none of them, and calls when it is polled.
fn receive_async(interface: &Interface, method: &Method) -> TokenStream {
    let private = interface.private();
    let prepare = call(interface, method, "prepare");
    let function = Ident::new(if method.oneway { "call_oneway" } else { "call" }, Span::mixed_site());
    let (made, call) = if callbacks::are_lent(method) {
        let lent = callbacks::lend(interface, method);
        (prepare, quote_spanned!(Span::mixed_site()=> #private::Prepared::call_lending(__call, #lent).await))
    } else {
        let made = quote_spanned!(Span::mixed_site()=> #private::Prepared::#function(#prepare));
        (made, quote_spanned!(Span::mixed_site()=> __call.await))
    };
    let decode = decode(interface, method.reply(), &call);
    quote_spanned! {Span::mixed_site()=>
        let __call = #made;
        ::std::boxed::Box::pin(async move { #decode })
    }
}

/// Turns what came of `call` into what the method returns.
pub(super) fn decode(interface: &Interface, reply: (&Type, bool), call: &TokenStream) -> TokenStream {
    let (output, is_oneway) = reply;
    if is_oneway {
        return super::reply(interface, reply, "sent", call);
    }
    let (value, error) = types::result_parts(output);
    let (value, error) = (fetch(value), fetch(error));
    super::reply(interface, reply, "receive", &quote_spanned!(Span::mixed_site()=> #call, #value, #error))
}

fn call(interface: &Interface, method: &Method, function: &str) -> TokenStream {
    let private = interface.private();
    let (self_token, number) = (method.self_token, method.number());
    let count = u32::try_from(method.arguments.len()).unwrap_or(u32::MAX);
    let encode = encode_all(interface, &method.arguments);
    let is_lending = callbacks::are_lent(method) && !method.is_async();
    let lent = is_lending.then(|| callbacks::lend(interface, method));
    let function = if lent.is_some() { format!("{function}_lending") } else { function.to_owned() };
    let function = Ident::new(&function, Span::mixed_site());
    let lent = lent.into_iter();
    quote_spanned! {Span::mixed_site()=>
        #private::Client::#function(&#self_token.client, #number, #count, &mut #encode #(, #lent)*)
    }
}

/// A closure that encodes the arguments, in turn.
pub(super) fn encode_all(interface: &Interface, arguments: &[Argument]) -> TokenStream {
    let mut places = 0..;
    let mut encoded = Vec::new();
    for argument in arguments {
        let place = if argument.is_lent() { places.next() } else { None };
        encoded.push(match place {
            Some(place) => callbacks::refer(interface, argument, place),
            None => encode(interface, argument),
        });
    }
    match encoded.pop() {
        None => quote_spanned!(Span::mixed_site()=> |_| ::core::result::Result::Ok(())),
        Some(last) => quote_spanned!(Span::mixed_site()=> |__to| { #(#encoded?;)* #last }),
    }
}

fn encode(interface: &Interface, argument: &Argument) -> TokenStream {
    let (first, _) = types::ends(argument.ty());
    let (private, ident) = (interface.private_at(first), &argument.ident);
    quote_spanned!(first=> (&#private::Encode(&#ident)).__encode(__to))
}

fn fetch(ty: &Type) -> TokenStream {
    quote_spanned!(types::ends(ty).0=> |__type, __from| (&__type).__fetch(__from))
}

/// A required method outside the interface: there is nobody to ask.
fn unreachable(interface: &Interface, function: &TraitItemFn) -> TokenStream {
    let (cfgs, signature) = (attributes::cfgs(&function.attrs), &function.sig);
    let message = format!(
        "`{}::{}` is outside the plugin interface (`where Self: Sized`), so a proxy cannot answer it",
        interface.item.ident, signature.ident
    );
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[allow(unused_variables, clippy::diverging_sub_expression)]
        #signature {
            ::core::panic!(#message)
        }
    }
}
