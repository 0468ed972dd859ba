//! Default bodies call methods, other defaults and helpers, with every kind of argument.

use std::{collections::HashMap, path::Path};

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, name: &str) -> Result<String>;
    fn greet_all(&self, names: &[&str]) -> Result<Vec<String>> {
        fn helper(greeter: &(impl Greeter + ?Sized), name: &str) -> Result<String> {
            greeter.greet(name)
        }
        names.iter().map(|name| helper(self, name)).collect()
    }
    fn greet_first(&self, names: &[&str]) -> Result<Option<String>> {
        Ok(Self::greet_all(self, names)?.into_iter().next())
    }
    fn kinds(&self, mut a: u8, _b: u8, _: u8, c: Option<&str>, d: &Path, e: HashMap<u8, u8>) -> Result<u8> {
        a += e[&0];
        let _ = (c, d);
        Ok(a)
    }
    fn outside() -> u8
    where
        Self: Sized,
    {
        7
    }
}

struct English;

impl Greeter for English {
    fn greet(&self, name: &str) -> Result<String> {
        Ok(format!("Hello {name}"))
    }
}

fn main() {
    let greeter: &dyn Greeter = &English;
    assert_eq!(greeter.greet_first(&["Ada"]).unwrap().unwrap(), "Hello Ada");
    assert_eq!(English::outside(), 7);
}
