use plugin_core::plugin_interface;

#[plugin_interface]
pub trait Greeter {
    #[method(timeout = "5s")]
    fn new() -> Self
    where
        Self: Sized;
}

fn main() {}
