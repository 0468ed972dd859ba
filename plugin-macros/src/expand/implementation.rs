//! What makes `dyn Greeter` an interface: the descriptor, the way to a proxy, the way to a dispatcher.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::{dispatcher, dispatcher_async};
use crate::model::{Interface, Method, Timeout};

pub(super) fn expand(interface: &Interface) -> TokenStream {
    let private = interface.private();
    let (ident, cfgs, name) = (&interface.item.ident, &interface.cfgs, &interface.name);
    let (proxy, dispatcher) = (&interface.names.proxy, &interface.names.dispatcher);
    let version = option(interface.version.as_deref());
    let methods = interface.methods.iter().map(|method| entry(interface, method));
    let (quiet, dispatch) = (super::quiet(), dispatcher::dispatch(interface));
    let dispatch_async = dispatcher_async::dispatch(interface);
    let contested = interface.methods.iter().filter_map(|method| contested(interface, method));
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[automatically_derived]
        #quiet
        impl<'__interface> #private::Interface for dyn #ident + '__interface {
            const DESCRIPTOR: &'static #private::Descriptor = &#private::Descriptor {
                name: #name,
                version: #version,
                methods: &[#(#methods),*],
            };

            fn proxy(__client: #private::Client) -> ::std::sync::Arc<Self> {
                ::std::sync::Arc::new(#proxy { client: __client })
            }

            #dispatch

            #dispatch_async

            fn __dispatcher(__value: ::std::sync::Arc<Self>) -> ::std::sync::Arc<dyn #private::Dispatch>
            where
                Self: 'static,
            {
                ::std::sync::Arc::new(#dispatcher::<dyn #ident>(__value, ::core::marker::PhantomData))
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl<__Implementor: #ident + 'static> #private::Wraps<__Implementor> for dyn #ident {
            fn wrap(__value: __Implementor) -> ::std::sync::Arc<dyn #private::Dispatch> {
                ::std::sync::Arc::new(#dispatcher::new(__value))
            }

            fn share(__value: __Implementor) -> ::std::sync::Arc<Self> {
                ::std::sync::Arc::new(__value)
            }
        }

        #(#contested)*
    }
}

fn entry(interface: &Interface, method: &Method) -> TokenStream {
    let private = interface.private();
    let (cfgs, name, optional) = (&method.cfgs, method.name.value(), method.default.is_some());
    let (idempotent, is_async, is_oneway) = (method.idempotent, method.is_async(), method.oneway);
    let timeout = match method.timeout {
        Timeout::Inherit => quote_spanned!(Span::mixed_site()=> Inherit),
        Timeout::Unlimited => quote_spanned!(Span::mixed_site()=> Unlimited),
        Timeout::After(limit) => {
            let (seconds, nanoseconds) = (limit.as_secs(), limit.subsec_nanos());
            quote_spanned!(Span::mixed_site()=> After(::core::time::Duration::new(#seconds, #nanoseconds)))
        }
    };
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #private::Method {
            name: #name,
            timeout: #private::Timeout::#timeout,
            optional: #optional,
            idempotent: #idempotent,
            is_async: #is_async,
            is_oneway: #is_oneway,
        }
    }
}

/// Has rustc decide whether two methods of one name exist at once: they are under different `cfg`s.
fn contested(interface: &Interface, method: &Method) -> Option<TokenStream> {
    let rivals = |other: &&Method| other.name.value() == method.name.value() && other.ident != method.ident;
    let earlier = interface.methods.iter().take_while(|other| other.place < method.place).find(rivals)?;
    let place = Span::mixed_site().located_at(method.name.span());
    let (private, ident, name) = (interface.private_at(place), &interface.item.ident, &method.name);
    let cfgs = interface.cfgs.iter().chain(&method.cfgs).chain(&earlier.cfgs);
    Some(quote_spanned! {place=>
        #(#cfgs)*
        const _: () = #private::assert_unique(<dyn #ident as #private::Interface>::DESCRIPTOR.methods, #name);
    })
}

fn option(value: Option<&str>) -> TokenStream {
    value.map_or_else(
        || quote_spanned!(Span::mixed_site()=> ::core::option::Option::None),
        |value| quote_spanned!(Span::mixed_site()=> ::core::option::Option::Some(#value)),
    )
}
