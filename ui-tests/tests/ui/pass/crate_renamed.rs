//! The runtime under other names: the option takes any path, bare or as a string.

mod facade {
    pub use plugin_core as engine;
}

extern crate plugin_core as renamed;

#[facade::engine::plugin_interface(crate = renamed)]
pub trait ByName {
    fn greet(&self, name: &str) -> renamed::Result<String>;
}

#[facade::engine::plugin_interface(crate = crate::facade::engine)]
pub trait ByPath {
    fn greet(&self, name: &str) -> renamed::Result<String>;
}

#[facade::engine::plugin_interface(crate = "facade::engine", name = "string")]
pub trait ByString {
    fn greet(&self, name: &str) -> renamed::Result<String>;
}

mod inner {
    #[plugin_core::plugin_interface(crate = super::facade::engine)]
    pub trait FromSuper {
        fn greet(&self, name: &str) -> plugin_core::Result<String> {
            Ok(name.into())
        }
        async fn wait(&self, name: &str) -> plugin_core::Result<String>;
    }

    use super::facade::engine::plugin_interface as interface;

    #[interface]
    impl FromSuper for () {
        async fn wait(&self, name: &str) -> plugin_core::Result<String> {
            Ok(name.into())
        }
    }
}

fn main() {
    assert_eq!(inner::FromSuperMethods::GREET, "greet");
}
