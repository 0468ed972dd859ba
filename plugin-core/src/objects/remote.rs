//! An object that belongs to no call.

use std::{fmt, ops::Deref, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{attach::Attachment, caller::Client, distant::Distant, interfaces, object::Object};
use crate::{
    Implements, Interface,
    codec::along,
    connection::{Brought, Export},
};

/// An object behind a plugin interface that can be passed to the other process, and outlives the call it is passed in.
///
/// Make one with [`Remote::new`], and send it as an argument, in a result, or anywhere inside of either: in fields, in
/// collections, as an item of a stream; from host to plugin or back. Who receives it uses it as `&dyn Trait`: every call goes to
/// the process where the object lives, and fails like any call where that process or the connection is gone. Back home it is the
/// original, not a proxy of a proxy.
///
/// Clones share the object. It is dropped when the last handle is, in whichever process that was; the process where it lives
/// hears of that at once. It lives no longer than its process: a plugin that is started again has none of those of the run before, and calls
/// on them fail as that run has ended ([`Remote::is_gone`]). A handle in a host keeps the plugin running in which its object lives. Each process may hold 65,536 objects
/// of the other; [`Info`](crate::Info) counts them.
///
/// An object of a host that itself holds a `Remote` or a handle of the plugin which holds it is a circle: neither is dropped before one
/// of them is made to let go, or the plugin is stopped.
///
/// It cannot be passed on to a third process: send a `Remote` of a value that calls it, such as
/// `Remote::from(Remote::into_arc(remote))`. It cannot be serialised outside of a
/// call either.
///
/// Methods of the object run like those of a served value, several at once, in the plugin and in the host. Methods called
/// while the other side waits in a call that this one has made of it run on the thread that waits.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use plugin_core::{Remote, Result, plugin_interface};
///
/// #[plugin_interface]
/// pub trait Counter {
///     fn add(&self, count: u32) -> Result<u32>;
/// }
///
/// #[plugin_interface]
/// pub trait Counters {
///     fn open(&self, first: u32) -> Result<Remote<dyn Counter>>;
/// }
///
/// struct From(AtomicU32);
///
/// impl Counter for From {
///     fn add(&self, count: u32) -> Result<u32> {
///         Ok(self.0.fetch_add(count, Ordering::Relaxed) + count)
///     }
/// }
///
/// struct Plugin;
///
/// impl Counters for Plugin {
///     fn open(&self, first: u32) -> Result<Remote<dyn Counter>> {
///         Ok(Remote::new(From(AtomicU32::new(first))))
///     }
/// }
///
/// let counters = plugin_core::in_process::<dyn Counters>(Plugin)?;
/// let counter = counters.open(5)?;
/// assert_eq!(counter.add(2)?, 7);
/// assert_eq!(counter.add(3)?, 10);
/// # Ok::<(), plugin_core::Error>(())
/// ```
pub struct Remote<I: ?Sized> {
    value: Arc<I>,
    home: Home,
}

/// Where the object lives.
#[derive(Clone)]
enum Home {
    /// In this process.
    Here(Arc<Object>),
    /// In the other; the value is a proxy.
    There(Arc<Distant>),
}

impl<I: Interface + ?Sized + 'static> Remote<I> {
    /// Makes `value` an object that the other process can call. Nothing is sent yet.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Clock { fn now(&self) -> plugin_core::Result<u64>; }
    /// use plugin_core::Remote;
    ///
    /// struct Stopped;
    ///
    /// impl Clock for Stopped {
    ///     fn now(&self) -> plugin_core::Result<u64> {
    ///         Ok(12)
    ///     }
    /// }
    ///
    /// let clock = Remote::<dyn Clock>::new(Stopped);
    /// assert_eq!(clock.now()?, 12);
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn new(value: impl Implements<I>) -> Self {
        Self::from(value.into_shared())
    }

    /// The object as a shared value of its trait. Where it lives in the other process, it lives as long as this.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Clock { fn now(&self) -> plugin_core::Result<u64>; }
    /// # struct Stopped;
    /// # impl Clock for Stopped { fn now(&self) -> plugin_core::Result<u64> { Ok(12) } }
    /// use std::sync::Arc;
    /// use plugin_core::Remote;
    ///
    /// let clock: Arc<dyn Clock> = Remote::into_arc(Remote::<dyn Clock>::new(Stopped));
    /// assert_eq!(clock.now()?, 12);
    /// # Ok::<(), plugin_core::Error>(())
    /// ```
    pub fn into_arc(remote: Self) -> Arc<I> {
        remote.value
    }

    /// Whether the object lives in this process.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Clock { fn now(&self) -> plugin_core::Result<u64>; }
    /// # struct Stopped;
    /// # impl Clock for Stopped { fn now(&self) -> plugin_core::Result<u64> { Ok(12) } }
    /// use plugin_core::Remote;
    ///
    /// assert!(Remote::is_here(&Remote::<dyn Clock>::new(Stopped)));
    /// ```
    pub fn is_here(remote: &Self) -> bool {
        matches!(remote.home, Home::Here(_))
    }
}

impl<I: ?Sized> Remote<I> {
    /// Whether the process where the object lives has ended, or the connection with it for good: every call fails from then on, also when
    /// the plugin has been started again. What it gave before is to be asked for anew.
    ///
    /// ```
    /// # #[plugin_core::plugin_interface]
    /// # pub trait Clock { fn now(&self) -> plugin_core::Result<u64>; }
    /// # struct Stopped;
    /// # impl Clock for Stopped { fn now(&self) -> plugin_core::Result<u64> { Ok(12) } }
    /// use plugin_core::Remote;
    ///
    /// assert!(!Remote::is_gone(&Remote::<dyn Clock>::new(Stopped)), "what lives here lives");
    /// ```
    pub fn is_gone(remote: &Self) -> bool {
        match &remote.home {
            Home::Here(_) => false,
            Home::There(distant) => distant.import().is_some_and(|import| import.connection().end().is_some()),
        }
    }
}

impl<I: Interface + ?Sized + 'static> From<Arc<I>> for Remote<I> {
    /// As [`Remote::new`], of a value that is shared already.
    fn from(value: Arc<I>) -> Self {
        let home = Home::Here(Object::new(&value));
        Self { value, home }
    }
}

impl<I: ?Sized> Clone for Remote<I> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), home: self.home.clone() }
    }
}

impl<I: ?Sized> Deref for Remote<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.value
    }
}

impl<I: ?Sized> fmt::Debug for Remote<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut remote = f.debug_struct("Remote");
        match &self.home {
            Home::Here(object) => remote.field("interface", &object.dispatcher.descriptor().name),
            Home::There(distant) => remote.field("interface", &distant.interface()).field("lives_in", &distant.peer()),
        };
        remote.finish_non_exhaustive()
    }
}

/// What stands for an object in a message: its target, and the number of its interface, or nothing if it comes back home.
type Reference = (u32, Option<u32>);

/// Whatever `I` is: nobody can have made one of what is no interface, and one error in a signature is enough.
impl<I: ?Sized> Serialize for Remote<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (reference, attachment): (Reference, _) = match &self.home {
            Home::Here(object) => {
                object.settle();
                let descriptor = object.dispatcher.descriptor();
                let export = Arc::clone(object) as Arc<dyn Export>;
                ((object.target(), Some(interfaces::number(descriptor))), Attachment::Given(export, Some(descriptor)))
            }
            Home::There(distant) => {
                let import = distant.import().ok_or_else(|| ser::Error::custom("what is lent cannot be passed on"))?;
                ((import.target(), None), Attachment::Returned(Arc::clone(import)))
            }
        };
        if !along::put(Arc::new(attachment)) {
            return Err(ser::Error::custom("a `Remote` can be serialised as a part of a plugin call only"));
        }
        reference.serialize(serializer)
    }
}

impl<'de, I: Interface + ?Sized + 'static> Deserialize<'de> for Remote<I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (target, interface) = Reference::deserialize(deserializer)?;
        let brought = along::came::<Brought>();
        let brought = brought
            .ok_or_else(|| de::Error::custom("a `Remote` can be deserialised as a part of a plugin call only"))?;
        let name = I::DESCRIPTOR.name;
        let Some(interface) = interface else {
            let object = brought.returned(target).and_then(|export| export.into_any().downcast::<Object>().ok());
            let missing = || de::Error::custom(format!("expected an object of interface `{name}` that is held here"));
            let object = object.ok_or_else(missing)?;
            let found = object.dispatcher.descriptor().name;
            let value = object.value::<I>().map(Arc::clone);
            let value = value.ok_or_else(|| {
                de::Error::custom(format!("expected an object of interface `{name}`, got one of `{found}`"))
            })?;
            return Ok(Self { value, home: Home::Here(object) });
        };
        let import = brought.import(target);
        let import = import.ok_or_else(|| de::Error::custom("it refers to an object that it did not bring"))?;
        let distant = Arc::new(Distant::held(import, I::DESCRIPTOR, interface).map_err(de::Error::custom)?);
        let value = I::proxy(Client::distant(Arc::clone(&distant)));
        Ok(Self { value, home: Home::There(distant) })
    }
}
