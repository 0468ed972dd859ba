//! What an interface is to the rest of the macro: parsed, judged expressible, not yet expanded.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote_spanned};
use syn::{Attribute, Ident, ItemTrait, LitStr, Path, Receiver, Signature, Token, TraitItemFn, Type};

/// A trait that is, or failed to become, a plugin interface.
pub(crate) struct Interface {
    /// The trait as written, without our own helper attributes.
    pub(crate) item: ItemTrait,
    /// Where plugin-core is.
    pub(crate) krate: Path,
    /// The name on the wire.
    pub(crate) name: String,
    /// `MAJOR.MINOR.PATCH`
    pub(crate) version: Option<String>,
    /// When the trait exists.
    pub(crate) cfgs: Vec<Attribute>,
    /// Whether it is left out of the documentation.
    pub(crate) hidden: Vec<Attribute>,
    pub(crate) methods: Vec<Method>,
    /// Methods outside the interface that every implementor must write, so the proxy too.
    pub(crate) outside: Vec<TraitItemFn>,
    pub(crate) names: GeneratedNames,
}

impl Interface {
    /// The one path of plugin-core that generated code uses.
    pub(crate) fn private(&self) -> TokenStream {
        self.private_at(Span::mixed_site())
    }

    /// The same path where rustc shall report what is wrong with an expression that begins with it.
    pub(crate) fn private_at(&self, place: Span) -> TokenStream {
        let krate = self.krate.to_token_stream().into_iter().map(|mut token| {
            token.set_span(token.span().located_at(place));
            token
        });
        let krate: TokenStream = krate.collect();
        quote_spanned!(Span::mixed_site().located_at(place)=> #krate::private)
    }

    /// The method that the trait's item number `place` became.
    pub(crate) fn method_at(&self, place: usize) -> Option<&Method> {
        self.methods.iter().find(|method| method.place == place)
    }
}

/// The items generated beside `trait Greeter`.
pub(crate) struct GeneratedNames {
    /// `GreeterProxy`
    pub(crate) proxy: Ident,
    /// `GreeterDispatcher`
    pub(crate) dispatcher: Ident,
    /// `GreeterMethods`
    pub(crate) methods: Ident,
    /// `__GreeterDefaults`
    pub(crate) defaults: Ident,
}

impl GeneratedNames {
    pub(crate) fn new(interface: &Ident) -> Self {
        Self {
            proxy: format_ident!("{interface}Proxy"),
            dispatcher: format_ident!("{interface}Dispatcher"),
            methods: format_ident!("{interface}Methods"),
            defaults: format_ident!("__{interface}Defaults"),
        }
    }
}

/// One method of the interface.
pub(crate) struct Method {
    /// Its place among the trait's items.
    pub(crate) place: usize,
    pub(crate) ident: Ident,
    /// The name on the wire, at the token it comes from.
    pub(crate) name: LitStr,
    /// When the method exists.
    pub(crate) cfgs: Vec<Attribute>,
    /// Whether it is left out of the documentation.
    pub(crate) hidden: Vec<Attribute>,
    /// The lint levels that its body was written under.
    pub(crate) lint_levels: Vec<Attribute>,
    pub(crate) timeout: Timeout,
    /// Whether nothing answers a call.
    pub(crate) oneway: bool,
    pub(crate) idempotent: bool,
    /// As written, but with plain identifiers for argument patterns.
    pub(crate) signature: Signature,
    /// The receiver's `self`, whose hygiene generated bodies must share.
    pub(crate) self_token: Token![self],
    pub(crate) arguments: Vec<Argument>,
    pub(crate) output: Type,
    /// The default body's method, as written.
    pub(crate) default: Option<TraitItemFn>,
}

impl Method {
    /// Whether it is an `async fn`.
    pub(crate) fn is_async(&self) -> bool {
        self.signature.asyncness.is_some()
    }

    /// What it returns, and whether that is all that ever comes back.
    pub(crate) fn reply(&self) -> (&Type, bool) {
        (&self.output, self.oneway)
    }

    /// `GREET` for `greet`
    pub(crate) fn constant(&self) -> Ident {
        constant(&self.ident)
    }

    /// `__default_greet`
    pub(crate) fn default_ident(&self) -> Ident {
        format_ident!("__default_{}", self.ident, span = Span::mixed_site().located_at(self.ident.span()))
    }

    /// Where the method's number is kept, inside a function.
    pub(crate) fn number(&self) -> Ident {
        format_ident!("__METHOD_{}", self.place, span = Span::mixed_site())
    }
}

/// The constant that holds the wire name of method `ident`.
pub(crate) fn constant(ident: &Ident) -> Ident {
    use syn::ext::IdentExt as _;
    Ident::new(&ident.unraw().to_string().to_uppercase(), ident.span())
}

/// One argument of a method.
pub(crate) struct Argument {
    /// The local that holds it.
    pub(crate) ident: Ident,
    /// What errors call it: its name, or its position where it has none.
    pub(crate) name: String,
    /// What crosses the wire.
    pub(crate) kind: ArgumentKind,
}

impl Argument {
    /// Its type, or the `T` of `&T`, which is where errors about it belong.
    pub(crate) fn ty(&self) -> &Type {
        match &self.kind {
            ArgumentKind::Value(ty)
            | ArgumentKind::Owned(ty)
            | ArgumentKind::Lent(ty)
            | ArgumentKind::LentOption(ty)
            | ArgumentKind::Object(ty)
            | ArgumentKind::Function(ty, _) => ty,
        }
    }

    /// Whether it says that other threads may call it.
    pub(crate) fn may_be_sent(&self) -> bool {
        match &self.kind {
            ArgumentKind::Function(_, callback) => callback.is_send,
            _ => true,
        }
    }

    /// Whether it is called instead of sent.
    pub(crate) fn is_lent(&self) -> bool {
        matches!(self.kind, ArgumentKind::Object(_) | ArgumentKind::Function(..))
    }
}

/// How an argument is decoded and passed on.
pub(crate) enum ArgumentKind {
    /// Decoded as this type and moved.
    Value(Type),
    /// The same for a type with `'static` in it, which cannot borrow from the message.
    Owned(Type),
    /// Written `&T`: decoded as whatever stands in for this `T`, and lent.
    Lent(Type),
    /// Written `Option<&T>`: the same for what may be missing.
    LentOption(Type),
    /// Written `&dyn Other`: an object of that interface, which the other side may call while the call lasts.
    Object(Type),
    /// Written `&mut dyn FnMut(..)`: a function of that type, likewise.
    Function(Type, Box<Callback>),
}

/// What a function takes and returns that is lent to the other side.
pub(crate) struct Callback {
    /// What errors call it, `search(progress)`: the method that it is lent to, on the wire, and the argument.
    pub(crate) name: String,
    /// As written, but for named lifetimes.
    pub(crate) types: Vec<Type>,
    pub(crate) arguments: Vec<Argument>,
    /// `None` for nothing at all, not even the chance to fail.
    pub(crate) output: Option<Type>,
    /// Whether it says so of itself.
    pub(crate) is_send: bool,
}

/// A method's own time limit.
#[derive(Default)]
pub(crate) enum Timeout {
    #[default]
    Inherit,
    Unlimited,
    After(Duration),
}

/// Whether `path` is `name` or `marker::name`, as `Send` and `Sync` are written.
pub(crate) fn is_marker(path: &Path, name: &str) -> bool {
    let mut segments = path.segments.iter().rev();
    segments.next().is_some_and(|last| last.ident == name)
        && segments.next().is_none_or(|module| module.ident == "marker")
}

/// Whether the method is outside the interface: `where Self: Sized`.
pub(crate) fn is_outside(signature: &Signature) -> bool {
    let clauses = signature.generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    clauses.into_iter().any(is_self_sized)
}

/// Whether `predicate` is `Self: Sized`.
pub(crate) fn is_self_sized(predicate: &syn::WherePredicate) -> bool {
    let syn::WherePredicate::Type(predicate) = predicate else { return false };
    let is_sized = |bound: &syn::TypeParamBound| match bound {
        syn::TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == "Sized"),
        _ => false,
    };
    predicate.bounded_ty.to_token_stream().to_string() == "Self" && predicate.bounds.iter().any(is_sized)
}

/// Whether the receiver is `&self`, under any spelling.
pub(crate) fn is_shared_reference(receiver: &Receiver) -> bool {
    match &receiver.kind {
        syn::ReceiverKind::Reference(_, _, mutability) => mutability.is_none(),
        syn::ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(reference) => {
                reference.mutability.is_none() && reference.elem.to_token_stream().to_string() == "Self"
            }
            _ => false,
        },
        _ => false,
    }
}
