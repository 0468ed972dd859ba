//! Which methods a plugin has, and what they go by.

use std::sync::{Arc, Mutex, Weak};

use semver::{Version, VersionReq};

use crate::{
    Error, Result,
    connection::lock,
    host::{Instance, Lease},
    interface::{Descriptor, Method},
    protocol::message::InterfaceEntry,
};

/// What the methods go by in the runs of a plugin.
pub(super) struct Bindings {
    /// In the run that there was first, which mostly is the only one: every call looks here, without a lock.
    first: Binding,
    /// In the last that was called since.
    last: Mutex<Option<Binding>>,
}

impl Bindings {
    pub(super) fn new(first: Binding) -> Self {
        Self { first, last: Mutex::default() }
    }

    /// What `look` finds in the binding of `instance`.
    pub(super) fn of<R>(
        &self,
        instance: &Arc<Instance>,
        descriptor: &Descriptor,
        plugin: &str,
        look: impl FnOnce(&Binding) -> R,
    ) -> Result<R> {
        if self.first.is_of(instance) {
            return Ok(look(&self.first));
        }
        let mut last = lock(&self.last);
        if !last.as_ref().is_some_and(|last| last.is_of(instance)) {
            *last = None;
        }
        let binding = match &mut *last {
            Some(binding) => binding,
            none => none.insert(Binding::new(instance, descriptor, plugin)?),
        };
        Ok(look(binding))
    }

    /// The right to call the run that there was first, where that takes no lock: see [`Instance::lease_openly`].
    pub(super) fn lease(&self) -> Option<Lease> {
        self.first.instance.upgrade().and_then(Instance::lease_openly)
    }

    /// What `look` finds in the binding of the last run that was called.
    pub(super) fn of_last<R>(&self, look: impl FnOnce(&Binding) -> R) -> R {
        look(lock(&self.last).as_ref().unwrap_or(&self.first))
    }
}

/// What the methods go by in one run of the plugin. The next run may be of another build.
pub(super) struct Binding {
    instance: Weak<Instance>,
    pub(super) target: u32,
    /// The plugin's own number for each method of the descriptor, where it has the method.
    pub(super) numbers: Arc<[Option<u16>]>,
}

impl Binding {
    pub(super) fn new(instance: &Arc<Instance>, descriptor: &Descriptor, plugin: &str) -> Result<Self> {
        let (target, entry) = instance.find(descriptor)?;
        check_version(plugin, descriptor, entry)?;
        let numbers = number_methods(plugin, descriptor, entry)?;
        Ok(Self { instance: Arc::downgrade(instance), target, numbers })
    }

    fn is_of(&self, instance: &Arc<Instance>) -> bool {
        // Its memory is nobody else's as long as this refers to it.
        self.instance.as_ptr() == Arc::as_ptr(instance)
    }
}

/// Two versions go together if the newer is a semver-compatible update of the older; without one, methods alone decide.
pub(crate) fn check_version(plugin: &str, descriptor: &Descriptor, entry: &InterfaceEntry) -> Result<()> {
    let (Some(wanted), Some(offered)) = (descriptor.version, &entry.version) else { return Ok(()) };
    let is_compatible = || {
        let (wanted, offered) = (Version::parse(wanted).ok()?, Version::parse(offered).ok()?);
        let (older, newer) = if wanted < offered { (wanted, offered) } else { (offered, wanted) };
        Some(VersionReq::parse(&format!("^{older}")).ok()?.matches(&newer))
    };
    if is_compatible() == Some(true) {
        return Ok(());
    }
    Err(Error::IncompatibleInterface {
        plugin: plugin.into(),
        interface: descriptor.name.into(),
        wanted: wanted.into(),
        offered: offered.clone(),
    })
}

/// Finds each method by name; only those with a default body may be missing.
pub(crate) fn number_methods(
    plugin: &str,
    descriptor: &Descriptor,
    entry: &InterfaceEntry,
) -> Result<Arc<[Option<u16>]>> {
    let place = |method: &Method| entry.methods.iter().position(|name| name == method.name);
    let numbers = descriptor.methods.iter().map(|method| u16::try_from(place(method)?).ok());
    let numbers: Arc<[Option<u16>]> = numbers.collect();
    let missing =
        descriptor.methods.iter().zip(&*numbers).filter(|(method, number)| number.is_none() && !method.optional);
    let missing: Vec<String> = missing.map(|(method, _)| method.name.into()).collect();
    if missing.is_empty() {
        return Ok(numbers);
    }
    Err(Error::MissingMethods { plugin: plugin.into(), interface: descriptor.name.into(), methods: missing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::Timeout;

    const fn method(name: &'static str, optional: bool) -> Method {
        Method { name, timeout: Timeout::Inherit, optional, idempotent: false, is_async: false, is_oneway: false }
    }

    static DESCRIPTOR: Descriptor =
        Descriptor { name: "Test", version: Some("1.2.0"), methods: &[method("old", false), method("new", true)] };

    fn entry(version: Option<&str>, methods: &[&str]) -> InterfaceEntry {
        let methods = methods.iter().map(ToString::to_string).collect();
        InterfaceEntry { name: "Test".into(), version: version.map(Into::into), methods }
    }

    #[test]
    fn versions_go_together_where_semver_says_so() {
        let check = |offered| check_version("p", &DESCRIPTOR, &entry(offered, &[])).is_ok();
        assert!(check(None) && check(Some("1.2.0")) && check(Some("1.0.0")) && check(Some("1.9.3")));
        assert!(!check(Some("2.0.0")) && !check(Some("0.9.0")) && !check(Some("nonsense")));
    }

    #[test]
    fn methods_are_found_by_name_and_only_optional_ones_may_be_missing() {
        let number = |methods: &[&str]| number_methods("p", &DESCRIPTOR, &entry(None, methods));
        assert_eq!(*number(&["new", "unheard of", "old"]).unwrap(), [Some(2), Some(0)]);
        assert_eq!(*number(&["old"]).unwrap(), [Some(0), None]);
        let error = number(&["new"]).unwrap_err().to_string();
        assert!(error.contains("lacks `old`"), "{error}");
    }
}
