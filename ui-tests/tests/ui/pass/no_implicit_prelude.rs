#![no_implicit_prelude]

use ::plugin_core::plugin_interface;

#[plugin_interface(name = "greeter", version = "1.0")]
pub trait Greeter {
    #[method(timeout = "5s")]
    fn greet(&self, name: &str, bytes: &[u8]) -> ::plugin_core::Result<::std::string::String>;
    fn optional(&self, n: u8) -> ::plugin_core::Result<u8> {
        ::plugin_core::Result::Ok(n)
    }
    async fn wait(&self, name: &str, maybe: ::std::option::Option<&str>) -> ::plugin_core::Result<u8>;
    #[method(oneway)]
    async fn note(&self, mut _n: u8) -> ::plugin_core::Result<()> {
        ::plugin_core::Result::Ok(())
    }
    fn outside() -> u8
    where
        Self: ::core::marker::Sized;
}

pub struct English;

#[plugin_interface]
impl Greeter for English {
    fn greet(&self, _: &str, _: &[u8]) -> ::plugin_core::Result<::std::string::String> {
        ::plugin_core::Result::Ok(::std::string::String::new())
    }
    async fn wait(&self, name: &str, _: ::std::option::Option<&str>) -> ::plugin_core::Result<u8> {
        if name.is_empty() {
            return ::plugin_core::Result::Ok(1);
        }
        ::plugin_core::Result::Ok(2)
    }
    fn outside() -> u8 {
        1
    }
}

fn main() {}
