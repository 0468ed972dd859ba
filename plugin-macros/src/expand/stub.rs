//! What stands in for an interface with mistakes: enough that the code which uses it has no mistakes of its own.
//!
//! The trait stays as written wherever that leaves it usable as `dyn Trait`.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::{
    FnArg, Generics, Ident, ItemTrait, ReturnType, TraitItem, TraitItemFn, TypeParamBound, parse_quote,
    parse_quote_spanned,
};

use super::{asynchronous, declaration, methods};
use crate::{
    model::{Interface, is_outside},
    types,
};

pub(super) fn expand(mut interface: Interface) -> TokenStream {
    keep_first_of_each_constant(&mut interface);
    let declaration = declaration(&interface);
    let (implementation, proxy) = (implementation(&interface), proxy(&interface));
    let (dispatcher, methods) = (dispatcher(&interface), methods::expand(&interface));
    quote_spanned!(Span::mixed_site()=> #declaration #implementation #proxy #dispatcher #methods)
}

fn keep_first_of_each_constant(interface: &mut Interface) {
    let mut seen = HashSet::from(["NAMES".to_owned()]);
    interface.methods.retain(|method| !method.cfgs.is_empty() || seen.insert(method.constant().to_string()));
}

fn declaration(interface: &Interface) -> TokenStream {
    let mut item = interface.item.clone();
    item.modifiers.auto_token = None;
    let supertraits = std::mem::take(&mut item.supertraits);
    item.supertraits = supertraits.into_iter().filter(may_be_dyn).collect();
    declaration::add_supertraits(&mut item);
    let mut seen = HashSet::new();
    item.items.retain_mut(|member| match member {
        TraitItem::Fn(function) if is_outside(&function.sig) => true,
        TraitItem::Fn(function) => {
            mend(function);
            !function.attrs.is_empty() || seen.insert(function.sig.ident.clone())
        }
        TraitItem::Type(ty) => {
            keep_from_dyn(&mut ty.generics);
            true
        }
        _ => false,
    });
    item.into_token_stream()
}

/// The standard traits that no `dyn Trait` can have as supertraits; about others only rustc knows.
fn may_be_dyn(bound: &TypeParamBound) -> bool {
    const NEVER: [&str; 9] = ["Clone", "Copy", "Default", "Eq", "Hash", "Ord", "PartialEq", "PartialOrd", "Sized"];
    match bound {
        TypeParamBound::Trait(bound) => {
            bound.path.segments.last().is_none_or(|last| NEVER.iter().all(|never| last.ident != never))
        }
        _ => true,
    }
}

/// Takes from a method what rustc would complain about once more.
fn mend(function: &mut TraitItemFn) {
    function.sig.constness = None;
    function.sig.variadic = None;
    let (compatible, is_async) = (is_dyn_compatible(function), function.sig.asyncness.is_some());
    asynchronous::box_signature(&mut function.sig);
    if !compatible {
        keep_from_dyn(&mut function.sig.generics);
    }
    if compatible || is_async || function.default.is_none() {
        forget_body(function);
    }
    if is_async {
        function.attrs.push(parse_quote!(#[allow(async_fn_in_trait)]));
    }
}

/// Leaves nothing in which other methods could be called or patterns matter.
fn forget_body(function: &mut TraitItemFn) {
    for (position, input) in function.sig.inputs.iter_mut().enumerate() {
        if let FnArg::Typed(input) = input {
            let name = Ident::new(&format!("__argument{position}"), Span::mixed_site());
            *input.pat = parse_quote!(#name);
        }
    }
    if function.default.is_some() {
        function.attrs.push(parse_quote!(#[allow(unused_variables)]));
        function.default = Some(parse_quote_spanned!(Span::mixed_site()=> { ::core::panic!() }));
    }
}

fn is_dyn_compatible(function: &TraitItemFn) -> bool {
    let signature = &function.sig;
    let inputs = signature.inputs.iter().all(|input| match input {
        FnArg::Receiver(_) => true,
        FnArg::Typed(input) => types::is_dyn_compatible(&input.ty),
    });
    let output = match &signature.output {
        ReturnType::Type(_, ty) => types::is_dyn_compatible(ty),
        ReturnType::Default => true,
    };
    let is_generic = signature.generics.type_params().count() + signature.generics.const_params().count() > 0;
    signature.receiver().is_some() && !is_generic && inputs && output
}

fn keep_from_dyn(generics: &mut Generics) {
    generics.make_where_clause().predicates.push(parse_quote!(Self: ::core::marker::Sized));
}

fn implementation(interface: &Interface) -> TokenStream {
    let private = interface.private();
    let ItemTrait { ident, generics, .. } = &interface.item;
    let (cfgs, name) = (&interface.cfgs, &interface.name);
    let (parameters, (_, arguments, clause)) = (generics.params.iter().collect::<Vec<_>>(), generics.split_for_impl());
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        impl<'__interface #(, #parameters)*> #private::Interface for dyn #ident #arguments + '__interface #clause {
            const DESCRIPTOR: &'static #private::Descriptor =
                &#private::Descriptor { name: #name, version: ::core::option::Option::None, methods: &[] };

            fn proxy(_: #private::Client) -> ::std::sync::Arc<Self> {
                ::core::panic!()
            }

            fn __dispatch(
                &self,
                _: ::core::primitive::usize,
                _: &mut #private::Decoder<'_>,
                _: &mut #private::Encoder,
            ) -> ::core::result::Result<#private::Verdict, #private::Fault> {
                ::core::panic!()
            }

            fn __dispatcher(_: ::std::sync::Arc<Self>) -> ::std::sync::Arc<dyn #private::Dispatch>
            where
                Self: 'static,
            {
                ::core::panic!()
            }
        }

        #(#cfgs)*
        impl<#(#parameters,)* __Implementor: #ident #arguments + 'static> #private::Wraps<__Implementor>
            for dyn #ident #arguments #clause
        {
            fn wrap(_: __Implementor) -> ::std::sync::Arc<dyn #private::Dispatch> {
                ::core::panic!()
            }

            fn share(_: __Implementor) -> ::std::sync::Arc<Self> {
                ::core::panic!()
            }
        }
    }
}

fn dispatcher(interface: &Interface) -> TokenStream {
    let (vis, cfgs, dispatcher) = (&interface.item.vis, &interface.cfgs, &interface.names.dispatcher);
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[allow(dead_code, missing_docs)]
        #vis struct #dispatcher<S>(S);

        #(#cfgs)*
        #[allow(dead_code, missing_docs)]
        impl<S> #dispatcher<S> {
            #vis fn new(implementation: S) -> Self {
                Self(implementation)
            }
        }
    }
}

fn proxy(interface: &Interface) -> TokenStream {
    let (vis, cfgs, proxy) = (&interface.item.vis, &interface.cfgs, &interface.names.proxy);
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[allow(dead_code, missing_docs)]
        #vis struct #proxy {}
    }
}
