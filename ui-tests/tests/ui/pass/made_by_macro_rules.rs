//! A trait that comes out of a macro, its types inside invisible groups.

macro_rules! interface {
    ($name:ident, $method:ident, $argument:ty, $reference:ty, $output:ty) => {
        #[plugin_core::plugin_interface]
        pub trait $name {
            fn $method(&self, a: $argument, b: $reference, c: &$argument) -> $output;
            fn optional(&self, a: $argument) -> $crate::Outcome<$argument> {
                Ok(a)
            }
        }
    };
}

pub type Outcome<T> = plugin_core::Result<T>;

interface!(Greeter, greet, Vec<u8>, &str, plugin_core::Result<String>);

fn main() {
    assert_eq!(GreeterMethods::NAMES, ["greet", "optional"]);
}
