//! A method that nothing answers returns a `Result` of `()`, under whatever name, and may have options and a default body.

use std::sync::atomic::{AtomicU64, Ordering};

use plugin_core::{Error, Plugin, plugin_interface};

type Done = plugin_core::Result<()>;
type Nothing = ();

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Unheard;

impl From<Error> for Unheard {
    fn from(_: Error) -> Self {
        Self
    }
}

#[plugin_interface]
pub trait Counter {
    #[method(oneway)]
    fn add(&self, number: u64) -> plugin_core::Result<()>;

    #[method(oneway, timeout = "5s", name = "add-all")]
    fn add_all(&self, numbers: &[u64], text: &str) -> Done;

    #[method(timeout = "none", oneway)]
    fn ignore(&self) -> Result<Nothing, Unheard>;

    #[method(oneway)]
    fn add_twice(&self, number: u64) -> Done {
        self.add(number)?;
        self.add(number)
    }

    fn sum(&self) -> plugin_core::Result<u64>;
}

#[derive(Default)]
struct Real(AtomicU64);

impl Counter for Real {
    fn add(&self, number: u64) -> Done {
        self.0.fetch_add(number, Ordering::Relaxed);
        Ok(())
    }

    fn add_all(&self, numbers: &[u64], _text: &str) -> Done {
        numbers.iter().try_for_each(|number| self.add(*number))
    }

    fn ignore(&self) -> Result<(), Unheard> {
        Err(Unheard)
    }

    fn sum(&self) -> plugin_core::Result<u64> {
        Ok(self.0.load(Ordering::Relaxed))
    }
}

fn main() -> plugin_core::Result<()> {
    let counter = plugin_core::in_process::<dyn Counter>(Real::default())?;
    counter.add(1)?;
    counter.add_all(&[2, 3], "text")?;
    counter.ignore().unwrap();
    counter.add_twice(5)?;
    while counter.sum()? != 16 {
        std::thread::yield_now();
    }
    Plugin::process(&counter).shutdown()?;
    assert!(matches!(counter.add(1), Err(Error::Stopped { may_have_run: false, .. })));
    assert!(counter.ignore().is_err());
    Ok(())
}
