//! `GreeterDispatcher`: from a method's number and its encoded arguments to a call of the implementation.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Ident, Type};

use super::{callbacks, dispatcher_async};
use crate::{
    model::{Argument, ArgumentKind, Interface, Method},
    types,
};

pub(super) const CODEC: [&str; 12] = [
    "DecodeBytes",
    "DecodeSerde",
    "EncodeBytes",
    "EncodeSerde",
    "FetchBytes",
    "FetchSerde",
    "GiveBytes",
    "GiveSerde",
    "LendBytes",
    "LendFromMessage",
    "LendOwned",
    "LendValue",
];

pub(super) fn expand(interface: &Interface) -> TokenStream {
    let structure = structure(interface);
    let dispatch_async = dispatcher_async::forward(interface);
    let private = interface.private();
    let (ident, cfgs, dispatcher) = (&interface.item.ident, &interface.cfgs, &interface.names.dispatcher);
    let quiet = super::quiet();
    quote_spanned! {Span::mixed_site()=>
        #structure

        #(#cfgs)*
        #[automatically_derived]
        #quiet
        impl<__Implementor: ?::core::marker::Sized + 'static> #private::Dispatch for #dispatcher<__Implementor> {
            fn descriptor(&self) -> &'static #private::Descriptor {
                <dyn #ident as #private::Interface>::DESCRIPTOR
            }

            fn dispatch(
                &self,
                __method: ::core::primitive::usize,
                __arguments: &mut #private::Decoder<'_>,
                __answer: &mut #private::Encoder,
            ) -> ::core::result::Result<#private::Verdict, #private::Fault> {
                <dyn #ident as #private::Interface>::__dispatch(&*self.0, __method, __arguments, __answer)
            }

            #dispatch_async
        }
    }
}

fn structure(interface: &Interface) -> TokenStream {
    let (ident, vis, cfgs, dispatcher) =
        (&interface.item.ident, &interface.item.vis, &interface.cfgs, &interface.names.dispatcher);
    let (doc, hidden) = (format!("Routes a host's requests to an implementation of [`{ident}`]."), &interface.hidden);
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[doc = #doc]
        #(#hidden)*
        #[allow(deprecated)]
        #vis struct #dispatcher<S: ?::core::marker::Sized>(
            ::std::sync::Arc<dyn #ident>,
            ::core::marker::PhantomData<fn(&S)>,
        );

        #(#cfgs)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl<S: #ident + 'static> #dispatcher<S> {
            /// Routes requests to `implementation`.
            #vis fn new(implementation: S) -> Self {
                Self(::std::sync::Arc::new(implementation), ::core::marker::PhantomData)
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl<S: ?::core::marker::Sized> ::core::fmt::Debug for #dispatcher<S> {
            fn fmt(&self, __to: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                __to.debug_struct(::core::stringify!(#dispatcher)).finish_non_exhaustive()
            }
        }
    }
}

/// The function that routes requests to any implementation behind the trait.
pub(super) fn dispatch(interface: &Interface) -> TokenStream {
    let (private, codec) = (interface.private(), super::codec(interface, &CODEC));
    let methods = || interface.methods.iter().filter(|method| !method.is_async());
    let numbers = methods().map(|method| super::number(interface, method));
    let arms = methods().map(|method| arm(interface, method));
    quote_spanned! {Span::mixed_site()=>
        fn __dispatch(
            &self,
            __method: ::core::primitive::usize,
            __arguments: &mut #private::Decoder<'_>,
            __answer: &mut #private::Encoder,
        ) -> ::core::result::Result<#private::Verdict, #private::Fault> {
            #codec
            #(#numbers)*
            match __method {
                #(#arms)*
                _ => ::core::result::Result::Err(#private::Fault::UnknownMethod),
            }
        }
    }
}

/// Each arm is a function of its own: calls may wait for each other on one stack, which should not have to hold the locals of
/// all of them each time.
fn arm(interface: &Interface, method: &Method) -> TokenStream {
    let private = interface.private();
    let (cfgs, number) = (&method.cfgs, method.number());
    let (locals, receive) = receive(interface, &method.arguments);
    let call = call(interface, method, &quote_spanned!(Span::mixed_site()=> self), &locals);
    let send = send(interface, method.reply(), &quote_spanned!(Span::mixed_site()=> #call, __answer));
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #number => #private::arm(|| {
            #receive
            #send
        }),
    }
}

/// Decodes the arguments from `__arguments`, each into a local.
pub(super) fn receive(interface: &Interface, arguments: &[Argument]) -> (Vec<Ident>, TokenStream) {
    let private = interface.private();
    let count = u32::try_from(arguments.len()).unwrap_or(u32::MAX);
    let locals: Vec<_> = arguments.iter().enumerate().map(|(position, argument)| local(position, argument)).collect();
    let decode = arguments.iter().map(|argument| decode(interface, argument));
    let receive = quote_spanned! {Span::mixed_site()=>
        #private::Decoder::array(__arguments, #count).map_err(#private::Fault::Arguments)?;
        #(let #locals = #decode?;)*
        #private::Decoder::finish(__arguments).map_err(#private::Fault::Arguments)?;
    };
    (locals, receive)
}

/// At the argument's type, where rustc shall say that it cannot be held across an `.await`.
fn local(position: usize, argument: &Argument) -> Ident {
    Ident::new(&format!("__argument{position}"), types::ends(argument.ty()).0)
}

fn decode(interface: &Interface, argument: &Argument) -> TokenStream {
    let (first, _) = types::ends(argument.ty());
    let (private, name) = (interface.private_at(first), &argument.name);
    let decoded = match &argument.kind {
        ArgumentKind::Value(ty) => quote_spanned!(first=> (&#private::Decode::<#ty>::new()).__decode(__arguments)),
        ArgumentKind::Owned(ty) => quote_spanned!(first=> (&#private::Fetch::<#ty>::new()).__fetch(__arguments)),
        ArgumentKind::Lent(ty) => quote_spanned!(first=> (&&&&#private::Lend::<#ty>::new()).__lend(__arguments)),
        ArgumentKind::LentOption(ty) => quote_spanned! {first=>
            #private::Decoder::optional(__arguments, |__some| (&&&&#private::Lend::<#ty>::new()).__lend(__some))
        },
        ArgumentKind::Object(_) | ArgumentKind::Function(..) => callbacks::decode(interface, argument),
    };
    quote_spanned!(Span::mixed_site()=> #decoded.map_err(#private::Fault::argument(#name)))
}

/// Calls the implementation, to which `value` refers.
pub(super) fn call(interface: &Interface, method: &Method, value: &TokenStream, locals: &[Ident]) -> TokenStream {
    let (trait_ident, ident) = (&interface.item.ident, &method.ident);
    let arguments = method.arguments.iter().zip(locals).map(|(argument, local)| pass(interface, argument, local));
    quote_spanned!(Span::mixed_site()=> <Self as #trait_ident>::#ident(#value #(, #arguments)*))
}

/// What is passed for an argument that was decoded into `local`.
pub(super) fn pass(interface: &Interface, argument: &Argument, local: &Ident) -> TokenStream {
    match &argument.kind {
        ArgumentKind::Value(_) | ArgumentKind::Owned(_) => quote_spanned!(Span::mixed_site()=> #local),
        ArgumentKind::Lent(_) => quote_spanned!(Span::mixed_site()=> &#local),
        ArgumentKind::LentOption(_) => {
            quote_spanned!(Span::mixed_site()=> ::core::option::Option::as_deref(&#local))
        }
        ArgumentKind::Object(_) => quote_spanned!(Span::mixed_site()=> &*#local),
        ArgumentKind::Function(_, callback) => callbacks::call_back(interface, callback, local),
    }
}

/// Encodes what was returned, a reply of that type, which is oneway or not; `arguments` are that, and where to.
pub(super) fn send(interface: &Interface, reply: (&Type, bool), arguments: &TokenStream) -> TokenStream {
    let (value, error) = types::result_parts(reply.0);
    let (value, error) = (encode(interface, value), encode(interface, error));
    super::reply(interface, reply, "send", &quote_spanned!(Span::mixed_site()=> #arguments, #value, #error))
}

fn encode(interface: &Interface, ty: &Type) -> TokenStream {
    let (first, _) = types::ends(ty);
    let private = interface.private_at(first);
    quote_spanned!(first=> |__value, __to| #private::Give(__value).__give(__to))
}
