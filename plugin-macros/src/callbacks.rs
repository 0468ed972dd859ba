//! Arguments that are called instead of sent: how they are written, and how they are not.

use quote::ToTokens;
use syn::{
    ParenthesizedGenericArguments, Path, PathArguments, ReturnType, Token, Type, TypeParamBound, TypeReference,
    TypeTraitObject, parse_quote, punctuated::Punctuated,
};

use crate::{errors::Errors, model::is_marker, types};

type Bounds = Punctuated<TypeParamBound, Token![+]>;

/// The type of a function that is lent.
pub(crate) struct Function<'a> {
    pub(crate) inputs: Vec<&'a Type>,
    /// `None` for nothing.
    pub(crate) output: Option<&'a Type>,
    pub(crate) is_send: bool,
}

/// The function, where `ty` is `&mut dyn FnMut(..)`.
pub(crate) fn function(ty: &Type) -> Option<Function<'_>> {
    let (reference, object) = lent(ty)?;
    let (name, _) = called(&object.bounds)?;
    let is_static =
        object.bounds.iter().any(|bound| matches!(bound, TypeParamBound::Lifetime(it) if it.ident == "static"));
    if name != "FnMut" || reference.mutability.is_none() || is_static {
        return None;
    }
    of_bounds(&object.bounds)
}

/// The function that is meant where `ty` is none that can be lent, only written as functions are elsewhere.
fn misspelt(ty: &Type) -> Option<Function<'_>> {
    if function(ty).is_some() {
        return None;
    }
    let ty = types::referent(types::peel(ty)).map_or(types::peel(ty), types::peel);
    let boxed = match ty {
        Type::Path(path) => types::type_arguments(path).next().map(types::peel),
        _ => None,
    };
    match boxed.filter(|boxed| matches!(boxed, Type::TraitObject(_))).unwrap_or(ty) {
        Type::TraitObject(object) => of_bounds(&object.bounds),
        Type::ImplTrait(written) => of_bounds(&written.bounds),
        Type::FnPtr(pointer) => Some(Function {
            inputs: pointer.inputs.iter().map(|input| &input.ty).collect(),
            output: output(&pointer.output),
            is_send: false,
        }),
        _ => None,
    }
}

fn of_bounds(bounds: &Bounds) -> Option<Function<'_>> {
    let (_, arguments) = called(bounds)?;
    Some(Function {
        inputs: arguments.inputs.iter().map(|input| &input.ty).collect(),
        output: output(&arguments.output),
        is_send: paths(bounds).any(|path| is_marker(path, "Send")),
    })
}

fn output(output: &ReturnType) -> Option<&Type> {
    match output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => match types::peel(ty) {
            Type::Tuple(unit) if unit.elems.is_empty() => None,
            _ => Some(ty),
        },
    }
}

/// As it is to be written.
fn spell(function: &Function<'_>, is_send: bool) -> String {
    let inputs: Vec<_> = function.inputs.iter().map(text).collect();
    let output = function.output.map_or_else(String::new, |output| format!(" -> {}", text(output)));
    let function = format!("dyn FnMut({}){output}", inputs.join(", "));
    if is_send { format!("&mut ({function} + Send)") } else { format!("&mut {function}") }
}

/// The tokens of a type as people space them.
fn text(ty: impl ToTokens) -> String {
    const TIGHT: [(&str, &str); 9] = [
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" ;", ";"),
        (" ::", "::"),
        (":: ", "::"),
        ("& ", "&"),
        (" !", "!"),
    ];
    let text = ty.to_token_stream().to_string();
    TIGHT.iter().fold(text, |text, (wide, tight)| text.replace(wide, tight))
}

/// The interface as `dyn Other`, where `ty` is `&dyn Other`.
pub(crate) fn object(ty: &Type) -> Option<Type> {
    let (reference, object) = lent(ty)?;
    if reference.mutability.is_some() || called(&object.bounds).is_some() {
        return None;
    }
    let path = paths(&object.bounds).next()?;
    let dyn_token = object.dyn_token;
    Some(parse_quote!(#dyn_token #path))
}

/// Refuses a function that is not written as one that is lent; `false` where `ty` is none.
pub(crate) fn check_spelling(ty: &Type, is_async: bool, errors: &mut Errors) -> bool {
    let Some(function) = misspelt(ty) else { return false };
    let spelling = spell(&function, function.is_send || is_async);
    errors.at(ty, format!("a function is lent to the plugin for the time of the call; write `{spelling}`"));
    check_function(&function, errors);
    true
}

/// Refuses what is wrong with an argument that is called; `false` where it is none.
pub(crate) fn check(ty: &Type, errors: &mut Errors) -> bool {
    let Some((reference, object)) = lent(ty) else { return false };
    if let Some(function) = function(ty) {
        check_function(&function, errors);
        check_bounds(
            object,
            &["FnMut", "Send"],
            "a function may be `Send` and nothing else; write `&mut dyn FnMut(..)`",
            errors,
        );
    } else if reference.mutability.is_some() {
        errors.at(ty, "an object that the plugin calls is shared with it; write `&dyn Other`");
    } else if let Some(path) = paths(&object.bounds).next() {
        let name = path.segments.last().map_or_else(String::new, |last| last.ident.to_string());
        let message = format!("`dyn {name}` alone is enough: a plugin interface is `Send` and `Sync`");
        check_bounds(object, &[&name], &message, errors);
    }
    true
}

fn check_function(function: &Function<'_>, errors: &mut Errors) {
    for input in &function.inputs {
        match lent(types::peel(input)) {
            Some(_) => errors.at(input, "what is lent cannot be lent a function or an object in turn; take the values"),
            None => types::check_argument(input, errors),
        }
    }
    if let Some(output) = function.output {
        types::check_output(output, errors);
    }
}

fn check_bounds(object: &TypeTraitObject, allowed: &[&str], message: &str, errors: &mut Errors) {
    for bound in &object.bounds {
        let TypeParamBound::Trait(bound) = bound else { continue };
        if bound.path.segments.last().is_none_or(|last| allowed.iter().all(|name| last.ident != name)) {
            errors.at(bound, message);
        }
    }
}

/// The parts of `&dyn Trait` or `&mut dyn Trait`.
fn lent(ty: &Type) -> Option<(&TypeReference, &TypeTraitObject)> {
    let Type::Reference(reference) = types::peel(ty) else { return None };
    let Type::TraitObject(object) = types::peel(&reference.elem) else { return None };
    Some((reference, object))
}

fn paths(bounds: &Bounds) -> impl Iterator<Item = &Path> {
    bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => Some(&bound.path),
        _ => None,
    })
}

/// The name of one of the traits of functions, and what it says.
fn called(bounds: &Bounds) -> Option<(String, &ParenthesizedGenericArguments)> {
    let last = paths(bounds).next()?.segments.last()?;
    match &last.arguments {
        PathArguments::Parenthesized(arguments) => Some((last.ident.to_string(), arguments)),
        _ => None,
    }
}
