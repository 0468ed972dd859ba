//! Each interface has one mistake, is implemented, and is used as if it had none.

use plugin_core::{Implements, Interface, Launcher, Plugin, Result, plugin_interface};

macro_rules! use_as {
    ($interface:ty, $implementor:expr) => {{
        fn connect<I: ?Sized + Interface + 'static>() -> Plugin<I> {
            Launcher::new("plugin").spawn().unwrap().interface().unwrap()
        }
        fn serve<I: ?Sized + Interface>(_: impl Implements<I>) {}
        serve::<$interface>($implementor);
        connect::<$interface>().fine().unwrap();
    }};
}

#[plugin_interface]
trait Async {
    async fn wait(&self, name: &mut String) -> Result<()>;
    async fn wait_longer(&self, name: &str, mut count: u8) -> Result<()> {
        count += 1;
        self.wait(7, name, count).await
    }
    fn fine(&self) -> Result<()>;
}

#[plugin_interface]
impl Async for u8 {
    async fn wait(&self, name: &mut String) -> Result<()> {
        name.push('x');
        Ok(())
    }
    fn fine(&self) -> Result<()> {
        Ok(())
    }
}

#[plugin_interface]
trait Generic<T> {
    fn fine(&self) -> Result<T>;
}

impl Generic<u8> for u8 {
    fn fine(&self) -> Result<u8> {
        Ok(1)
    }
}

#[plugin_interface]
trait Typed {
    type Item;
    fn fine(&self) -> Result<()>;
}

impl Typed for u8 {
    type Item = u8;
    fn fine(&self) -> Result<()> {
        Ok(())
    }
}

#[plugin_interface]
trait Opaque {
    fn all(&self) -> Result<impl Iterator<Item = u8>> {
        Ok([1].into_iter())
    }
    fn fine(&self) -> Result<()> {
        self.all().map(drop)
    }
}

impl Opaque for u8 {}

#[plugin_interface]
trait Static {
    fn new() -> Result<()>;
    fn fine(&self) -> Result<()>;
}

impl Static for u8 {
    fn new() -> Result<()> {
        Ok(())
    }
    fn fine(&self) -> Result<()> {
        Ok(())
    }
}

#[plugin_interface]
trait Cloned: Clone {
    fn fine(&self) -> Result<()>;
}

impl Cloned for u8 {
    fn fine(&self) -> Result<()> {
        Ok(())
    }
}

#[plugin_interface(naem = "misspelt")]
trait Misspelt {
    fn fine(&self) -> Result<()>;
}

impl Misspelt for u8 {
    fn fine(&self) -> Result<()> {
        Ok(())
    }
}

#[plugin_interface]
trait Compared {
    fn same(&self, other: &Self) -> Result<bool>;
    fn fine(&self) -> Result<()>;
}

impl Compared for u8 {
    fn same(&self, other: &Self) -> Result<bool> {
        Ok(self == other)
    }
    fn fine(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {
    use_as!(dyn Async, 1);
    use_as!(dyn Generic<u8>, 1);
    use_as!(dyn Typed, 1);
    use_as!(dyn Opaque, 1);
    use_as!(dyn Static, 1);
    use_as!(dyn Cloned, 1);
    use_as!(dyn Misspelt, 1);
    use_as!(dyn Compared, 1);
    println!("{} {}", AsyncMethods::WAIT, ComparedMethods::SAME);
}
