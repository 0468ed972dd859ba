#![allow(non_snake_case)]
//! Arguments named like the locals of generated code, and arguments without a name.

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Names {
    fn locals(&self, __to: u8, __from: u8, __type: u8, __value: u8, __answer: u8, __arguments: &[u8]) -> Result<u8>;
    fn numbers(&self, __argument0: u8, __argument1: &str, _: u8, _: &str, __method: u8, __METHOD_0: u8) -> Result<u8> {
        let _ = (__argument1, __method, __METHOD_0);
        Ok(__argument0)
    }
    fn unused(&self, _: u8, _x: u8, _: u8) -> Result<()>;
    fn generated(&self, __client: u8, __implementor: u8, client: u8, name: u8) -> Result<()>;
}

fn main() {}
