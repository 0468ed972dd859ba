//! Has somebody greeted by a plugin.

use greeter_api::{GreetError, Greeter};

fn main() -> plugin_core::Result<()> {
    // The plugin lies beside this program. A path is relative to the working directory, a bare name is looked up in PATH.
    let program = std::env::current_exe().map_err(plugin_core::Error::custom)?.with_file_name("english");
    let greeter = plugin_core::connect::<dyn Greeter>(program)?;

    match greeter.greet("Ada") {
        Ok(greeting) => println!("{greeting}"),
        Err(GreetError::Nameless) => println!("Hello, whoever you are!"),
        Err(GreetError::Call(error)) => return Err(error),
    }
    println!("2 + 3 = {}", greeter.add(2, 3)?);

    // Dropping the last handle would stop the plugin too, but in the background, and this program ends now.
    let report = plugin_core::Plugin::process(&greeter).shutdown()?;
    println!("the plugin ended: {report}");
    Ok(())
}
