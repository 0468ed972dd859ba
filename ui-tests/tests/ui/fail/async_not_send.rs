//! Futures may move between threads, so what they hold across an `.await` must, too.

use std::{cell::Cell, rc::Rc, sync::Mutex};

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Greeter {
    async fn greet(&self, name: &str) -> Result<String>;

    async fn greet_all(&self, names: &[&str]) -> Result<usize> {
        let count = Cell::new(0);
        let counted = &count;
        for name in names {
            self.greet(name).await?;
            counted.set(counted.get() + 1);
        }
        Ok(count.get())
    }
}

struct English(Mutex<u8>);

#[plugin_interface]
impl Greeter for English {
    async fn greet(&self, name: &str) -> Result<String> {
        let shared = Rc::new(name);
        std::future::ready(()).await;
        Ok(shared.to_string())
    }
}

struct Locked(Mutex<u8>);

#[plugin_interface]
impl Greeter for Locked {
    async fn greet(&self, name: &str) -> Result<String> {
        let mut count = self.0.lock().unwrap();
        std::future::ready(()).await;
        *count += 1;
        Ok(name.to_owned())
    }
}

fn main() {}
