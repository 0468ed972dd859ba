//! An interface whose methods call back, and one to be called.

use std::sync::{Mutex, PoisonError};
use std::thread;

use plugin_core::{Call, Error, Result, plugin_interface};

/// Called by a plugin while it answers.
#[plugin_interface]
pub trait Listener {
    /// Hears a text; gives how many it has heard.
    fn hear(&self, text: &str) -> Result<usize>;

    /// A plugin need not have this one.
    fn sum(&self, numbers: &[u64]) -> Result<u64> {
        Ok(numbers.iter().sum())
    }

    /// Hears a number, and nothing answers.
    #[method(oneway)]
    fn note(&self, number: u64) -> Result<()>;
}

/// Calls back.
#[plugin_interface]
pub trait Caller {
    /// Calls `visit` with all numbers below `count`; gives the sum of what came back.
    fn visit(&self, count: u64, visit: &mut dyn FnMut(u64) -> Result<u64>) -> Result<u64>;

    /// As `visit`, but goes on where that fails; gives what the failures said.
    fn try_visit(&self, count: u64, visit: &mut dyn FnMut(u64) -> Result<u64, Error>) -> Result<Vec<String>>;

    /// Tells all numbers below `count`.
    fn tell(&self, count: u64, progress: &mut dyn FnMut(u64)) -> Result<u64>;

    /// Tells so many texts of so many bytes.
    fn tell_texts(&self, count: usize, length: usize, progress: &mut dyn FnMut(usize, &str)) -> Result<()>;

    /// Lets `listener` hear `text`, sum up, and note, from as many threads at once.
    fn listen(&self, text: &str, threads: u64, listener: &dyn Listener) -> Result<u64>;

    /// Has bytes changed so many times.
    fn exchange(&self, rounds: u8, bytes: &[u8], change: &mut dyn FnMut(&[u8]) -> Result<Vec<u8>>) -> Result<Vec<u8>>;

    /// Calls `deeper` with one less, down to zero; gives how many levels answered.
    #[method(timeout = "60s")]
    fn dive(&self, level: u32, deeper: &mut dyn FnMut(u32) -> Result<u32>) -> Result<u32>;

    /// Waits until it is cancelled, then calls back, and keeps what that says for `said`.
    fn call_late(&self, callback: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// What came of calling late.
    fn said(&self) -> Result<String>;

    /// The sum.
    fn add(&self, a: u64, b: u64) -> Result<u64>;

    /// Calls back once, then waits for so many milliseconds without doing anything.
    fn call_and_sleep(&self, milliseconds: u64, callback: &mut dyn FnMut() -> Result<()>) -> Result<()>;
}

/// Calls back from async methods.
#[plugin_interface]
pub trait TaskCaller {
    /// Calls `visit` with all numbers below `count`; gives the sum of what came back.
    async fn visit(&self, count: u64, visit: &mut (dyn FnMut(u64) -> Result<u64> + Send)) -> Result<u64>;

    /// Tells all numbers below `count`, and lets `listener` hear each.
    async fn tell(&self, count: u64, progress: &mut (dyn FnMut(u64) + Send), listener: &dyn Listener) -> Result<usize>;

    /// Calls back, then waits until it is cancelled without ever giving way, then calls back again.
    #[method(timeout = "none")]
    async fn call_late(&self, callback: &mut (dyn FnMut() -> Result<()> + Send)) -> Result<()>;

    /// What came of calling late.
    fn said(&self) -> Result<String>;
}

#[plugin_interface]
impl TaskCaller for Real {
    async fn visit(&self, count: u64, visit: &mut (dyn FnMut(u64) -> Result<u64> + Send)) -> Result<u64> {
        (0..count).map(visit).sum()
    }

    async fn tell(&self, count: u64, progress: &mut (dyn FnMut(u64) + Send), listener: &dyn Listener) -> Result<usize> {
        let mut heard = 0;
        for number in 0..count {
            progress(number);
            heard += listener.hear("hello")?;
        }
        Ok(heard)
    }

    async fn call_late(&self, callback: &mut (dyn FnMut() -> Result<()> + Send)) -> Result<()> {
        callback()?;
        Caller::call_late(self, callback)
    }

    fn said(&self) -> Result<String> {
        Caller::said(self)
    }
}

/// The plugin.
#[derive(Debug, Default)]
pub struct Real {
    said: Mutex<Option<String>>,
}

impl Caller for Real {
    fn visit(&self, count: u64, visit: &mut dyn FnMut(u64) -> Result<u64>) -> Result<u64> {
        (0..count).map(visit).sum()
    }

    fn try_visit(&self, count: u64, visit: &mut dyn FnMut(u64) -> Result<u64, Error>) -> Result<Vec<String>> {
        Ok((0..count).filter_map(|number| visit(number).err()).map(|error| error.to_string()).collect())
    }

    fn tell(&self, count: u64, progress: &mut dyn FnMut(u64)) -> Result<u64> {
        (0..count).for_each(progress);
        Ok(count)
    }

    fn tell_texts(&self, count: usize, length: usize, progress: &mut dyn FnMut(usize, &str)) -> Result<()> {
        let text = "x".repeat(length);
        (0..count).for_each(|number| progress(number, &text));
        Ok(())
    }

    fn listen(&self, text: &str, threads: u64, listener: &dyn Listener) -> Result<u64> {
        thread::scope(|scope| {
            let listens = |number| {
                move || -> Result<u64> {
                    listener.note(number)?;
                    Ok(listener.hear(text)? as u64 + listener.sum(&[1, 2, number])?)
                }
            };
            let threads: Vec<_> = (0..threads).map(|number| scope.spawn(listens(number))).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| Error::custom("a thread panicked"))?).sum()
        })
    }

    fn exchange(&self, rounds: u8, bytes: &[u8], change: &mut dyn FnMut(&[u8]) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        (0..rounds).try_fold(bytes.to_vec(), |bytes, _| change(&bytes))
    }

    fn dive(&self, level: u32, deeper: &mut dyn FnMut(u32) -> Result<u32>) -> Result<u32> {
        if level == 0 { Ok(1) } else { Ok(deeper(level - 1)? + 1) }
    }

    fn call_late(&self, callback: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let call = Call::current();
        while !call.is_cancelled() {
            thread::yield_now();
        }
        let outcome = callback();
        let said = outcome.map_or_else(|error| format!("{error:?}"), |()| "nothing".into());
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        Ok(())
    }

    fn said(&self) -> Result<String> {
        let call = Call::current();
        while !call.is_cancelled() {
            if let Some(said) = self.said.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Ok(said);
            }
            thread::yield_now();
        }
        Err(Error::custom("nothing was said"))
    }

    fn add(&self, a: u64, b: u64) -> Result<u64> {
        Ok(a + b)
    }

    fn call_and_sleep(&self, milliseconds: u64, callback: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        callback()?;
        thread::sleep(std::time::Duration::from_millis(milliseconds));
        Ok(())
    }
}
