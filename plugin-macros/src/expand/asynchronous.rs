//! What an `async fn` becomes, in the trait and in its implementations alike: a method that returns a boxed future, which
//! a `dyn Trait` can have.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Block, Expr, FnArg, Ident, Lifetime, Pat, PatIdent, PatType, ReturnType, Signature, Stmt, TraitItemFn,
    Type, parse_quote, parse_quote_spanned,
};

use super::lifetimes;
use crate::{attributes, model::is_outside, types};

/// Turns an `async fn` of a trait, with a body or without, into what it stands for, and leaves others alone.
pub(super) fn box_declaration(function: &mut TraitItemFn) {
    match &mut function.default {
        Some(body) => box_function(&mut function.sig, body),
        None => box_signature(&mut function.sig),
    }
}

/// Whether it is left as written: not async, or outside the interface, as all generic methods are.
fn is_left_alone(signature: &Signature) -> bool {
    let generics = &signature.generics;
    let is_generic = generics.type_params().count() + generics.const_params().count() > 0;
    signature.asyncness.is_none() || is_generic || is_outside(signature)
}

/// The signature alone.
pub(super) fn box_signature(signature: &mut Signature) {
    if !is_left_alone(signature) {
        let lifetime = lifetimes::name(signature);
        return_boxed(signature, &lifetime);
    }
}

fn return_boxed(signature: &mut Signature, lifetime: &Lifetime) {
    let output = output(signature);
    // At the tokens of what the user returns, where rustc shall say what does not fit.
    let (first, last) = types::ends(&output);
    let open = quote_spanned!(first=> ::core::pin::Pin<::std::boxed::Box<dyn ::core::future::Future<Output = #output>);
    signature.output = parse_quote_spanned!(last=> -> #open + ::core::marker::Send + #lifetime>>);
    signature.asyncness = None;
}

/// The signature, and the body as a future that holds all arguments to its end, whether it uses them or not.
pub(super) fn box_function(signature: &mut Signature, body: &mut Block) {
    let Some(asyncness) = signature.asyncness.filter(|_| !is_left_alone(signature)) else { return };
    let output = output(signature);
    let held: Vec<_> =
        signature.inputs.iter_mut().enumerate().filter_map(|(place, input)| hold(place, input)).collect();
    let lifetime = lifetimes::name_unless_inferred(signature);
    return_boxed(signature, &lifetime);
    let statements = &body.stmts;
    // Generated braces: some lints would take the user's own for superfluous. And they are of this crate's edition, in which
    // the temporaries of the last expression end before the arguments, from which they may borrow.
    let braces = Span::mixed_site().located_at(body.brace_token.span.join());
    let inner = quote_spanned!(braces=> { #(#statements)* });
    let place = Span::mixed_site().located_at(asyncness.span);
    // What never runs tells rustc what `return` and `?` return, before it meets them.
    let future: Expr = parse_quote_spanned! {place=>
        ::std::boxed::Box::pin(async move {
            if let ::core::option::Option::Some(__returned) = ::core::option::Option::None::<#output> {
                return __returned;
            }
            #(#held)*
            #inner
        })
    };
    body.stmts = vec![Stmt::Expr(future, None)];
}

fn output(signature: &Signature) -> Type {
    match &signature.output {
        ReturnType::Type(_, ty) => (**ty).clone(),
        ReturnType::Default => parse_quote!(()),
    }
}

/// Leaves a plain identifier in place of an argument's pattern, and gives the statements that move it into the future.
fn hold(position: usize, input: &mut FnArg) -> Option<TokenStream> {
    let FnArg::Typed(PatType { attrs, pat, .. }) = input else { return None };
    let attributes = attrs.clone();
    attributes::relax_expectations(attrs);
    let (ident, is_name) = match &**pat {
        Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) => (ident.clone(), true),
        _ => (format_ident!("__argument{position}", span = Span::mixed_site()), false),
    };
    let pattern = std::mem::replace(&mut **pat, identifier(ident.clone()));
    let whole = (!is_name).then(|| bind(&attributes::cfgs(&attributes), &ident, &ident));
    let parts = (!matches!(pattern, Pat::Wild(_))).then(|| bind(&attributes, &pattern, &ident));
    Some(quote!(#whole #parts))
}

fn identifier(ident: Ident) -> Pat {
    Pat::Ident(PatIdent { attrs: Vec::new(), by_ref: None, mutability: None, ident, subpat: None })
}

/// At the pattern, where rustc shall say that it does not match all values.
fn bind(attributes: &[Attribute], pattern: &impl ToTokens, value: &Ident) -> TokenStream {
    let place = pattern.to_token_stream().into_iter().last().map_or_else(Span::mixed_site, |last| last.span());
    quote_spanned! {Span::mixed_site().located_at(place)=>
        #(#attributes)*
        #[allow(clippy::no_effect_underscore_binding, clippy::used_underscore_binding)]
        let #pattern = #value;
    }
}
