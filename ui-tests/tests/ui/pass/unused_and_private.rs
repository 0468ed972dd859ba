//! An interface nobody uses yet says no more than any unused trait.

#![deny(warnings)]
#![allow(dead_code)]

mod inner {
    #[plugin_core::plugin_interface]
    trait Private {
        fn greet(&self) -> plugin_core::Result<()> {
            Ok(())
        }
        async fn wait(&self, name: &str) -> plugin_core::Result<()>;
    }

    #[plugin_core::plugin_interface]
    pub(super) trait Restricted {
        fn greet(&self) -> plugin_core::Result<()>;
    }
}

fn main() {
    assert_eq!(inner::RestrictedMethods::GREET, "greet");
}
