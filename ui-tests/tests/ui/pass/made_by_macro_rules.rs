//! A trait that comes out of a macro, its types inside invisible groups.

macro_rules! interface {
    ($name:ident, $method:ident, $argument:ty, $reference:ty, $output:ty) => {
        #[plugin_core::plugin_interface]
        pub trait $name {
            fn $method(&self, a: $argument, b: $reference, c: &$argument) -> $output;
            fn optional(&self, a: $argument) -> $crate::Outcome<$argument> {
                Ok(a)
            }
            async fn wait(&self, a: $argument, b: $reference, c: &$argument) -> $output;
        }

        #[plugin_core::plugin_interface]
        impl $name for u8 {
            fn $method(&self, a: $argument, b: $reference, c: &$argument) -> $output {
                Ok(format!("{a:?}{b}{}{self}", c.len()))
            }
            async fn wait(&self, a: $argument, b: $reference, c: &$argument) -> $output {
                let inner = async move { self.$method(a, b, c) };
                inner.await
            }
        }
    };
}

pub type Outcome<T> = plugin_core::Result<T>;

/// An implementation whose bodies come from outside, and with them `self`.
macro_rules! implement {
    ($interface:path, $this:ident => $body:expr, $name:pat => $second:block) => {
        #[plugin_core::plugin_interface]
        impl $interface for &'static str {
            async fn first(&$this) -> Outcome<usize> {
                let hidden = std::future::ready(1).await;
                Ok($body + hidden)
            }
            async fn second(&$this, $name: (u8, &str)) -> Outcome<usize> $second
        }
    };
}

#[plugin_core::plugin_interface]
pub trait Given {
    async fn first(&self) -> Outcome<usize>;
    async fn second(&self, pair: (u8, &str)) -> Outcome<usize>;
}

implement!(Given, self => { let hidden = self.len(); hidden }, (number, text) => { Ok(number as usize + text.len() + self.first().await?) });

interface!(Greeter, greet, Vec<u8>, &str, plugin_core::Result<String>);

fn main() {
    assert_eq!(GreeterMethods::NAMES, ["greet", "optional", "wait"]);
}
