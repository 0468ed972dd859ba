//! Types in signatures: what cannot be sent whatever it stands for, and how lifetimes are written elsewhere.
//!
//! Only what the tokens say for sure is refused here. Whether a type can be serialised is left to rustc, which explains
//! it better and sees through aliases.

use quote::ToTokens as _;
use syn::{
    GenericArgument, Lifetime, PathArguments, Type, TypeFnPtr, TypeImplTrait, TypePath, TypePtr, TypeReference,
    TypeTraitObject,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

use crate::{callbacks, errors::Errors};

/// Refuses what an argument cannot be.
pub(crate) fn check_argument(ty: &Type, errors: &mut Errors) {
    match peel(ty) {
        Type::Slice(_) => return errors.at(ty, "an argument has a known size; take `&[T]` or `Vec<T>`"),
        Type::Path(path) if path.path.is_ident("str") => {
            return errors.at(ty, "an argument has a known size; take `&str` or `String`");
        }
        _ => {}
    }
    if callbacks::check(ty, errors) {
        return;
    }
    Check { errors, place: Place::Argument, is_bytes: is_bytes(ty), is_borrowed: false }.visit_type(ty);
}

/// Refuses what a method cannot return.
pub(crate) fn check_output(ty: &Type, errors: &mut Errors) {
    Check { errors, place: Place::Output, is_bytes: false, is_borrowed: false }.visit_type(ty);
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Argument,
    Output,
}

struct Check<'a> {
    errors: &'a mut Errors,
    place: Place,
    /// Whether the whole is one byte string, which is not left to serde.
    is_bytes: bool,
    /// Whether what is visited is behind a reference.
    is_borrowed: bool,
}

impl<'ast> Visit<'ast> for Check<'_> {
    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.errors.at(
            ty,
            "`impl Trait` has no single type to send; write a concrete type, for an iterator `plugin_core::Stream<T>`",
        );
    }

    fn visit_type_fn_ptr(&mut self, ty: &'ast TypeFnPtr) {
        self.errors.at(ty, "a function pointer means nothing in another process; send a value that says what to do");
    }

    fn visit_type_ptr(&mut self, ty: &'ast TypePtr) {
        self.errors.at(ty, "a pointer means nothing in another process; send the value");
    }

    fn visit_type_trait_object(&mut self, ty: &'ast TypeTraitObject) {
        let message = match self.place {
            Place::Output if ends_in(ty, &["Error"]) => {
                "a boxed error cannot be sent; return `plugin_core::Error`, or an error type of your own"
            }
            Place::Output => {
                "a trait object cannot be sent as it is; return `plugin_core::Remote<dyn Other>`, an object of a plugin interface that is called where it lives"
            }
            Place::Argument if ends_in(ty, &["Fn", "FnMut", "FnOnce"]) => {
                "a function is lent for the time of the call, and nowhere but as an argument of its own; write `&mut dyn FnMut(..)`"
            }
            Place::Argument => {
                "an object is lent for the time of the call, and nowhere but as an argument of its own; write `&dyn Other`, of a plugin interface, or, for one that is kept, `plugin_core::Remote<dyn Other>`"
            }
        };
        self.errors.at(ty, message);
    }

    fn visit_type_reference(&mut self, ty: &'ast TypeReference) {
        if matches!(peel(&ty.elem), Type::TraitObject(_)) {
            return self.visit_type(&ty.elem);
        }
        match (self.place, ty.mutability, &ty.lifetime) {
            (Place::Output, ..) => {
                self.errors.at(ty, "a result comes from another process, so there is nothing to borrow from; return an owned type, such as `String` or `Vec<T>`");
            }
            (Place::Argument, Some(_), _) => {
                self.errors
                    .at(ty, "another process cannot change the caller's value; take `&T` and return the new value");
            }
            (Place::Argument, None, Some(lifetime)) if lifetime.ident == "static" => {
                self.errors.at(
                    lifetime,
                    "what a plugin receives lives as long as the call; leave out `'static`, or take an owned type",
                );
                self.visit_borrowed(&ty.elem);
            }
            (Place::Argument, None, _) if is_bytes(&ty.elem) && !self.is_bytes => {
                self.errors.at(ty, "serde sends this as an array, from which nothing can be borrowed; write `Vec<u8>`, or `&serde_bytes::Bytes`");
            }
            (Place::Argument, None, _) => self.visit_borrowed(&ty.elem),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if self.place == Place::Output && lifetime.ident != "static" {
            self.errors.at(lifetime, "a result comes from another process, so there is nothing to borrow from; write `'static`, or return an owned type");
        }
    }

    fn visit_type_path(&mut self, ty: &'ast TypePath) {
        let Some(last) = ty.path.segments.last() else { return };
        if ty.path.segments.first().is_some_and(|first| first.ident == "Self") {
            return self.errors.at(ty, "`Self` differs between host and plugin; name a concrete type");
        }
        if last.ident == "Remote" && matches!(last.arguments, PathArguments::AngleBracketed(_)) {
            return; // Of a plugin interface, as rustc makes sure.
        }
        if self.is_borrowed && is_stream(ty) {
            self.errors.at(
                ty,
                "a stream is read by whoever has it, not by whoever borrows it; take it by value, without the `&`",
            );
        }
        if let Some(argument) = option_argument_of(ty) {
            self.check_option(ty, argument);
        }
        visit::visit_type_path(self, ty);
    }
}

impl Check<'_> {
    fn visit_borrowed(&mut self, ty: &Type) {
        let was_borrowed = std::mem::replace(&mut self.is_borrowed, true);
        self.visit_type(ty);
        self.is_borrowed = was_borrowed;
    }

    /// `None` travels as `nil`, and so does `()`: a `Some` of what is `nil` itself looks like `None`.
    fn check_option(&mut self, ty: &TypePath, argument: &Type) {
        match argument {
            Type::Tuple(unit) if unit.elems.is_empty() => {
                self.errors.at(ty, "`Some(())` would arrive as `None`; write `bool`");
            }
            _ if option_argument(argument).is_some() => {
                self.errors.at(ty, "`Some(None)` would arrive as `None`; write an enum with three variants");
            }
            _ => {}
        }
    }
}

/// Whether `ty` is written as `Stream<T>` or `ByteStream`.
fn is_stream(ty: &TypePath) -> bool {
    let is = |name| ty.path.segments.last().is_some_and(|last| last.ident == name);
    is("ByteStream") || is("Stream") && type_arguments(ty).count() == 1
}

/// Whether `ty` is `[u8]` behind references and options.
fn is_bytes(ty: &Type) -> bool {
    match peel(ty) {
        Type::Slice(slice) => matches!(peel(&slice.elem), Type::Path(path) if path.path.is_ident("u8")),
        other => referent(other).or_else(|| option_argument(other)).is_some_and(is_bytes),
    }
}

/// The `T` of `&T`.
pub(crate) fn referent(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Reference(reference) => Some(&reference.elem),
        _ => None,
    }
}

/// The `T` of a literal `Option<T>`.
pub(crate) fn option_argument(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Path(path) => option_argument_of(path),
        _ => None,
    }
}

fn option_argument_of(path: &TypePath) -> Option<&Type> {
    let last = path.path.segments.last().filter(|last| last.ident == "Option");
    last.and_then(|_| type_arguments(path).next()).map(peel)
}

/// The types among the last segment's generic arguments.
pub(crate) fn type_arguments(ty: &TypePath) -> impl Iterator<Item = &Type> {
    let arguments = ty.path.segments.last().map(|last| &last.arguments);
    let arguments = match arguments {
        Some(PathArguments::AngleBracketed(arguments)) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Where mistakes about the `T` and the `E` of a method's result belong, as far as the tokens tell.
pub(crate) fn result_parts(output: &Type) -> (&Type, &Type) {
    let Type::Path(path) = peel(output) else { return (output, output) };
    if path.path.segments.last().is_none_or(|last| last.ident != "Result") {
        return (output, output);
    }
    let mut arguments = type_arguments(path);
    (arguments.next().unwrap_or(output), arguments.next().unwrap_or(output))
}

fn ends_in(ty: &TypeTraitObject, names: &[&str]) -> bool {
    ty.bounds.iter().any(|bound| match bound {
        syn::TypeParamBound::Trait(bound) => {
            bound.path.segments.last().is_some_and(|last| names.iter().any(|name| last.ident == name))
        }
        _ => false,
    })
}

/// Whether a method of a `dyn Trait` may mention `ty`.
pub(crate) fn is_dyn_compatible(ty: &Type) -> bool {
    struct Find(bool);
    impl<'ast> Visit<'ast> for Find {
        fn visit_type_impl_trait(&mut self, _: &'ast TypeImplTrait) {
            self.0 = true;
        }
        fn visit_type_path(&mut self, ty: &'ast TypePath) {
            self.0 |= ty.path.segments.first().is_some_and(|first| first.ident == "Self");
            visit::visit_type_path(self, ty);
        }
    }
    let mut find = Find(false);
    find.visit_type(ty);
    !find.0
}

/// Whether `'static` is part of `ty`.
pub(crate) fn mentions_static(ty: &Type) -> bool {
    struct Find(bool);
    impl<'ast> Visit<'ast> for Find {
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            self.0 |= lifetime.ident == "static";
        }
    }
    let mut find = Find(false);
    find.visit_type(ty);
    find.0
}

/// `ty` without parentheses and without the invisible groups that `macro_rules` puts around a `$ty:ty`.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        _ => ty,
    }
}

/// `ty` with its named lifetimes left to inference, for use inside a body that does not declare them.
pub(crate) fn infer_lifetimes(mut ty: Type) -> Type {
    struct Infer;
    impl VisitMut for Infer {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            if lifetime.ident != "static" {
                *lifetime = Lifetime::new("'_", lifetime.span());
            }
        }
        fn visit_type_reference_mut(&mut self, ty: &mut TypeReference) {
            ty.lifetime = None;
            visit_mut::visit_type_reference_mut(self, ty);
        }
    }
    Infer.visit_type_mut(&mut ty);
    ty
}

/// The spans of the first and the last token of `ty`, resolving names as generated code does.
pub(crate) fn ends(ty: &Type) -> (proc_macro2::Span, proc_macro2::Span) {
    let site = proc_macro2::Span::mixed_site();
    let mut tokens = ty.to_token_stream().into_iter().map(|token| token.span());
    let first = tokens.next().unwrap_or(site);
    let last = tokens.last().unwrap_or(first);
    (site.located_at(first), site.located_at(last))
}
