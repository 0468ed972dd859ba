//! What the attribute makes of a trait: descriptor, constants, dispatcher and default bodies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use plugin_core::{
    Implements, Interface, plugin_interface,
    private::{Decoder, Descriptor, Dispatch, Encoder, Fault, Timeout, Verdict},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Dispatches a request with as many arguments as announced and those that `encode` writes.
fn request(
    dispatcher: &dyn Dispatch,
    method: &str,
    announced: u32,
    encode: impl FnOnce(&mut Encoder),
) -> Result<(Verdict, Vec<u8>), String> {
    let number = dispatcher.descriptor().methods.iter().position(|known| known.name == method).unwrap();
    let mut request = Encoder::new(1 << 20);
    request.array(announced).unwrap();
    encode(&mut request);
    let mut answer = Encoder::new(1 << 20);
    match dispatcher.dispatch(number, &mut Decoder::new(&request.into_payload()), &mut answer) {
        Ok(verdict) => Ok((verdict, answer.into_payload())),
        Err(Fault::Arguments(error)) => Err(error.to_string()),
        Err(other) => panic!("{other:?}"),
    }
}

fn decode<T: DeserializeOwned>(payload: &[u8]) -> T {
    let mut decoder = Decoder::new(payload);
    let value = decoder.value().unwrap();
    decoder.finish().unwrap();
    value
}

mod description {
    use super::*;

    #[plugin_interface(name = "acme.Store", version = "1.2")]
    trait Store {
        #[cfg(not(test))]
        fn never(&self) -> plugin_core::Result<()>;

        fn plain(&self) -> plugin_core::Result<()>;

        #[cfg_attr(test, cfg(not(test)))]
        fn nor_this(&self) -> plugin_core::Result<()>;

        #[method(name = "renamed-on-the-wire", timeout = "250ms")]
        fn renamed(&self) -> plugin_core::Result<()>;

        #[cfg(test)]
        #[method(timeout = "none")]
        fn patient(&self) -> plugin_core::Result<()>;

        #[method(timeout = "2m")]
        fn r#type(&self) -> plugin_core::Result<u8> {
            Ok(7)
        }

        #[expect(dead_code, reason = "only its presence matters")]
        fn outside() -> Self
        where
            Self: Sized;
    }

    const STORE: &Descriptor = <dyn Store as Interface>::DESCRIPTOR;

    fn names(descriptor: &Descriptor) -> Vec<&str> {
        descriptor.methods.iter().map(|method| method.name).collect()
    }

    #[test]
    fn names_and_version() {
        assert_eq!(STORE.name, "acme.Store");
        assert_eq!(STORE.version, Some("1.2.0"));
        assert_eq!(names(STORE), ["plain", "renamed-on-the-wire", "patient", "type"]);
    }

    #[test]
    fn constants() {
        assert_eq!(StoreMethods::NAMES, names(STORE));
        assert_eq!(StoreMethods::RENAMED, "renamed-on-the-wire");
        assert_eq!(StoreMethods::TYPE, "type");
    }

    #[test]
    fn timeouts() {
        let timeouts: Vec<_> = STORE.methods.iter().map(|method| method.timeout).collect();
        let after = |milliseconds| Timeout::After(Duration::from_millis(milliseconds));
        assert_eq!(timeouts, [Timeout::Inherit, after(250), Timeout::Unlimited, after(120_000)]);
    }

    #[test]
    fn methods_with_a_default_body_are_optional() {
        let optional: Vec<_> = STORE.methods.iter().map(|method| method.optional).collect();
        assert_eq!(optional, [false, false, false, true]);
    }

    #[test]
    fn without_options() {
        #[plugin_interface]
        trait Plain {}
        let descriptor = <dyn Plain as Interface>::DESCRIPTOR;
        assert_eq!((descriptor.name, descriptor.version, descriptor.methods.len()), ("Plain", None, 0));
    }
}

mod requests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum DivideError {
        ByZero,
        Plugin(String),
    }

    impl From<plugin_core::Error> for DivideError {
        fn from(error: plugin_core::Error) -> Self {
            Self::Plugin(error.to_string())
        }
    }

    type Outcome<T> = Result<T, DivideError>;

    #[plugin_interface]
    trait Divider {
        fn divide(&self, dividend: i64, r#divisor: i64) -> Outcome<i64>;
        fn ignore(&self, _: u8, _: u8) -> Result<(), DivideError>;
    }

    #[derive(Debug)]
    struct Machine;

    impl Divider for Machine {
        fn divide(&self, dividend: i64, divisor: i64) -> Outcome<i64> {
            dividend.checked_div(divisor).ok_or(DivideError::ByZero)
        }
        fn ignore(&self, _: u8, _: u8) -> Result<(), DivideError> {
            Ok(())
        }
    }

    fn divide(announced: u32, numbers: &[i64]) -> Result<(Verdict, Vec<u8>), String> {
        request(&DividerDispatcher::new(Machine), DividerMethods::DIVIDE, announced, |to| {
            for number in numbers {
                to.value(number).unwrap();
            }
        })
    }

    #[test]
    fn both_sides_of_a_result() {
        let (verdict, answer) = divide(2, &[12, 4]).unwrap();
        assert_eq!((verdict, decode::<i64>(&answer)), (Verdict::Value, 3));
        let (verdict, answer) = divide(2, &[12, 0]).unwrap();
        assert_eq!((verdict, decode::<DivideError>(&answer)), (Verdict::Error, DivideError::ByZero));
    }

    fn refused_second_argument(method: &str) -> String {
        request(&DividerDispatcher::new(Machine), method, 2, |to| {
            to.value(&1).unwrap();
            to.value("two").unwrap();
        })
        .unwrap_err()
    }

    #[test]
    fn a_wrong_shape_names_the_argument() {
        let error = refused_second_argument("divide");
        assert!(error.starts_with("argument `divisor`: "), "{error}");
    }

    #[test]
    fn an_argument_without_a_name_goes_by_its_position() {
        let error = refused_second_argument("ignore");
        assert!(error.starts_with("argument `2`: "), "{error}");
    }

    #[test]
    fn the_number_of_arguments_is_checked() {
        assert_eq!(divide(1, &[12]).unwrap_err(), "expected 2 values, got 1");
        assert_eq!(divide(3, &[12, 4, 1]).unwrap_err(), "expected 2 values, got 3");
        assert_eq!(divide(2, &[12, 4, 1]).unwrap_err(), "1 unexpected bytes follow the last value");
    }

    #[test]
    fn there_is_no_method_beyond_the_last() {
        let dispatcher = DividerDispatcher::new(Machine);
        let fault = dispatcher.dispatch(2, &mut Decoder::new(&[0x90]), &mut Encoder::new(64)).unwrap_err();
        assert!(matches!(fault, Fault::UnknownMethod));
    }

    #[test]
    fn a_value_serves_as_the_interface_it_implements() {
        fn served<I: ?Sized + Interface>(value: impl Implements<I>) -> &'static str {
            value.into_dispatcher().descriptor().name
        }
        assert_eq!(served::<dyn Divider>(Machine), "Divider");
    }
}

mod defaults {
    use super::*;

    #[plugin_interface]
    trait Greeter {
        fn greet(&self, name: &str) -> plugin_core::Result<String>;

        fn greet_all(&self, names: &[&str], mut separator: String) -> plugin_core::Result<String> {
            separator.push(' ');
            let greetings: plugin_core::Result<Vec<_>> = names.iter().map(|name| self.greet_twice(name)).collect();
            Ok(greetings?.join(&separator))
        }

        fn greet_twice(&self, name: &str) -> plugin_core::Result<String> {
            Ok(self.greet(name)? + &Self::greet(self, name)?)
        }
    }

    #[derive(Debug)]
    struct English;

    impl Greeter for English {
        fn greet(&self, name: &str) -> plugin_core::Result<String> {
            Ok(format!("Hello {name}."))
        }
    }

    #[derive(Debug)]
    struct Terse;

    impl Greeter for Terse {
        fn greet(&self, name: &str) -> plugin_core::Result<String> {
            Ok(name.into())
        }
        fn greet_twice(&self, name: &str) -> plugin_core::Result<String> {
            Ok(format!("2x {name}"))
        }
    }

    #[test]
    fn defaults_call_methods_and_other_defaults() {
        assert_eq!(English.greet_all(&["A", "B"], ",".into()).unwrap(), "Hello A.Hello A., Hello B.Hello B.");
        let terse: &dyn Greeter = &Terse;
        assert_eq!(terse.greet_all(&["A", "B"], ",".into()).unwrap(), "2x A, 2x B");
    }

    #[test]
    fn an_implementation_is_asked_before_the_default() {
        for (dispatcher, expected) in [
            (&GreeterDispatcher::new(English) as &dyn Dispatch, "Hello A.Hello A."),
            (&GreeterDispatcher::new(Terse), "2x A"),
        ] {
            let encode = |to: &mut Encoder| to.value("A").unwrap();
            let (_, answer) = request(dispatcher, GreeterMethods::GREET_TWICE, 1, encode).unwrap();
            assert_eq!(decode::<String>(&answer), expected);
        }
    }
}
