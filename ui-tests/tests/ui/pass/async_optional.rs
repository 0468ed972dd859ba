//! Async methods that a plugin lacks, or does not override, are answered by their default bodies; a sync method may become
//! async, and the other way round, since the wire knows no difference.

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

use plugin_core::{Plugin, Result, plugin_interface};

#[plugin_interface(name = "Greeter")]
pub trait Old {
    async fn greet(&self, name: &str) -> Result<String>;
    fn count(&self) -> Result<u64>;
}

#[plugin_interface(name = "Greeter")]
pub trait New {
    fn greet(&self, name: &str) -> Result<String>;
    async fn count(&self) -> Result<u64>;

    /// Uses its arguments, methods of both kinds, and other defaults.
    async fn greet_all(&self, names: &[&str], prefix: Option<&str>) -> Result<Vec<String>> {
        let mut greetings = Vec::new();
        for name in names {
            let prefix = prefix.unwrap_or("no");
            greetings.push(format!("{prefix} {} {}", self.greet(name)?, self.half(self.count().await?).await?));
        }
        Ok(greetings)
    }

    async fn half(&self, number: u64) -> Result<u64> {
        if number == 0 {
            return Err(plugin_core::Error::custom("nothing"));
        }
        Ok(number / 2)
    }

    #[method(oneway)]
    async fn note(&self, text: &str) -> Result<()> {
        self.greet(text).map(drop)
    }

    fn sync_default(&self) -> Result<u64> {
        Ok(7)
    }
}

struct English;

#[plugin_interface]
impl Old for English {
    async fn greet(&self, name: &str) -> Result<String> {
        Ok(format!("Hello {name}"))
    }
    fn count(&self) -> Result<u64> {
        Ok(8)
    }
}

#[plugin_interface]
impl New for English {
    fn greet(&self, name: &str) -> Result<String> {
        Ok(format!("New {name}"))
    }
    async fn count(&self) -> Result<u64> {
        Ok(0)
    }
    async fn half(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }
}

/// Whatever refers to an implementation, or converts it.
struct Through<T>(T);

#[plugin_interface]
impl<T: std::ops::Deref<Target: New> + Send + Sync> New for Through<T> {
    fn greet(&self, name: &str) -> Result<String> {
        self.0.greet(name)
    }
    async fn count(&self) -> Result<u64> {
        self.0.count().await
    }
    async fn half(&self, number: u64) -> Result<u64> {
        let inner: &dyn Fn() -> &'static str = &std::any::type_name::<Self>;
        assert!(inner().contains("Through"));
        Self::twice(number).await?;
        self.0.half(number).await
    }
}

impl<T> Through<T> {
    async fn twice(number: u64) -> Result<u64> {
        Ok(number * 2)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn main() -> Result<()> {
    let old = plugin_core::in_process::<dyn Old>(English)?;
    assert_eq!(block_on(old.greet("Ada"))?, "Hello Ada");
    let upgraded = Plugin::process(&old).interface::<dyn New>()?;
    assert_eq!(upgraded.sync_default()?, 7);
    assert_eq!(block_on(upgraded.greet_all(&["Ada", "Eve"], Some("yes")))?, ["yes Hello Ada 4", "yes Hello Eve 4"]);
    assert!(block_on(upgraded.half(0)).is_err());
    block_on(upgraded.note("x"))?;

    for new in [plugin_core::in_process::<dyn New>(English)?, plugin_core::in_process(Through(Arc::new(English)))?] {
        assert_eq!(block_on(new.greet_all(&["Ada"], None))?, ["no New Ada 1"]);
        assert_eq!(block_on(new.count())?, 0);
        block_on(new.note("x"))?;
    }
    Ok(())
}
