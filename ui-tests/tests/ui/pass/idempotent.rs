//! `idempotent`, alone and among other options.

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Store {
    #[method(idempotent)]
    fn get(&self, key: &str) -> Result<Option<String>>;
    #[method(name = "keys", idempotent, timeout = "5s")]
    fn all_keys(&self) -> Result<Vec<String>>;
    #[method(timeout = "5s")]
    fn append(&self, key: &str) -> Result<()>;
    #[method(idempotent)]
    async fn wait(&self, key: &str) -> Result<()>;
}

fn main() {
    let methods = <dyn Store as plugin_core::Interface>::DESCRIPTOR.methods;
    let idempotent = methods.iter().filter(|method| method.idempotent).map(|method| method.name);
    assert!(idempotent.eq(["get", "keys", "wait"]));
}
