//! The lifetimes of a method that returns a future, which must be named: the future lives as long as all that it borrows.

use proc_macro2::Span;
use syn::{
    FnArg, GenericParam, Generics, Lifetime, LifetimeParam, ParenthesizedGenericArguments, PathSegment, Receiver,
    ReceiverKind, Signature, TypeFnPtr, TypeReference, TypeTraitObject, WherePredicate,
    visit_mut::{self, VisitMut},
};

use crate::model::is_shared_reference;

/// Names the lifetimes in `signature`, and gives that of the future.
///
/// What is borrowed by a plain reference shares the future's lifetime: each caller's own shortens to it. So the trait reads
/// well, and an implementation may be written by hand, with lifetimes of any name. What is inside other types may not
/// shorten; it gets names of its own, that are to outlive the future's.
pub(super) fn name(signature: &mut Signature) -> Lifetime {
    let mut found = Names::new(lifetime("async_fn", place(signature)));
    found.visit_arguments(&mut signature.clone());
    let named: Vec<Lifetime> = signature.generics.lifetimes().map(|named| named.lifetime.clone()).collect();
    let is_alone = !found.used && found.own.is_empty() && named.is_empty();
    if is_alone && signature.receiver().is_some_and(is_shared_reference) {
        return Lifetime::new("'_", Span::mixed_site());
    }
    let shared = match &named[..] {
        [only] if found.own.is_empty() && !found.inside.contains(only) => only.clone(),
        _ => found.shared.clone(),
    };
    let mut names = Names::new(shared.clone());
    names.visit_arguments(signature);
    names.visit_receivers(signature);
    declare(signature, &named, names);
    shared
}

fn lifetime(name: &str, place: Span) -> Lifetime {
    Lifetime::new(&format!("'{name}"), Span::mixed_site().located_at(place))
}

/// What rustc shows for the future's lifetime.
fn place(signature: &Signature) -> Span {
    match signature.receiver().map(|receiver| &receiver.kind) {
        Some(ReceiverKind::Reference(and, ..)) => and.span,
        _ => signature.ident.span(),
    }
}

/// Declares the names given, and says of all others that they outlive the future's.
fn declare(signature: &mut Signature, named: &[Lifetime], names: Names) {
    let Names { shared, own, .. } = names;
    let generics = &mut signature.generics;
    let parameter = |lifetime: &Lifetime| GenericParam::Lifetime(LifetimeParam::new(lifetime.clone()));
    for lifetime in own.iter().rev() {
        generics.params.insert(named.len(), parameter(lifetime));
    }
    for lifetime in named.iter().chain(&own).filter(|lifetime| **lifetime != shared) {
        let mut outlived = shared.clone();
        outlived.set_span(Span::mixed_site().located_at(lifetime.span()));
        bound(generics, lifetime, outlived);
    }
    if !named.contains(&shared) {
        generics.params.insert(0, parameter(&shared));
    }
}

/// Adds a bound where the user has put those of this lifetime: one place is what a lint of clippy asks for.
fn bound(generics: &mut Generics, lifetime: &Lifetime, outlived: Lifetime) {
    let clauses = generics.where_clause.iter_mut().flat_map(|clause| &mut clause.predicates);
    let in_clause = clauses.into_iter().find_map(|predicate| match predicate {
        WherePredicate::Lifetime(predicate) if predicate.lifetime == *lifetime => Some(&mut predicate.bounds),
        _ => None,
    });
    let bounds = match in_clause {
        Some(bounds) => Some(bounds),
        None => generics
            .lifetimes_mut()
            .find(|declared| declared.lifetime == *lifetime)
            .map(|declared| &mut declared.bounds),
    };
    bounds.into_iter().for_each(|bounds| bounds.push(outlived.clone()));
}

/// Gives names to elided lifetimes.
struct Names {
    /// The future's.
    shared: Lifetime,
    /// Whether it was given.
    used: bool,
    /// Those of their own.
    own: Vec<Lifetime>,
    /// Those with a name that are inside types which may not let them shorten.
    inside: Vec<Lifetime>,
    /// Whether this is inside such a type.
    is_inside: bool,
}

impl Names {
    fn new(shared: Lifetime) -> Self {
        Self { shared, used: false, own: Vec::new(), inside: Vec::new(), is_inside: false }
    }

    fn visit_arguments(&mut self, signature: &mut Signature) {
        for input in &mut signature.inputs {
            if let FnArg::Typed(input) = input {
                self.visit_type_mut(&mut input.ty);
            }
        }
    }

    fn visit_receivers(&mut self, signature: &mut Signature) {
        if let Some(FnArg::Receiver(receiver)) = signature.inputs.first_mut() {
            self.visit_receiver_mut(receiver);
        }
    }

    fn next(&mut self, place: Span) -> Lifetime {
        if self.is_inside {
            self.own.push(lifetime(&format!("async_fn{}", self.own.len() + 1), place));
            self.own[self.own.len() - 1].clone()
        } else {
            self.used = true;
            let mut shared = self.shared.clone();
            shared.set_span(Span::mixed_site().located_at(place));
            shared
        }
    }

    fn enter(&mut self, is_inside: bool, visit: impl FnOnce(&mut Self)) {
        let before = self.is_inside;
        self.is_inside |= is_inside;
        visit(self);
        self.is_inside = before;
    }
}

impl VisitMut for Names {
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
        // What is behind `&mut` is what the caller lent, to the letter.
        self.enter(ty.mutability.is_some(), |names| names.visit_type_mut(&mut ty.elem));
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.next(lifetime.span());
        } else if self.is_inside {
            self.inside.push(lifetime.clone());
        }
    }

    fn visit_path_segment_mut(&mut self, segment: &mut PathSegment) {
        let shortens = SHORTENING.iter().any(|name| segment.ident == name);
        self.enter(!shortens, |names| visit_mut::visit_path_segment_mut(names, segment));
    }

    fn visit_type_trait_object_mut(&mut self, ty: &mut TypeTraitObject) {
        self.enter(true, |names| visit_mut::visit_type_trait_object_mut(names, ty));
    }

    /// Each call of a function chooses its own.
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {}

    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
}

/// Common types in which a longer lifetime shortens, and which are so often borrowed that they shall read well.
const SHORTENING: [&str; 4] = ["Box", "Cow", "Option", "Vec"];
