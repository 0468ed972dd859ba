//! An `async fn` may be lent functions that are `Send`, and objects.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake},
    thread::{self, Thread},
};

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Listener {
    fn hear(&self, text: &str) -> Result<usize>;
}

#[plugin_interface]
pub trait Reader {
    async fn read(&self, each: &mut (dyn FnMut(&str) -> Result<usize> + Send), listener: &dyn Listener) -> Result<usize>;
    async fn tell<'a>(&'a self, text: &'a str, each: &'a mut (dyn FnMut(char) + Send + 'a)) -> Result<()>;

    /// Also a default body may be lent to.
    async fn maybe(&self, each: &mut (dyn FnMut(u8) -> Result<u8> + Send)) -> Result<u8> {
        each(1)
    }
}

struct Real;

#[plugin_interface]
impl Reader for Real {
    async fn read(&self, each: &mut (dyn FnMut(&str) -> Result<usize> + Send), listener: &dyn Listener) -> Result<usize> {
        let first = each("one")?;
        std::future::ready(()).await;
        Ok(first + each("two")? + listener.hear("three")?)
    }

    async fn tell<'a>(&'a self, text: &'a str, each: &'a mut (dyn FnMut(char) + Send + 'a)) -> Result<()> {
        text.chars().for_each(each);
        Ok(())
    }
}

struct Lengths(usize);

impl Listener for Lengths {
    fn hear(&self, text: &str) -> Result<usize> {
        Ok(self.0 * text.len())
    }
}

async fn check(reader: &dyn Reader) -> Result<()> {
    let mut heard = String::new();
    let mut each = |text: &str| {
        heard += text;
        Ok(text.len())
    };
    assert_eq!(reader.read(&mut each, &Lengths(10)).await?, 56);
    assert_eq!(heard, "onetwo");
    let mut told = String::new();
    reader.tell("a text", &mut |letter| told.push(letter)).await?;
    assert_eq!(told, "a text");
    assert_eq!(reader.maybe(&mut |number| Ok(number + 1)).await?, 2);
    Ok(())
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn is_send<T: Send>(value: T) -> T {
    value
}

fn main() -> Result<()> {
    block_on(check(&Real))?;
    let plugin = plugin_core::in_process::<dyn Reader>(Real)?;
    block_on(is_send(check(&*plugin)))
}
