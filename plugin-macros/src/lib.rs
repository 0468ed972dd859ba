//! The attribute of [plugin-core](https://docs.rs/plugin-core), which re-exports it. Depend on that crate, not on this one.

mod args;
mod attributes;
mod callbacks;
mod check;
mod errors;
mod expand;
mod model;
mod parse;
mod types;

use proc_macro::TokenStream;

/// Turns a trait into a plugin interface: a program can serve its implementations, another can use them as `&dyn Trait`.
///
/// ```ignore
/// #[plugin_core::plugin_interface(version = "1.0")]
/// pub trait Greeter {
///     /// Greets `name`.
///     fn greet(&self, name: &str) -> Result<String, GreetError>;
///
///     /// Adds, within five seconds.
///     #[method(timeout = "5s")]
///     fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64>;
///
///     /// Answered by the host itself where the plugin was built before this method existed.
///     fn greet_twice(&self, name: &str) -> Result<String, GreetError> {
///         Ok(self.greet(name)? + &self.greet(name)?)
///     }
/// }
/// ```
///
/// The trait stays as written, so implementing it takes no attribute and no import, as long as it has no `async fn`: see
/// [below](#async-methods). Only `Send + Sync` are added as supertraits, and default bodies move into a hidden helper, where
/// the host finds them too.
///
/// # What is generated
///
/// Beside `trait Greeter`, with its visibility and under its `cfg`s; what belongs to one method also under that method's
/// `cfg`s:
///
/// | Item | What it is |
/// |---|---|
/// | `GreeterProxy` | Implements `Greeter` by asking a plugin. It is what `connect` returns, behind `dyn Greeter`. |
/// | `GreeterDispatcher<S>` | Routes a host's requests to an `S: Greeter`. Made by `GreeterDispatcher::new(value)`. |
/// | `GreeterMethods` | The names on the wire: `GreeterMethods::GREET` is `"greet"`, `GreeterMethods::NAMES` holds all. |
/// | `impl Interface for dyn Greeter` | Lets `connect`, `serve` and the others name the interface as `dyn Greeter`. |
///
/// Names that begin with two underscores are nobody's business, and may change in any release.
///
/// # Options
///
/// `#[plugin_interface(name = "...", version = "...", crate = ...)]`
///
/// | Option | Default | Meaning |
/// |---|---|---|
/// | `name = "greeter"` | the trait's name | What host and plugin call the interface. Both must agree. |
/// | `version = "1.2"` | none | `MAJOR.MINOR` or `MAJOR.MINOR.PATCH`. Host and plugin must be compatible as semver defines it. |
/// | `crate = some::path` | `::plugin_core` | Where plugin-core is, if it is renamed or re-exported. A string will do, too. |
///
/// `#[method(name = "...", timeout = "...", idempotent, oneway)]`
///
/// | Option | Default | Meaning |
/// |---|---|---|
/// | `name = "greet"` | the method's name | What the method is called on the wire: keep it when you rename the method. |
/// | `timeout = "5s"` | the launcher's `call_timeout` | How long a call may take: `"250ms"`, `"5s"`, `"2m"`, or `"none"` for no limit. |
/// | `idempotent` | not repeated | Running it twice does no more than once: if the plugin's process dies during a call, the call is repeated in the next process, within its deadline and the restart budget. |
/// | `oneway` | the call waits for its answer | The call returns once it is queued, and nothing answers it: see below. |
///
/// # Arguments
///
/// Everything that serde can serialise and deserialise. By value or by reference makes no difference on the wire: what is
/// written `&T` is encoded without a clone, and the plugin lends the method what it has decoded.
///
/// | Written | What the plugin's method gets |
/// |---|---|
/// | `T` | a value |
/// | `&str`, `&[u8]`, `&Path` | a borrow from the received message, without a copy, also behind an alias of `str` and so on |
/// | `Doc<'_>`, `(u8, &str)`, `Cow<'_, [u8]>` | a value that borrows from the message where serde lets it (not for `Cow<str>`) |
/// | `&T`, `&[T]` | a borrow of a decoded `T` or `Vec<T>` |
/// | `Option<&T>` | the same for what may be missing |
///
/// Byte strings travel as such, not as arrays of integers: `Vec<u8>`, `&[u8]`, `[u8; N]`, `Box<[u8]>`, `Cow<[u8]>` and
/// `Option`s of them. This goes by type, so an alias changes nothing. Inside a type of your own, and inside a `Vec` or a
/// tuple, serde decides: see the crate `serde_bytes`.
///
/// # Results
///
/// `Result<T, E>`, under whatever name, where serde can serialise and deserialise `T` and `E`, and `E` implements
/// `From<plugin_core::Error>`: a call to another process can fail, and `E` is how the caller learns of it.
/// `plugin_core::Result<T>` will do. Results are owned: there is no message left to borrow from. Byte strings travel as
/// such here, too.
///
/// # Objects and streams
///
/// A `plugin_core::Remote<dyn Other>`, where `Other` is a plugin interface, is an object that outlives the call. It may be an argument, a
/// result, or a part of either, and is called in the process where it lives. So may a `plugin_core::Stream<T>`, values that are
/// produced as they are read, and a `plugin_core::ByteStream`.
///
/// # Async methods
///
/// Methods may be `async fn`, beside others that are not. The same attribute, without options, goes on each `impl` then:
///
/// ```ignore
/// #[plugin_core::plugin_interface]
/// pub trait Fetcher {
///     async fn fetch(&self, url: &str) -> plugin_core::Result<Vec<u8>>;
///     fn fetched(&self) -> plugin_core::Result<u64>;
/// }
///
/// #[plugin_core::plugin_interface]
/// impl Fetcher for Http {
///     async fn fetch(&self, url: &str) -> plugin_core::Result<Vec<u8>> {
///         self.client.get(url).await.map_err(plugin_core::Error::custom)
///     }
///
///     fn fetched(&self) -> plugin_core::Result<u64> {
///         Ok(self.count.load(Ordering::Relaxed))
///     }
/// }
/// ```
///
/// A `dyn Trait` has no `async fn`, so each becomes, in the trait and in the `impl`, a method that returns a boxed future:
///
/// ```ignore
/// fn fetch<'plugin_interface>(
///     &'plugin_interface self,
///     url: &'plugin_interface str,
/// ) -> Pin<Box<dyn Future<Output = plugin_core::Result<Vec<u8>>> + Send + 'plugin_interface>>;
/// ```
///
/// This is also what to write where the attribute cannot be used, under any name of the lifetime. An `impl` without any
/// `async fn` may have the attribute, too, and does not change by it.
///
/// - **`async fn` here, `async fn` there.** An `impl` that lacks the attribute is told that its method has an incompatible
///   type: "expected `Pin<Box<..>>`, found future", where what was expected has lifetimes named `'plugin_interface`; or that its
///   lifetimes do not match, for want of bounds from `#[plugin_interface]`.
/// - **`Send`.** Futures may move between threads. So what a body holds across an `.await` must be `Send`, and so must the
///   arguments, which it holds to its end; what it takes as `&T` must be `Sync`.
/// - **Borrowed arguments** and `&self` may be used across each `.await`: the future owns the message from which they borrow.
/// - **Lifetimes inside types** must be written, as in any `async fn`: `Doc<'_>`, `Cow<'_, [u8]>`. A method that has them, or
///   that names two lifetimes or more, declares them in the `impl` as the trait does.
/// - **What a proxy does.** The arguments are encoded and the time begins when the method is called; the call is made when the
///   future is polled. A future that is dropped before has sent nothing.
/// - **Outside the interface**, a method with `where Self: Sized` stays a plain `async fn`. So that the `impl` knows, repeat
///   the clause there, unless the method is generic.
/// - `#[method(..)]`, default bodies and `#[cfg]` are what they are for other methods. Attributes of other crates on a method
///   of the `impl`, such as `#[tracing::instrument]`, find the boxed future.
///
/// # Oneway methods
///
/// A call of a method with `#[method(oneway)]` returns `Ok(())` as soon as it is queued to be sent. Its return type is a
/// `Result` of `()`. For what is told often and where nobody waits for the outcome: progress, log lines, samples.
///
/// ```ignore
/// #[plugin_core::plugin_interface]
/// pub trait Sampler {
///     #[method(oneway)]
///     fn sample(&self, value: f64) -> plugin_core::Result<()>;
///
///     fn mean(&self) -> plugin_core::Result<f64>;
/// }
/// ```
///
/// - **Order.** The plugin runs the oneway calls of a connection one at a time, in the order in which they were made. Other
///   calls do not wait for them, so one made later may run earlier.
/// - **Room.** At most 1,024 calls, and one call more than 1 MiB of arguments, are under way; a caller beyond that waits until
///   the plugin has run some. That is all that `timeout` (or `call_timeout`, or `within`) bounds: where it passes, the call
///   fails with `Error::Timeout`, and was not sent. A call that was sent has no deadline in the plugin.
/// - **Errors.** The caller is told only if the call cannot be queued: its arguments are too large, there was no room in time,
///   or the plugin is gone and not to be started again. What the method returns as `Err` is told to the plugin's `tracing`
///   subscriber as a warning and dropped, and so is a panic (its message is on the plugin's standard error, too); the next
///   call runs.
/// - **At most once.** A cut connection loses no call and repeats none. If the plugin's process dies, the calls that were
///   queued and had not run are lost; the next goes to the next process. A plugin that is stopped runs what it was sent
///   before, as far as 500 ms suffice.
///
/// # Callbacks
///
/// A method may be lent functions, written `&mut dyn FnMut(..)`, and objects, written `&dyn Other` where `Other` is a plugin
/// interface. They are arguments of their own, not parts of others. While the method runs, the plugin calls them as if they were
/// its own, and they run on the thread that called the method.
///
/// ```ignore
/// #[plugin_core::plugin_interface]
/// pub trait Search {
///     fn search(&self, pattern: &str, progress: &mut dyn FnMut(u64), sink: &dyn Sink) -> plugin_core::Result<u64>;
/// }
///
/// let mut files = 0;
/// search.search("fn main", &mut |count| files = count, &screen)?;
/// ```
///
/// - **Borrowing.** What is lent may borrow from the caller's stack. A function need not be `Send`. It takes what methods take,
///   but for callbacks.
/// - **Results.** A function returns a `Result`, as a method does, or nothing. What it returns, its error and its panic are the
///   outcome of the plugin's call of it; the method goes on as it likes.
/// - **Nothing.** A function without a result is not waited for: calls of it are run in order, at most 64 are under way, and all
///   have run when the method returns. If one panics, that is logged by the host. So it is with the oneway methods of an object, be
///   they async: nothing else begins before such a one has ended.
/// - **Calls within.** A callback may call the plugin, whose methods then run on the thread that waits for the callback, and may
///   call back in turn. At most 256 calls wait for each other; the next fails with `Error::TooDeep`.
/// - **Threads.** The plugin may call an object from several threads; the calls of sync methods are run one after the other.
/// - **Async.** In an `async fn` a function is written `&mut (dyn FnMut(..) + Send)`. It runs where the caller's future is polled. In
///   the plugin, calling it blocks the thread until it has answered, unless it has no result.
/// - **Async methods** of an object that is lent run inside of the caller's future, which polls them beside each other: the plugin may
///   await many at once, and blocks no thread. Those that the plugin gives up, or that have not ended when the call does, are dropped
///   where they await; the plugin's call of such a one fails. Where a sync method is lent the object, the thread that waits
///   runs them, one after the other.
/// - **Errors** name a function by its method and its argument: `search(progress)`.
/// - **Time.** A callback has the time that its method has left, or what `#[method(timeout)]` says. Once the method's caller is gone,
///   calling back fails.
///
/// # Default bodies
///
/// A method with a default body is optional: where a plugin was built before the method existed, the host runs the body
/// itself, and what the body calls goes to the plugin. A plugin that has the method but does not override it runs the body
/// on its side.
///
/// # Methods outside the interface
///
/// A method with `where Self: Sized` is left alone: any signature will do, and no plugin is asked. If it has no default
/// body, the proxy has one that panics.
///
/// # What is refused
///
/// All mistakes of a trait are reported at once, each at its place.
///
/// | Refused | Why, and what to write instead |
/// |---|---|
/// | `&mut self`, `self`, `self: Arc<Self>` | A plugin serves many calls at once. Take `&self`; use a `Mutex` or an atomic. |
/// | no receiver | There is nobody to ask. Add `&self`, or `where Self: Sized`. |
/// | type and const parameters, `impl Trait` | Both processes must know what is sent. Write a concrete type. Lifetimes are fine. |
/// | generic traits | Each interface has one name on the wire. Write a trait for each type. |
/// | associated types and constants | `dyn Trait` has none. Name a type, or write a method. |
/// | supertraits but `Send`, `Sync`, `'static` | A proxy could not implement them. Move their methods into the trait. |
/// | `Self` in a signature | It is a different type on each side. Name a concrete one. |
/// | `&mut T` | Another process cannot change the caller's value. Return the new one. |
/// | `&Stream<T>`, `&[Stream<T>]`, `&ByteStream` | Who borrows a stream cannot read it. Take it by value. |
/// | `&[u8]` inside another type | Serde sends it as an array, and cannot borrow it back. Write `Vec<u8>` or `&serde_bytes::Bytes`. |
/// | `&'static T` as an argument | What is received lives as long as the call. Leave out `'static`. |
/// | a destructured argument | Error messages name the argument. Name it, and take it apart in the body. |
/// | `cfg` on an argument | Both processes must agree on the arguments. Put it on the method. |
/// | a return that is no `Result`, or borrows | A remote call can fail, and what it returns comes from elsewhere. |
/// | `Option<Option<T>>`, `Option<()>` | `Some(None)` and `Some(())` would arrive as `None`: the format has one `nil`. |
/// | two methods of one name or constant, a method `names` | Rename the method; `#[method(name = "...")]` keeps its name on the wire. |
/// | `const`, `unsafe`, `extern`, variadic methods, unsafe traits, macros in the trait | They mean nothing across processes, or hide from the attribute. |
/// | `impl FnMut`, `&dyn Fn`, `Box<dyn FnMut>`, `fn(..)`, `Box<dyn Other>`, callbacks in oneway methods | See "Callbacks". |
/// | options on an `impl` | Both sides must see them. Put them on the trait. |
///
/// An `Option<Option<T>>` behind an alias or in a field of a type cannot be seen here, and loses its inner `None` just the
/// same.
#[proc_macro_attribute]
pub fn plugin_interface(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::plugin_interface(options.into(), &item.into()).into()
}
