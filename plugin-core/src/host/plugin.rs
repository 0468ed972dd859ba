//! The typed handle to one interface of a plugin.

use std::{fmt, ops::Deref, sync::Arc};

use super::Process;

/// A handle to interface `I` of a plugin, used as `&dyn Trait`.
///
/// `Plugin<dyn Greeter>` dereferences to `dyn Greeter`, so its methods are the trait's. What concerns the process is
/// reached by associated functions, which cannot hide any of them: [`Plugin::process`], [`Plugin::into_arc`].
///
/// Cheap to clone. The plugin is stopped when the last handle is dropped, `Arc`s made of one included.
///
/// ```
/// # #[plugin_core::plugin_interface]
/// # pub trait Greeter { fn greet(&self, name: &str) -> plugin_core::Result<String>; }
/// # struct English;
/// # impl Greeter for English {
/// #     fn greet(&self, name: &str) -> plugin_core::Result<String> { Ok(format!("Hello, {name}!")) }
/// # }
/// fn welcome(greeter: &dyn Greeter) -> plugin_core::Result<String> {
///     greeter.greet("Ada")
/// }
///
/// let plugin = plugin_core::in_process::<dyn Greeter>(English)?;
/// assert_eq!(welcome(&*plugin)?, "Hello, Ada!");
/// assert_eq!(welcome(&English)?, "Hello, Ada!");
/// # Ok::<(), plugin_core::Error>(())
/// ```
pub struct Plugin<I: ?Sized> {
    proxy: Arc<I>,
    process: Process,
}

impl<I: ?Sized> Plugin<I> {
    pub(super) fn new(proxy: Arc<I>, process: Process) -> Self {
        Self { proxy, process }
    }

    /// The process behind the plugin. See [`Process`] for an example.
    pub fn process(plugin: &Self) -> &Process {
        &plugin.process
    }

    /// The plugin as a shared value of its trait, to be mixed with implementations in this process.
    ///
    /// The plugin is kept running by it.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Greeter { fn greet(&self, name: &str) -> plugin_core::Result<String>; }
    /// # struct English;
    /// # impl Greeter for English {
    /// #     fn greet(&self, name: &str) -> plugin_core::Result<String> { Ok(format!("Hello, {name}!")) }
    /// # }
    /// use std::sync::Arc;
    /// use plugin_core::Plugin;
    ///
    /// let plugin = plugin_core::in_process::<dyn Greeter>(English)?;
    /// let greeters: Vec<Arc<dyn Greeter>> = vec![Arc::new(English), Plugin::into_arc(plugin)];
    /// for greeter in greeters {
    ///     assert_eq!(greeter.greet("Ada")?, "Hello, Ada!");
    /// }
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn into_arc(plugin: Self) -> Arc<I> {
        plugin.proxy
    }
}

impl<I: ?Sized> Clone for Plugin<I> {
    fn clone(&self) -> Self {
        Self { proxy: Arc::clone(&self.proxy), process: self.process.clone() }
    }
}

impl<I: ?Sized> Deref for Plugin<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.proxy
    }
}

impl<I: ?Sized> From<Plugin<I>> for Arc<I> {
    fn from(plugin: Plugin<I>) -> Self {
        Plugin::into_arc(plugin)
    }
}

impl<I: ?Sized> fmt::Debug for Plugin<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.process).finish()
    }
}
