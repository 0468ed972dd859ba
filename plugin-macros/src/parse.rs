//! From the trait to the model, refusing what cannot be expressed across a process boundary.
//!
//! Nothing stops at the first mistake: the model is completed as well as it goes, so that the rest is judged too. What
//! rustc itself explains well (patterns in a declaration, duplicate methods, unknown types) is left to it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident};
use syn::{
    FnArg, GenericParam, Ident, ItemTrait, LitStr, Meta, Pat, PatIdent, PatType, Receiver, ReturnType, Safety,
    Signature, Token, TraitItem, TraitItemFn, Type, TypeParamBound, WherePredicate, ext::IdentExt as _, parse_quote,
    spanned::Spanned as _,
};

use crate::{
    args::{InterfaceOptions, MethodOptions},
    attributes, callbacks,
    errors::Errors,
    model::{
        Argument, ArgumentKind, Callback, GeneratedNames, Interface, Method, is_marker, is_outside, is_shared_reference,
    },
    types,
};

/// Reads a trait and the options it is annotated with.
pub(crate) fn interface(options: TokenStream, mut item: ItemTrait, errors: &mut Errors) -> Interface {
    let options = InterfaceOptions::parse(options, errors);
    check_header(&item, errors);
    let mut methods = Vec::new();
    let mut outside = Vec::new();
    for (place, member) in item.items.iter_mut().enumerate() {
        match member {
            TraitItem::Fn(function) if is_outside(&function.sig) => {
                check_outside(function, errors);
                outside.extend(function.default.is_none().then(|| function.clone()));
            }
            TraitItem::Fn(function) => methods.push(method(place, function, errors)),
            other => refuse_member(other, errors),
        }
    }
    Interface {
        krate: options.krate.unwrap_or_else(|| parse_quote!(::plugin_core)),
        name: options.name.unwrap_or_else(|| item.ident.unraw().to_string()),
        version: options.version,
        cfgs: attributes::cfgs(&item.attrs),
        hidden: attributes::hidden(&item.attrs),
        names: GeneratedNames::new(&item.ident.unraw()),
        methods,
        outside,
        item,
    }
}

fn check_header(item: &ItemTrait, errors: &mut Errors) {
    if let Some(unsafety) = &item.unsafety {
        errors.at(
            unsafety,
            "a plugin interface cannot be an unsafe trait: another process keeps no promise for you; remove `unsafe`",
        );
    }
    if let Some(auto) = &item.modifiers.auto_token {
        errors.at(auto, "a plugin interface cannot be an auto trait; remove `auto`");
    }
    if !item.generics.params.is_empty() {
        errors.at(&item.generics.params, "a plugin interface cannot be generic: each interface has one name on the wire; write a trait for each type");
    } else if let Some(clause) = &item.generics.where_clause {
        errors.at(clause, "a plugin interface cannot have a where clause; `Send` and `Sync` are added without it");
    }
    for bound in item.supertraits.iter().filter(|bound| !is_allowed_supertrait(bound)) {
        errors.at(bound, "a plugin interface has no supertraits but `Send`, `Sync` and `'static`: a proxy could not implement others; move their methods here");
    }
}

fn is_allowed_supertrait(bound: &TypeParamBound) -> bool {
    match bound {
        TypeParamBound::Lifetime(lifetime) => lifetime.ident == "static",
        TypeParamBound::Trait(bound) => {
            bound.maybe.is_none() && ["Send", "Sync"].iter().any(|name| is_marker(&bound.path, name))
        }
        _ => false,
    }
}

fn refuse_member(member: &TraitItem, errors: &mut Errors) {
    match member {
        TraitItem::Const(constant) => {
            errors.at(
                &constant.ident,
                "an associated constant cannot be asked from another process; write a method that returns it",
            );
        }
        TraitItem::Type(ty) => {
            errors.at(&ty.ident, "a plugin interface is used as `dyn Trait`, so it has no associated types; name a concrete type in the methods");
        }
        TraitItem::Macro(call) => {
            errors.at(&call.mac.path, "a macro hides its methods from the attribute; write the methods out");
        }
        other => errors.at(other, "expected a method"),
    }
}

/// Everything is allowed outside the interface, as long as a proxy can be made to have it.
fn check_outside(function: &mut TraitItemFn, errors: &mut Errors) {
    for attribute in attributes::take_method(&mut function.attrs) {
        errors.at(attribute, "a method with `where Self: Sized` is outside the interface; remove `#[method]`");
    }
    if let (None, ReturnType::Type(_, ty)) = (&function.default, &function.sig.output) {
        if let Type::ImplTrait(ty) = &**ty {
            errors.at(ty, "the proxy has no value of this type to return; give the method a default body");
        }
    }
}

fn method(place: usize, function: &mut TraitItemFn, errors: &mut Errors) -> Method {
    let options = method_options(function, errors);
    check_qualifiers(&function.sig, errors);
    check_generics(&function.sig, errors);
    let ident = function.sig.ident.clone();
    let mut signature = function.sig.clone();
    let name = options.name.clone().unwrap_or_else(|| LitStr::new(&ident.unraw().to_string(), ident.span()));
    let (self_token, arguments) = inputs(&mut signature, &name.value(), errors);
    check_lent(&arguments, &options, &signature, errors);
    Method {
        place,
        name,
        cfgs: attributes::cfgs(&function.attrs),
        hidden: attributes::hidden(&function.attrs),
        lint_levels: attributes::lint_levels(&function.attrs),
        timeout: options.timeout,
        oneway: options.oneway,
        idempotent: options.idempotent,
        output: output(&signature, errors),
        default: function.default.is_some().then(|| function.clone()),
        ident,
        signature,
        self_token,
        arguments,
    }
}

fn method_options(function: &mut TraitItemFn, errors: &mut Errors) -> MethodOptions {
    for attribute in attributes::take_bare_options(&mut function.attrs) {
        let name = attribute.path().to_token_stream();
        errors.at(&attribute, format!("an option of `#[method]`; write `#[method({name})]`"));
    }
    let mut options = MethodOptions::default();
    for (index, attribute) in attributes::take_method(&mut function.attrs).into_iter().enumerate() {
        if index > 0 {
            errors.at(attribute, "a second `#[method]`; write all options into one");
        } else if let Meta::List(list) = &attribute.meta {
            options = MethodOptions::parse(list.tokens.clone(), errors);
        } else {
            errors.at(attribute, "expected options: `#[method(name = \"...\", timeout = \"5s\")]`");
        }
    }
    options
}

fn check_qualifiers(signature: &Signature, errors: &mut Errors) {
    if let Some(token) = &signature.constness {
        errors.at(token, "a call to another process is not const; remove `const`");
    }
    match &signature.safety {
        Safety::Unsafe(token) => {
            errors.at(token, "an unsafe method's conditions cannot be kept across processes; remove `unsafe`");
        }
        Safety::Safe(token) => errors.at(token, "remove `safe`: every method of a plugin interface is"),
        Safety::Default => {}
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, "calls travel as messages, whatever the ABI; remove `extern`");
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(variadic, "a method has a fixed number of arguments; take a slice, such as `&[T]`");
    }
}

fn check_generics(signature: &Signature, errors: &mut Errors) {
    for parameter in &signature.generics.params {
        match parameter {
            GenericParam::Lifetime(_) => {}
            GenericParam::Type(parameter) => errors.at(
                &parameter.ident,
                "a method cannot be generic over types: both processes must know what is sent; write a concrete type",
            ),
            GenericParam::Const(parameter) => errors.at(
                &parameter.ident,
                "a method cannot be generic over constants: both processes must know what is sent; take `&[T]` or `Vec<T>`",
            ),
        }
    }
    for predicate in signature.generics.where_clause.iter().flat_map(|clause| &clause.predicates) {
        if let WherePredicate::Type(predicate) = predicate {
            errors.at(
                predicate,
                "only lifetimes may be bounded here; to keep a method out of the interface write `where Self: Sized`",
            );
        }
    }
}

/// Takes the signature's arguments apart and leaves plain identifiers in place of patterns.
fn inputs(signature: &mut Signature, method: &str, errors: &mut Errors) -> (Token![self], Vec<Argument>) {
    let mut self_token = None;
    let mut arguments = Vec::new();
    let is_async = signature.asyncness.is_some();
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                check_receiver(receiver, errors);
                self_token = Some(receiver.self_token);
            }
            FnArg::Typed(input) => {
                if !callbacks::check_spelling(&input.ty, is_async, errors) {
                    types::check_argument(&input.ty, errors);
                }
                arguments.push(argument(arguments.len() + 1, input, method, errors));
            }
        }
    }
    let self_token = self_token.unwrap_or_else(|| {
        errors.at(&signature.ident, "a method without a receiver has nobody to ask; add `&self`, or keep it out of the interface with `where Self: Sized`");
        Token![self](signature.ident.span())
    });
    (self_token, arguments)
}

fn check_receiver(receiver: &Receiver, errors: &mut Errors) {
    if !is_shared_reference(receiver) {
        errors.at(
            receiver,
            "a plugin serves many calls at once, so methods take `&self`; keep what changes in a `Mutex` or an atomic",
        );
    }
}

fn argument(position: usize, input: &mut PatType, method: &str, errors: &mut Errors) -> Argument {
    for attribute in input.attrs.drain(..) {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            errors.at(attribute, "both processes must agree on the arguments; put `cfg` on the method");
        }
    }
    let (ident, name) = argument_name(position, &input.pat, errors);
    *input.pat =
        Pat::Ident(PatIdent { attrs: Vec::new(), by_ref: None, mutability: None, ident: ident.clone(), subpat: None });
    let kind = argument_kind(&input.ty, || format!("{method}({name})"));
    Argument { ident, name, kind }
}

fn argument_kind(ty: &Type, callback_name: impl Fn() -> String) -> ArgumentKind {
    let ty = types::peel(ty);
    if let Some(function) = callbacks::function(ty) {
        ArgumentKind::Function(ty.clone(), Box::new(callback(&function, callback_name())))
    } else if let Some(object) = callbacks::object(ty) {
        ArgumentKind::Object(object)
    } else if let Some(lent) = types::referent(ty) {
        ArgumentKind::Lent(types::infer_lifetimes(lent.clone()))
    } else if let Some(lent) = types::option_argument(ty).and_then(types::referent) {
        ArgumentKind::LentOption(types::infer_lifetimes(lent.clone()))
    } else if types::mentions_static(ty) {
        ArgumentKind::Owned(types::infer_lifetimes(ty.clone()))
    } else {
        ArgumentKind::Value(types::infer_lifetimes(ty.clone()))
    }
}

fn callback(function: &callbacks::Function<'_>, name: String) -> Callback {
    let inputs = function.inputs.iter().copied();
    let arguments = inputs.clone().enumerate().map(|(position, ty)| Argument {
        ident: format_ident!("__value{position}", span = Span::mixed_site()),
        name: (position + 1).to_string(),
        // It lends nothing in turn.
        kind: argument_kind(ty, String::new),
    });
    Callback {
        name,
        arguments: arguments.collect(),
        types: inputs.map(|ty| types::infer_lifetimes(ty.clone())).collect(),
        output: function.output.cloned(),
        is_send: function.is_send,
    }
}

/// What is lent is called while the call lasts, so somebody must wait for its end.
fn check_lent(arguments: &[Argument], options: &MethodOptions, signature: &Signature, errors: &mut Errors) {
    for argument in arguments.iter().filter(|argument| argument.is_lent()) {
        if options.oneway {
            errors.at(argument.ty(), "a oneway call is over before the plugin could call back; remove `oneway`");
        } else if signature.asyncness.is_some() && !argument.may_be_sent() {
            errors.at(
                argument.ty(),
                "the future of an `async fn` is `Send`, so what it holds must be, too; write `&mut (dyn FnMut(..) + Send)`",
            );
        }
    }
}

fn argument_name(position: usize, pattern: &Pat, errors: &mut Errors) -> (Ident, String) {
    match pattern {
        Pat::Ident(PatIdent { ident, by_ref: None, subpat: None, .. }) => (ident.clone(), ident.unraw().to_string()),
        Pat::Wild(_) => (unnamed(position, Span::mixed_site()), position.to_string()),
        other => {
            errors.at(other, "an argument goes by its name in error messages; name it, and take it apart in the body");
            (unnamed(position, other.span()), position.to_string())
        }
    }
}

fn unnamed(position: usize, span: Span) -> Ident {
    format_ident!("__argument{position}", span = Span::mixed_site().located_at(span))
}

fn output(signature: &Signature, errors: &mut Errors) -> Type {
    match &signature.output {
        ReturnType::Type(_, ty) => {
            types::check_output(ty, errors);
            (**ty).clone()
        }
        ReturnType::Default => {
            errors.at(
                &signature.ident,
                "a remote call can fail, and this method cannot say so; add `-> plugin_core::Result<()>`",
            );
            parse_quote!(())
        }
    }
}
