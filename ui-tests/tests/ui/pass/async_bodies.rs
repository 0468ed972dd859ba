//! A rewritten body does what an `async fn` does: nothing before it is polled; all arguments live until its end, used or
//! not, and end in the same order.

use std::{
    pin::pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use plugin_core::{Error, Result, plugin_interface};

static LOG: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

fn log(entry: &'static str) {
    LOG.lock().unwrap().push(entry);
}

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Loud(String);

impl Drop for Loud {
    fn drop(&mut self) {
        log(String::leak(std::mem::take(&mut self.0)));
    }
}

fn loud(name: &str) -> Loud {
    Loud(name.into())
}

type Pair = (Loud, Loud);

#[plugin_interface]
pub trait Ending {
    async fn end(&self, used: Loud, unused: Loud, _: Loud, _named: Loud, pair: Pair, half: Pair) -> Result<usize>;

    async fn end_by_default(&self, mut used: Loud, _unused: Loud, _: Loud) -> Result<usize> {
        log("body");
        used.0.push('!');
        pause().await;
        log("after");
        Ok(0)
    }

    async fn early(&self, first: Loud, number: &str) -> Result<usize>;
}

struct Written;
struct Native;

async fn pause() {
    let mut polled = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await
}

/// Repeats the same functions as methods of an interface and as native ones.
macro_rules! twice {
    ($($function:item)*) => {
        #[plugin_interface]
        impl Ending for Written {
            $($function)*
        }

        impl Native {
            $($function)*

            async fn end_by_default(&self, mut used: Loud, _unused: Loud, _: Loud) -> Result<usize> {
                log("body");
                used.0.push('!');
                pause().await;
                log("after");
                Ok(0)
            }
        }
    };
}

twice! {
    #[expect(unused_variables, reason = "it shall be dropped at the end, too")]
    async fn end(&self, mut used: Loud, unused: Loud, _: Loud, _named: Loud, (a, _b): Pair, (c, _): Pair) -> Result<usize> {
        log("body");
        used.0.push('!');
        let local = loud("local");
        pause().await;
        drop(c);
        log("after");
        let used = loud("shadow");
        Ok(a.0.len() + local.0.len() + used.0.len())
    }

    async fn early(&self, first: Loud, number: &str) -> Result<usize> {
        let parse = |text: &str| -> std::result::Result<usize, std::num::ParseIntError> {
            return text.parse();
        };
        let number = match parse(number) {
            Ok(0) => return Ok(first.0.len()),
            other => other.map_err(Error::custom)?,
        };
        'found: {
            if number == 1 {
                break 'found;
            }
            let inner = async { if number == 2 { return Err(()) } else { Ok(()) } };
            if inner.await.is_err() {
                return Err(Error::custom("two"));
            }
        }
        let first = async move || first.0.len();
        Ok(first().await + number)
    }
}

/// Polls twice, and gives what was logged; drops after `polls`.
fn run<T>(future: impl Future<Output = T>, polls: usize) -> (Option<T>, Vec<&'static str>) {
    log("made");
    let mut output = None;
    {
        let mut future = pin!(future);
        for _ in 0..polls {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                output = Some(value);
            }
        }
        log("polled");
    }
    (output, std::mem::take(&mut *LOG.lock().unwrap()))
}

fn main() {
    let pair = |a, b| (loud(a), loud(b));
    for polls in 0..=2 {
        let written = Written.end(loud("1"), loud("2"), loud("3"), loud("4"), pair("5", "6"), pair("7", "8"));
        let (written, written_log) = run(written, polls);
        let native = Native.end(loud("1"), loud("2"), loud("3"), loud("4"), pair("5", "6"), pair("7", "8"));
        let (native, native_log) = run(native, polls);
        assert_eq!(written.map(Result::unwrap), native.map(Result::unwrap));
        assert_eq!(written_log, native_log);
        assert_eq!(written_log[0], "made");

        let (written, written_log) = run(Written.end_by_default(loud("1"), loud("2"), loud("3")), polls);
        let (native, native_log) = run(Native.end_by_default(loud("1"), loud("2"), loud("3")), polls);
        assert_eq!(written.is_some(), native.is_some());
        assert_eq!(written_log, native_log);
    }
    for number in ["0", "1", "2", "3", "x"] {
        let (written, written_log) = run(Written.early(loud("first"), number), 1);
        let (native, native_log) = run(Native.early(loud("first"), number), 1);
        assert_eq!(written.unwrap().ok(), native.unwrap().ok(), "{number}");
        assert_eq!(written_log, native_log, "{number}");
    }
}
