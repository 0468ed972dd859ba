//! Arguments that are called instead of sent: how they are written, and how they are not.

use syn::{
    ParenthesizedGenericArguments, Path, PathArguments, ReturnType, Type, TypeParamBound, TypeReference,
    TypeTraitObject, parse_quote,
};

use crate::{errors::Errors, model::is_marker, types};

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
    let (name, arguments) = called(object)?;
    if name != "FnMut" || reference.mutability.is_none() {
        return None;
    }
    let output = match &arguments.output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => match types::peel(ty) {
            Type::Tuple(unit) if unit.elems.is_empty() => None,
            _ => Some(&**ty),
        },
    };
    let is_send = paths(object).any(|path| is_marker(path, "Send"));
    Some(Function { inputs: arguments.inputs.iter().map(|input| &input.ty).collect(), output, is_send })
}

/// The interface as `dyn Other`, where `ty` is `&dyn Other`.
pub(crate) fn object(ty: &Type) -> Option<Type> {
    let (reference, object) = lent(ty)?;
    if reference.mutability.is_some() || called(object).is_some() {
        return None;
    }
    let path = paths(object).next()?;
    let dyn_token = object.dyn_token;
    Some(parse_quote!(#dyn_token #path))
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
    } else if called(object).is_some() {
        errors.at(ty, "a function that the plugin calls is written `&mut dyn FnMut(..)`");
    } else if reference.mutability.is_some() {
        errors.at(ty, "an object that the plugin calls is shared with it; write `&dyn Other`");
    } else if let Some(path) = paths(object).next() {
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

fn paths(object: &TypeTraitObject) -> impl Iterator<Item = &Path> {
    object.bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => Some(&bound.path),
        _ => None,
    })
}

/// The name of one of the traits of functions, and what it says.
fn called(object: &TypeTraitObject) -> Option<(String, &ParenthesizedGenericArguments)> {
    let last = paths(object).next()?.segments.last()?;
    match &last.arguments {
        PathArguments::Parenthesized(arguments) => Some((last.ident.to_string(), arguments)),
        _ => None,
    }
}
