use plugin_core::{Interface, Result, plugin_interface};

#[plugin_interface]
pub trait r#Greeter {
    fn r#type(&self, r#fn: &str, r#match: u8) -> Result<String>;
    fn r#impl(&self, r#mut: u8) -> Result<u8> {
        Ok(r#mut)
    }
    async fn r#await(&self, r#async: &str, r#ref: (u8, u8)) -> Result<String>;
}

#[plugin_interface]
impl r#Greeter for () {
    fn r#type(&self, _: &str, _: u8) -> Result<String> {
        Ok(String::new())
    }
    async fn r#await(&self, r#async: &str, (r#ref, mut r#mut): (u8, u8)) -> Result<String> {
        r#mut += r#ref;
        Ok(format!("{async}{mut}"))
    }
}

#[plugin_interface]
#[allow(non_camel_case_types)]
trait r#union {
    fn r#async(&self) -> Result<()>;
}

fn main() {
    assert_eq!((GreeterMethods::TYPE, GreeterMethods::IMPL), ("type", "impl"));
    assert_eq!(<dyn Greeter as Interface>::DESCRIPTOR.name, "Greeter");
    assert_eq!(<dyn r#union as Interface>::DESCRIPTOR.name, "union");
    assert_eq!(unionMethods::ASYNC, "async");
}
