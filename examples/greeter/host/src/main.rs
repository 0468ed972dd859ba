//! Has somebody greeted by a plugin.

use greeter_api::{GreetError, Greeter};

fn main() -> plugin_core::Result<()> {
    let program = std::env::args().nth(1).unwrap_or_else(|| "target/debug/english".to_owned());
    let greeter = plugin_core::connect::<dyn Greeter>(program)?;

    match greeter.greet("Ada") {
        Ok(greeting) => println!("{greeting}"),
        Err(GreetError::Nameless) => println!("Hello, whoever you are!"),
        Err(GreetError::Call(error)) => return Err(error),
    }
    println!("2 + 3 = {}", greeter.add(2, 3)?);
    Ok(())
}
