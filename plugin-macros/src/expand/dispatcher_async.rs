//! The part of `GreeterDispatcher` for methods that are `async fn`: a future that owns the request, from which the
//! arguments borrow.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::dispatcher;
use crate::model::{Interface, Method};

/// Nothing, where no method is async.
pub(super) fn expand(interface: &Interface) -> Option<TokenStream> {
    let methods: Vec<_> = interface.methods.iter().filter(|method| method.is_async()).collect();
    if methods.is_empty() {
        return None;
    }
    let (private, codec) = (interface.private(), super::codec(interface, &dispatcher::CODEC));
    let numbers = methods.iter().map(|method| super::number(interface, method));
    let arms = methods.iter().map(|method| arm(interface, method));
    Some(quote_spanned! {Span::mixed_site()=>
        fn dispatch_async(
            self: ::std::sync::Arc<Self>,
            __method: ::core::primitive::usize,
            __request: #private::Request,
            mut __answer: #private::Encoder,
        ) -> #private::BoxFuture<
            'static,
            ::core::result::Result<(#private::Verdict, #private::Encoder), #private::Fault>,
        > {
            #codec
            #(#numbers)*
            match __method {
                #(#arms)*
                _ => ::std::boxed::Box::pin(::core::future::ready(::core::result::Result::Err(
                    #private::Fault::UnknownMethod,
                ))),
            }
        }
    })
}

/// The decoder is dropped before the call: it cannot be sent to another thread, as the future may be.
fn arm(interface: &Interface, method: &Method) -> TokenStream {
    let private = interface.private();
    let (cfgs, number) = (&method.cfgs, method.number());
    let (locals, receive) = dispatcher::receive(interface, &method.arguments);
    let trait_ident = &interface.item.ident;
    let call = dispatcher::call(interface, method, &quote_spanned!(Span::mixed_site()=> dyn #trait_ident), &locals);
    let receive = quote_spanned! {Span::mixed_site()=>
        let __arguments = &mut #private::Request::arguments(&__request)?;
        #receive
    };
    let receive = match &locals[..] {
        [] => quote_spanned!(Span::mixed_site()=> { #receive }),
        locals => quote_spanned!(Span::mixed_site()=> let (#(#locals,)*) = { #receive (#(#locals,)*) };),
    };
    let place = Span::mixed_site().located_at(method.ident.span());
    let send = dispatcher::send(interface, method.reply(), &quote_spanned!(place=> #call.await, &mut __answer));
    quote_spanned! {place=>
        #(#cfgs)*
        #number => ::std::boxed::Box::pin(async move {
            #receive
            #send.map(|__verdict| (__verdict, __answer))
        }),
    }
}
