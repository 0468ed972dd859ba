//! Which of the user's attributes go where.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Meta, Path, Token, parse_quote, punctuated::Punctuated};

/// What decides whether an item exists: `cfg`, also inside `cfg_attr`.
pub(crate) fn cfgs(attributes: &[Attribute]) -> Vec<Attribute> {
    filter(attributes, |path| path.is_ident("cfg"))
}

/// `doc(hidden)`, which also hides what is generated.
pub(crate) fn hidden(attributes: &[Attribute]) -> Vec<Attribute> {
    let is_hidden = |meta: &Meta| match meta {
        Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    };
    attributes.iter().filter(|attribute| is_hidden(&attribute.meta)).cloned().collect()
}

/// What code needs that moves elsewhere: lint levels, also inside `cfg_attr`, and the right to use what is as old as
/// itself.
pub(crate) fn lint_levels(attributes: &[Attribute]) -> Vec<Attribute> {
    let mut levels = filter(attributes, |path| LINT_LEVELS.iter().any(|level| path.is_ident(level)));
    if attributes.iter().any(|attribute| attribute.path().is_ident("deprecated")) {
        levels.push(parse_quote!(#[allow(deprecated)]));
    }
    levels
}

const LINT_LEVELS: [&str; 5] = ["allow", "deny", "expect", "forbid", "warn"];

fn filter(attributes: &[Attribute], keep: impl Fn(&Path) -> bool) -> Vec<Attribute> {
    let kept = attributes.iter().filter_map(|attribute| filter_meta(&attribute.meta, &keep));
    kept.map(|meta| parse_quote!(#[#meta])).collect()
}

/// `meta`, or what is left of it, where `keep` wants it.
fn filter_meta(meta: &Meta, keep: &impl Fn(&Path) -> bool) -> Option<TokenStream> {
    if keep(meta.path()) {
        return Some(quote!(#meta));
    }
    let parts = cfg_attr(meta)?;
    let predicate = parts.first()?;
    let kept: Vec<_> = parts.iter().skip(1).filter_map(|part| filter_meta(part, keep)).collect();
    if kept.is_empty() { None } else { Some(quote!(cfg_attr(#predicate, #(#kept),*))) }
}

/// The predicate and the attributes of a `cfg_attr`.
fn cfg_attr(meta: &Meta) -> Option<Punctuated<Meta, Token![,]>> {
    let list = meta.require_list().ok().filter(|list| list.path.is_ident("cfg_attr"))?;
    list.parse_args_with(Punctuated::parse_terminated).ok()
}

/// Turns `expect` into `allow`, for a function whose body has moved away, and with it what was expected.
pub(crate) fn relax_expectations(attributes: &mut [Attribute]) {
    for attribute in attributes {
        if let Meta::List(list) = &mut attribute.meta {
            if list.path.is_ident("expect") {
                list.path = parse_quote!(allow);
            }
        }
    }
}

/// Removes options of `#[method(..)]` that were written as attributes of their own, and gives them back.
pub(crate) fn take_bare_options(attributes: &mut Vec<Attribute>) -> Vec<Attribute> {
    take(attributes, |path| BARE_OPTIONS.iter().any(|option| path.is_ident(option)))
}

/// Not `timeout`: other crates have an attribute of that name.
const BARE_OPTIONS: [&str; 2] = ["idempotent", "oneway"];

/// Removes the `#[method(..)]` attributes and gives them back.
pub(crate) fn take_method(attributes: &mut Vec<Attribute>) -> Vec<Attribute> {
    take(attributes, |path| path.is_ident("method"))
}

fn take(attributes: &mut Vec<Attribute>, is_wanted: impl Fn(&Path) -> bool) -> Vec<Attribute> {
    let (ours, theirs) = attributes.drain(..).partition(|attribute| is_wanted(attribute.path()));
    *attributes = theirs;
    ours
}
