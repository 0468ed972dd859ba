//! Modules, types, functions and traits of the user with the names that generated code relies on.

#![allow(dead_code, non_camel_case_types, non_snake_case, unused_imports, unused_macros)]

mod core {}
mod std {}
mod serde {}
mod plugin_core {}
mod private {}

pub struct Result;
pub struct Option;
pub struct Send;
pub struct Sync;
pub struct Sized;
pub struct Arc;
pub struct Encode;
pub struct Decode;
pub struct Decoder;
pub struct Client;
pub struct S;
pub struct Box;
pub struct Pin;
pub trait Future {}
pub struct Prepared;
pub struct Request;
pub struct str;
pub struct usize;
pub struct bool;
pub fn Ok() {}
pub fn Err() {}
pub fn Some() {}
pub fn None() {}
macro_rules! panic {
    () => {};
}

type Outcome<T> = ::plugin_core::Result<T>;

#[::plugin_core::plugin_interface(version = "1.0")]
pub trait Greeter {
    #[method(timeout = "1s")]
    fn greet(&self, name: u8) -> Outcome<u8>;
    fn optional(&self) -> Outcome<()> {
        Outcome::Ok(())
    }
    async fn wait(&self, name: &::core::primitive::str) -> Outcome<u8>;
    async fn optional_wait(&self, _: ()) -> Outcome<u8> {
        Outcome::Ok(1)
    }
    fn outside() -> u8
    where
        Self: ::core::marker::Sized;
}

#[::plugin_core::plugin_interface]
impl Greeter for Box {
    fn greet(&self, name: u8) -> Outcome<u8> {
        Outcome::Ok(name)
    }
    async fn wait(&self, __returned: &::core::primitive::str) -> Outcome<u8> {
        let Option: Option = Option;
        self.greet(__returned.len() as _)
    }
    fn outside() -> u8 {
        1
    }
}

fn main() {}
