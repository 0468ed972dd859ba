#![no_implicit_prelude]

use ::plugin_core::plugin_interface;

#[plugin_interface(name = "greeter", version = "1.0")]
pub trait Greeter {
    #[method(timeout = "5s")]
    fn greet(&self, name: &str, bytes: &[u8]) -> ::plugin_core::Result<::std::string::String>;
    fn optional(&self, n: u8) -> ::plugin_core::Result<u8> {
        ::plugin_core::Result::Ok(n)
    }
    fn outside() -> u8
    where
        Self: ::core::marker::Sized;
}

fn main() {}
