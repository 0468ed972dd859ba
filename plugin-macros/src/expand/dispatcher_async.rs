//! The way to methods that are `async fn`: a future that owns the request, from which the arguments borrow, and what holds the
//! implementation: the dispatcher's share in it, or a reference to what is lent.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::dispatcher;
use crate::model::{Interface, Method};

/// The function that routes requests to any implementation behind the trait. Nothing, where no method is async.
pub(super) fn dispatch(interface: &Interface) -> Option<TokenStream> {
    let methods: Vec<_> = interface.methods.iter().filter(|method| method.is_async()).collect();
    if methods.is_empty() {
        return None;
    }
    let (private, codec) = (interface.private(), super::codec(interface, &dispatcher::CODEC));
    let numbers = methods.iter().map(|method| super::number(interface, method));
    let arms = methods.iter().map(|method| arm(interface, method));
    Some(quote_spanned! {Span::mixed_site()=>
        fn __dispatch_async<'__run>(
            __holder: impl #private::Holds<Self> + '__run,
            __method: ::core::primitive::usize,
            __request: #private::Request,
            mut __answer: #private::Encoder,
        ) -> #private::Dispatched<'__run>
        where
            Self: '__run,
        {
            #codec
            #(#numbers)*
            match __method {
                #(#arms)*
                _ => #private::no_such_method(),
            }
        }
    })
}

/// What the dispatcher does with them. Nothing, where no method is async.
pub(super) fn forward(interface: &Interface) -> Option<TokenStream> {
    if !interface.methods.iter().any(Method::is_async) {
        return None;
    }
    let (private, ident) = (interface.private(), &interface.item.ident);
    Some(quote_spanned! {Span::mixed_site()=>
        fn dispatch_async(
            &self,
            __method: ::core::primitive::usize,
            __request: #private::Request,
            __answer: #private::Encoder,
        ) -> #private::Dispatched<'static> {
            let __holder = ::core::clone::Clone::clone(&self.0);
            <dyn #ident as #private::Interface>::__dispatch_async(__holder, __method, __request, __answer)
        }
    })
}

/// The decoder is dropped before the call: it cannot be sent to another thread, as the future may be.
fn arm(interface: &Interface, method: &Method) -> TokenStream {
    let private = interface.private();
    let (cfgs, number) = (&method.cfgs, method.number());
    let (locals, receive) = dispatcher::receive(interface, &method.arguments);
    let call = dispatcher::call(interface, method, &quote_spanned!(Span::mixed_site()=> &*__holder), &locals);
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
