//! A greeter that speaks English.

use greeter_api::{GreetError, Greeter};

struct English;

impl Greeter for English {
    fn greet(&self, name: &str) -> Result<String, GreetError> {
        if name.is_empty() { Err(GreetError::Nameless) } else { Ok(format!("Hello, {name}!")) }
    }

    fn add(&self, a: i64, b: i64) -> plugin_core::Result<i64> {
        a.checked_add(b).ok_or_else(|| plugin_core::Error::custom("the sum is too large"))
    }
}

fn main() -> plugin_core::Result<()> {
    plugin_core::serve::<dyn Greeter>(English)
}
