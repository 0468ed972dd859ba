//! The lifetimes of a method that returns a future, which must be named: the future lives as long as all that it borrows.

use proc_macro2::Span;
use syn::{
    FnArg, GenericParam, Generics, Lifetime, LifetimeParam, ParenthesizedGenericArguments, PathSegment, Receiver,
    ReceiverKind, Signature, TypeFnPtr, TypeReference, TypeTraitObject, WherePredicate,
    visit_mut::{self, VisitMut},
};

use crate::model::is_shared_reference;

/// What the future's lifetime is called. It is all that rustc shows of the attribute to an `impl` without it: it prints the
/// signature that it expected, with the lifetimes.
const NAME: &str = "plugin_interface";

/// As [`name`], of a method with a body: where there is nothing but `&self` to borrow from, rustc infers it, and does not offer a
/// name that users have not written.
pub(super) fn name_unless_inferred(signature: &mut Signature) -> Lifetime {
    let mut found = Elided::new(lifetime(NAME, place(signature)));
    found.name_arguments(&mut signature.clone());
    let is_plain = !found.shares && found.own.is_empty() && signature.generics.lifetimes().next().is_none();
    if is_plain && signature.receiver().is_some_and(is_shared_reference) {
        return lifetime("_", Span::mixed_site());
    }
    name(signature)
}

/// Names the lifetimes in `signature`, and gives that of the future.
///
/// What is borrowed by a plain reference shares the future's lifetime: each caller's own shortens to it. So the trait reads
/// well, and an implementation may be written by hand, with a lifetime of any name. What is inside other types may not
/// shorten; it gets names of its own, that are to outlive the future's.
pub(super) fn name(signature: &mut Signature) -> Lifetime {
    let declared: Vec<Lifetime> = signature.generics.lifetimes().map(|declared| declared.lifetime.clone()).collect();
    let fresh = lifetime(NAME, place(signature));
    let mut found = Elided::new(fresh.clone());
    found.name_arguments(&mut signature.clone());
    let shared = match &declared[..] {
        [only] if found.own.is_empty() && !found.fixed.contains(only) => only.clone(),
        _ => fresh,
    };
    let mut elided = Elided::new(shared.clone());
    elided.name_receiver(signature);
    elided.name_arguments(signature);
    declare(&mut signature.generics, &declared, &elided.own, &shared);
    shared
}

fn lifetime(name: &str, place: Span) -> Lifetime {
    Lifetime::new(&format!("'{name}"), Span::mixed_site().located_at(place))
}

/// What rustc underlines where it speaks of the future's lifetime.
fn place(signature: &Signature) -> Span {
    match signature.receiver().map(|receiver| &receiver.kind) {
        Some(ReceiverKind::Reference(and, ..)) => and.span,
        _ => signature.ident.span(),
    }
}

/// Adds what is not `declared`, and says of all others that they outlive what is `shared`.
fn declare(generics: &mut Generics, declared: &[Lifetime], own: &[Lifetime], shared: &Lifetime) {
    let parameter = |lifetime: &Lifetime| GenericParam::Lifetime(LifetimeParam::new(lifetime.clone()));
    for lifetime in own.iter().rev() {
        generics.params.insert(declared.len(), parameter(lifetime));
    }
    for lifetime in declared.iter().chain(own).filter(|lifetime| *lifetime != shared) {
        let mut outlived = shared.clone();
        // At the attribute: rustc shows it to an `impl` without it, as the bound that is missing there.
        outlived.set_span(Span::mixed_site());
        bound(generics, lifetime, outlived);
    }
    if !declared.contains(shared) {
        generics.params.insert(0, parameter(shared));
    }
}

/// Adds a bound where the user has put those of this lifetime: a lint of clippy asks for one place.
fn bound(generics: &mut Generics, lifetime: &Lifetime, outlived: Lifetime) {
    for predicate in generics.where_clause.iter_mut().flat_map(|clause| &mut clause.predicates) {
        match predicate {
            WherePredicate::Lifetime(predicate) if predicate.lifetime == *lifetime => {
                return predicate.bounds.push(outlived);
            }
            _ => {}
        }
    }
    if let Some(declared) = generics.lifetimes_mut().find(|declared| declared.lifetime == *lifetime) {
        declared.bounds.push(outlived);
    }
}

/// Gives names to elided lifetimes.
struct Elided {
    /// The future's.
    shared: Lifetime,
    /// Whether it was given.
    shares: bool,
    /// Names given to those inside types which may not let them shorten.
    own: Vec<Lifetime>,
    /// Those inside such types that have a name already.
    fixed: Vec<Lifetime>,
    /// Whether this is inside such a type.
    is_fixed: bool,
}

impl Elided {
    fn new(shared: Lifetime) -> Self {
        Self { shared, shares: false, own: Vec::new(), fixed: Vec::new(), is_fixed: false }
    }

    fn name_receiver(&mut self, signature: &mut Signature) {
        if let Some(FnArg::Receiver(receiver)) = signature.inputs.first_mut() {
            self.visit_receiver_mut(receiver);
        }
    }

    fn name_arguments(&mut self, signature: &mut Signature) {
        for input in &mut signature.inputs {
            if let FnArg::Typed(input) = input {
                self.visit_type_mut(&mut input.ty);
            }
        }
    }

    fn next(&mut self, place: Span) -> Lifetime {
        if self.is_fixed {
            let own = lifetime(&format!("{NAME}{}", self.own.len() + 1), place);
            self.own.push(own.clone());
            return own;
        }
        self.shares = true;
        let mut shared = self.shared.clone();
        shared.set_span(Span::mixed_site().located_at(place));
        shared
    }

    fn enter(&mut self, fixes: bool, visit: impl FnOnce(&mut Self)) {
        let before = self.is_fixed;
        self.is_fixed |= fixes;
        visit(self);
        self.is_fixed = before;
    }
}

impl VisitMut for Elided {
    fn visit_receiver_mut(&mut self, receiver: &mut Receiver) {
        match &mut receiver.kind {
            ReceiverKind::Reference(and, lifetime @ None, _) => *lifetime = Some(self.next(and.span)),
            _ => visit_mut::visit_receiver_mut(self, receiver),
        }
    }

    fn visit_type_reference_mut(&mut self, ty: &mut TypeReference) {
        match &mut ty.lifetime {
            Some(lifetime) => self.visit_lifetime_mut(lifetime),
            elided => *elided = Some(self.next(ty.and_token.span)),
        }
        self.enter(ty.mutability.is_some(), |elided| elided.visit_type_mut(&mut ty.elem));
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.next(lifetime.span());
        } else if self.is_fixed {
            self.fixed.push(lifetime.clone());
        }
    }

    fn visit_path_segment_mut(&mut self, segment: &mut PathSegment) {
        let shortens = SHORTENING.iter().any(|name| segment.ident == name);
        self.enter(!shortens, |elided| visit_mut::visit_path_segment_mut(elided, segment));
    }

    fn visit_type_trait_object_mut(&mut self, ty: &mut TypeTraitObject) {
        self.enter(true, |elided| visit_mut::visit_type_trait_object_mut(elided, ty));
    }

    /// What is elided here, each call of the function chooses.
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {}

    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
}

/// Common types in which lifetimes shorten, and which are so often borrowed that they shall read well.
const SHORTENING: [&str; 4] = ["Box", "Cow", "Option", "Vec"];
