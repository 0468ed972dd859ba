//! What an annotated trait is to the runtime: a table of methods, a way to make a proxy, a way to route requests.

use std::{
    future::{Future, ready},
    ops::Deref,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use crate::{
    buffer::Buffer,
    codec::{DecodeError, Decoder, EncodeError, Encoder},
    objects::Client,
};

/// What an `async fn` of an interface returns.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The run of an async method: gives the answer back when it is written.
#[doc(hidden)]
pub type Dispatched<'a> = BoxFuture<'a, Result<(Verdict, Encoder), Fault>>;

/// What an async method's future holds its implementation by: a share in it, or a reference to what is lent.
#[doc(hidden)]
pub trait Holds<I: ?Sized>: Deref<Target = I> + Send + Sync {}

impl<I: ?Sized, H: Deref<Target = I> + Send + Sync> Holds<I> for H {}

/// A trait that [`#[plugin_interface]`](macro@crate::plugin_interface) was put on, as `dyn Trait`.
///
/// The attribute implements it; nobody else should. It is what the turbofish of [`connect`](crate::connect),
/// [`serve`](crate::serve) and the others asks for.
///
/// ```
/// use plugin_core::{Interface, Plugin, Process};
///
/// /// The plugins among `processes` that serve interface `I`.
/// fn having<I: Interface + ?Sized + 'static>(processes: &[Process]) -> Vec<Plugin<I>> {
///     processes.iter().filter_map(|process| process.interface::<I>().ok()).collect()
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin interface",
    label = "not a plugin interface",
    note = "put `#[plugin_core::plugin_interface]` on the trait and name it as `dyn Trait`"
)]
pub trait Interface: Send + Sync {
    /// The interface's name, version and methods.
    #[doc(hidden)]
    const DESCRIPTOR: &'static Descriptor;

    /// Makes a value that forwards every call to `client`.
    #[doc(hidden)]
    fn proxy(client: Client) -> Arc<Self>;

    /// Decodes the arguments, calls method number `method` of the descriptor, and encodes what it returned.
    #[doc(hidden)]
    fn __dispatch(&self, method: usize, arguments: &mut Decoder<'_>, answer: &mut Encoder) -> Result<Verdict, Fault>;

    /// As [`__dispatch`](Self::__dispatch), for methods that are async.
    #[doc(hidden)]
    fn __dispatch_async<'a>(
        _holder: impl Holds<Self> + 'a,
        _method: usize,
        _request: Request,
        _answer: Encoder,
    ) -> Dispatched<'a>
    where
        Self: 'a,
    {
        no_such_method()
    }

    /// Wraps a shared value in the dispatcher that routes requests to it.
    #[doc(hidden)]
    fn __dispatcher(value: Arc<Self>) -> Arc<dyn Dispatch>
    where
        Self: 'static;
}

/// Routes requests for one interface to one value.
#[doc(hidden)]
pub trait Dispatch: Send + Sync {
    /// The interface served.
    fn descriptor(&self) -> &'static Descriptor;

    /// Decodes the arguments, calls method number `method` of the descriptor, and encodes what it returned.
    ///
    /// # Errors
    /// When there is no such method, or arguments or result cannot be coded.
    fn dispatch(&self, method: usize, arguments: &mut Decoder<'_>, answer: &mut Encoder) -> Result<Verdict, Fault>;

    /// As [`dispatch`](Self::dispatch), for methods that are async.
    fn dispatch_async(&self, _method: usize, _request: Request, _answer: Encoder) -> Dispatched<'static> {
        no_such_method()
    }
}

/// Says that an interface has no async method of that number.
#[doc(hidden)]
pub fn no_such_method<'a>() -> Dispatched<'a> {
    Box::pin(ready(Err(Fault::UnknownMethod)))
}

/// What an async method was called with; its arguments borrow from it for as long as it runs.
#[doc(hidden)]
#[derive(Debug)]
pub struct Request {
    payload: Buffer,
    /// A map comes before the arguments.
    meta: bool,
}

impl Request {
    pub(crate) fn new(payload: Buffer, meta: bool) -> Self {
        Self { payload, meta }
    }

    /// Where the arguments begin.
    ///
    /// # Errors
    /// When what comes before them cannot be read.
    pub fn arguments(&self) -> Result<Decoder<'_>, Fault> {
        let mut arguments = Decoder::new(&self.payload);
        if self.meta {
            arguments.skip().map_err(Fault::Arguments)?;
        }
        Ok(arguments)
    }
}

/// Runs what routes one method, in a stack frame of its own.
///
/// # Errors
/// Those of `route`.
#[doc(hidden)]
pub fn arm(route: impl FnOnce() -> Result<Verdict, Fault>) -> Result<Verdict, Fault> {
    route()
}

/// Which side of the method's `Result` an answer holds.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The answer holds the value of `Ok`.
    Value,
    /// The answer holds the value of `Err`.
    Error,
}

/// Why a request had no answer from the method itself.
#[doc(hidden)]
#[derive(Debug)]
pub enum Fault {
    /// The interface has no method of that number.
    UnknownMethod,
    /// The arguments are not what the method takes.
    Arguments(DecodeError),
    /// What the method returned cannot be sent.
    Answer(EncodeError),
}

impl Fault {
    /// Turns the error met while decoding an argument into a fault that names it.
    pub fn argument(name: &str) -> impl FnOnce(DecodeError) -> Self {
        move |error| Self::Arguments(error.in_argument(name))
    }
}

/// An interface as the attribute saw it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Descriptor {
    /// The name it goes by on the wire.
    pub name: &'static str,
    /// Its semantic version, `MAJOR.MINOR.PATCH`, where one was given.
    pub version: Option<&'static str>,
    /// Its methods; a method's place is its number.
    pub methods: &'static [Method],
}

/// One method of an interface.
#[doc(hidden)]
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub struct Method {
    /// The name it goes by on the wire.
    pub name: &'static str,
    /// How long a call may take, unless the caller says otherwise.
    pub timeout: Timeout,
    /// Whether the trait has a default body for plugins that lack the method.
    pub optional: bool,
    /// Whether a call may be repeated in the next process if this one dies during it.
    pub idempotent: bool,
    /// Whether it is an `async fn`.
    pub is_async: bool,
    /// Whether nothing answers it.
    pub is_oneway: bool,
}

/// A method's own time limit.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// The launcher's `call_timeout`.
    Inherit,
    /// No limit.
    Unlimited,
    /// This long.
    After(Duration),
}

/// The number of the method called `name`; a compile-time error where there is none.
#[doc(hidden)]
pub const fn method_number(methods: &[Method], name: &str) -> usize {
    let mut number = 0;
    while number < methods.len() {
        if same(methods[number].name.as_bytes(), name.as_bytes()) {
            return number;
        }
        number += 1;
    }
    panic!("no such method")
}

/// A compile-time error where several methods are called `name`: with `cfg`s involved the attribute cannot tell.
#[doc(hidden)]
pub const fn assert_unique(methods: &[Method], name: &str) {
    let mut number = method_number(methods, name) + 1;
    while number < methods.len() {
        let same = same(methods[number].name.as_bytes(), name.as_bytes());
        assert!(
            !same,
            "two methods have the same name on the wire; give one of them another `#[method(name = \"...\")]`"
        );
        number += 1;
    }
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A value that can be served as interface `I`.
///
/// Implemented for every `'static` implementor of the trait behind `I`; it lets
/// [`serve::<dyn Trait>(value)`](crate::serve) infer the type of `value`.
///
/// ```
/// use plugin_core::{Implements, Interface, Plugin};
///
/// /// A plugin for tests.
/// fn fake<I: Interface + ?Sized + 'static>(value: impl Implements<I>) -> Plugin<I> {
///     plugin_core::in_process(value).expect("threads can be started")
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement the plugin interface `{I}`",
    label = "does not implement `{I}`",
    note = "write an `impl` for `{Self}` of the trait that `{I}` names"
)]
pub trait Implements<I: ?Sized + Interface>: Sized {
    /// Wraps the value in the dispatcher that routes requests to it.
    #[doc(hidden)]
    fn into_dispatcher(self) -> Arc<dyn Dispatch>;

    /// Makes the value a shared one of the interface.
    #[doc(hidden)]
    fn into_shared(self) -> Arc<I>;
}

/// The other half of [`Implements`], implemented by the attribute in the trait's own crate, where coherence allows it.
#[doc(hidden)]
pub trait Wraps<T>: Interface {
    /// Wraps `value` in the interface's dispatcher.
    fn wrap(value: T) -> Arc<dyn Dispatch>;

    /// Makes `value` a shared one of the interface.
    fn share(value: T) -> Arc<Self>;
}

#[diagnostic::do_not_recommend]
impl<I: ?Sized + Wraps<T>, T> Implements<I> for T {
    fn into_dispatcher(self) -> Arc<dyn Dispatch> {
        I::wrap(self)
    }

    fn into_shared(self) -> Arc<I> {
        I::share(self)
    }
}
