//! An `async fn` may be lent functions that are `Send`, and objects.
#![allow(unused_parens)]

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake},
    thread::{self, Thread},
};

use plugin_core::{Result, plugin_interface};

#[plugin_interface]
pub trait Listener {
    fn hear(&self, text: &str) -> Result<usize>;
}

/// Some of it takes its time.
#[plugin_interface]
pub trait Sink {
    async fn write(&self, text: &str, bytes: &[u8], pair: (u8, &str)) -> Result<usize>;
    fn flush(&self) -> Result<usize>;
    #[method(oneway)]
    async fn note(&self, number: u64) -> Result<()>;

    async fn close(&self) -> Result<usize> {
        Ok(self.write("closed", &[], (0, "")).await? + self.flush()?)
    }
}

#[plugin_interface]
pub trait Reader {
    async fn read(&self, each: &mut (dyn FnMut(&str) -> Result<usize> + Send), listener: &dyn Listener) -> Result<usize>;
    async fn tell<'a>(&'a self, text: &'a str, each: &'a mut (dyn FnMut(char) + Send + 'a)) -> Result<()>;

    async fn drain(&self, sink: &dyn Sink, other: &(dyn Sink)) -> Result<usize>;
    async fn drain_named<'a>(&self, text: &'a str, sink: &'a dyn Sink) -> Result<usize>;
    fn drain_now(&self, sink: &dyn Sink) -> Result<usize>;

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

    async fn drain(&self, sink: &dyn Sink, other: &(dyn Sink)) -> Result<usize> {
        sink.note(100).await?;
        let first = sink.write("one", &[1, 2], (3, "four")).await?;
        Ok(first + sink.flush()? + other.close().await?)
    }

    async fn drain_named<'a>(&self, text: &'a str, sink: &'a dyn Sink) -> Result<usize> {
        sink.write(text, text.as_bytes(), (1, text)).await
    }

    fn drain_now(&self, sink: &dyn Sink) -> Result<usize> {
        block_on(self.drain(sink, sink))
    }

    async fn tell<'a>(&'a self, text: &'a str, each: &'a mut (dyn FnMut(char) + Send + 'a)) -> Result<()> {
        text.chars().for_each(each);
        Ok(())
    }
}

struct Lengths(usize);

/// Borrows.
struct Counts<'a>(&'a AtomicUsize);

#[plugin_interface]
impl Sink for Counts<'_> {
    async fn write(&self, text: &str, bytes: &[u8], (number, rest): (u8, &str)) -> Result<usize> {
        std::future::ready(()).await;
        Ok(self.0.fetch_add(1, Ordering::Relaxed) + text.len() + bytes.len() + usize::from(number) + rest.len())
    }

    fn flush(&self) -> Result<usize> {
        Ok(self.0.load(Ordering::Relaxed))
    }

    async fn note(&self, number: u64) -> Result<()> {
        self.0.fetch_add(number as usize, Ordering::Relaxed);
        Ok(())
    }
}

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
    let (written, others) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (sink, other) = (Counts(&written), Counts(&others));
    assert_eq!(reader.drain(&sink, &other).await?, 100 + 12 + 101 + 7);
    assert_eq!(reader.drain_named("text", &sink).await?, 101 + 13);
    assert_eq!(reader.drain_now(&other)?, 101 + 12 + 102 + 102 + 6 + 103);
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
