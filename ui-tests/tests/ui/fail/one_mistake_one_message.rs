use plugin_core::{Implements, Interface, Launcher, Plugin, Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    fn greet(&self, name: &str) -> Result<String>;
    fn generic<T>(&self, value: T) -> Result<()>;
    fn greet_twice(&self, name: &str) -> Result<String> {
        self.generic(1)?;
        self.greet(name)
    }
}

struct English;

impl Greeter for English {
    fn greet(&self, name: &str) -> Result<String> {
        Ok(name.into())
    }
    fn generic<T>(&self, _: T) -> Result<()> {
        Ok(())
    }
}

fn connect<I: ?Sized + Interface + 'static>() -> Plugin<I> {
    Launcher::new("plugin").spawn().unwrap().interface().unwrap()
}

fn serve<I: ?Sized + Interface>(_: impl Implements<I>) {}

fn main() {
    let greeter = connect::<dyn Greeter>();
    greeter.greet("Ada").unwrap();
    println!("{} {} {:?}", GreeterMethods::GREET, GreeterMethods::GENERIC, GreeterMethods::NAMES);
    let _: Option<GreeterProxy> = None;
    let _ = GreeterDispatcher::new(English);
    serve::<dyn Greeter>(English);
}
