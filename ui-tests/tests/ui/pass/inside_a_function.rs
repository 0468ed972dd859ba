use plugin_core::{Interface, plugin_interface};

fn main() {
    struct Local(u8);

    type Outcome = plugin_core::Result<u8>;

    #[plugin_interface]
    trait Greeter {
        fn greet(&self, bytes: &[Byte]) -> Outcome;
        fn greet_twice(&self) -> Outcome {
            Ok(self.greet(&[1])? * 2)
        }
        async fn wait(&self, local: &[Byte]) -> Outcome;
    }

    type Byte = u8;

    #[plugin_interface]
    impl Greeter for Local {
        fn greet(&self, bytes: &[Byte]) -> Outcome {
            Ok(self.0 + bytes[0])
        }
        async fn wait(&self, local: &[Byte]) -> Outcome {
            const ONE: Byte = 1;
            Ok(self.0 + local[0] + ONE)
        }
    }

    assert_eq!(Local(1).greet_twice().unwrap(), 4);
    assert_eq!(GreeterMethods::NAMES.len(), <dyn Greeter as Interface>::DESCRIPTOR.methods.len());
}
