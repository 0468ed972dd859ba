//! An interface whose methods are lent objects of async methods, and one to be lent.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::Poll,
    thread,
};

use plugin_core::{Error, Result, plugin_interface};

/// Lent to a plugin while it answers.
#[plugin_interface]
pub trait Worker {
    /// Twice the number.
    async fn double(&self, number: u64) -> Result<u64>;

    /// Thrice the number, at once.
    fn triple(&self, number: u64) -> Result<u64>;

    /// Changes bytes.
    async fn change(&self, bytes: &[u8]) -> Result<Vec<u8>>;

    /// Has `dive` called with one less, down to zero; gives how many levels answered.
    #[method(timeout = "100s")]
    async fn deeper(&self, level: u32) -> Result<u32>;

    /// Never answers.
    async fn linger(&self) -> Result<()>;

    /// Answers once `linger` has been given up.
    async fn see_it_gone(&self) -> Result<()>;

    /// A plugin need not have this one.
    async fn sum(&self, numbers: &[u64]) -> Result<u64> {
        Ok(numbers.iter().sum())
    }

    /// Hears a number, and nothing answers.
    #[method(oneway)]
    async fn note(&self, number: u64) -> Result<()>;

    /// The same, at once.
    #[method(oneway)]
    fn jot(&self, number: u64) -> Result<()>;
}

/// Has workers do what it is asked.
#[plugin_interface]
pub trait Delegates {
    /// Has all numbers below `count` doubled, all at once; gives the sum.
    async fn double_all(&self, count: u64, worker: &dyn Worker) -> Result<u64>;

    /// The same, one after the other, and every other number tripled.
    async fn in_turn(&self, count: u64, worker: &dyn Worker) -> Result<u64>;

    /// The same, from a method that blocks.
    fn in_turn_blocking(&self, count: u64, worker: &dyn Worker) -> Result<u64>;

    /// The same, from so many threads.
    fn on_threads(&self, threads: u64, count: u64, worker: &dyn Worker) -> Result<u64>;

    /// Has all numbers below `count` doubled, all at once; gives what the failures said.
    async fn try_all(&self, count: u64, worker: &dyn Worker) -> Result<Vec<String>>;

    /// Has bytes changed by both, so many times.
    async fn change_all(&self, bytes: &[u8], rounds: u8, one: &dyn Worker, other: &dyn Worker) -> Result<Vec<u8>>;

    /// Calls `deeper` with one less, down to zero; gives how many levels answered.
    #[method(timeout = "100s")]
    async fn dive(&self, level: u32, worker: &dyn Worker) -> Result<u32>;

    /// The same, from a method that blocks.
    #[method(timeout = "100s")]
    fn dive_blocking(&self, level: u32, worker: &dyn Worker) -> Result<u32>;

    /// Gives up `linger` when a number is doubled, and waits until that has been seen.
    async fn give_up(&self, worker: &dyn Worker) -> Result<u64>;

    /// The same, from a method that blocks.
    fn give_up_blocking(&self, worker: &dyn Worker) -> Result<u64>;

    /// Waits for what never answers, and keeps what that says for `said`.
    #[method(timeout = "none")]
    async fn linger(&self, worker: &dyn Worker) -> Result<()>;

    /// The same, from a method that blocks.
    #[method(timeout = "none")]
    fn linger_blocking(&self, worker: &dyn Worker) -> Result<()>;

    /// The same, from a task that never gives way.
    #[method(timeout = "none")]
    async fn linger_stubbornly(&self, worker: &dyn Worker) -> Result<()>;

    /// Notes, jots and doubles all numbers below `count`, in turn; gives the sum.
    async fn tell(&self, count: u64, worker: &dyn Worker) -> Result<u64>;

    /// The same, from a method that blocks, by itself and from async methods.
    fn tell_blocking(&self, count: u64, worker: &dyn Worker) -> Result<u64>;

    /// Notes multiples of 7, `count` of them, and doubles every hundredth, from so many tasks at once; gives the sum.
    async fn tell_at_once(&self, tasks: u64, count: u64, worker: &dyn Worker) -> Result<u64>;

    /// Notes and jots down so many numbers.
    async fn tell_some(&self, count: u64, worker: &dyn Worker) -> Result<()>;

    /// As `tell_some`, from a thread.
    fn tell_some_blocking(&self, count: u64, worker: &dyn Worker) -> Result<()>;

    /// Notes a number, and waits until that is `heard`, but not for more.
    async fn tell_one(&self, number: u64, worker: &dyn Worker) -> Result<()>;

    /// The same, from a method that blocks.
    fn tell_one_blocking(&self, number: u64, worker: &dyn Worker) -> Result<()>;

    /// Says that a number is being noted.
    async fn heard(&self) -> Result<()>;

    /// What came of lingering.
    fn said(&self) -> Result<String>;

    /// The sum.
    fn add(&self, a: u64, b: u64) -> Result<u64>;

    /// The sum, from a task.
    async fn add_later(&self, a: u64, b: u64) -> Result<u64>;
}

/// The plugin.
#[derive(Debug, Default)]
pub struct Manager {
    said: Mutex<Option<String>>,
}

/// All outcomes, in the order of the futures.
async fn all<R>(futures: impl IntoIterator<Item: Future<Output = R>>) -> Vec<R> {
    let mut waiting: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
    let mut outcomes: Vec<Option<R>> = waiting.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_over = true;
        for (future, outcome) in waiting.iter_mut().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *outcome = Some(value),
                Poll::Pending => is_over = false,
            }
        }
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outcomes.into_iter().flatten().collect()
}

impl Manager {
    fn keep(&self, outcome: Result<()>) {
        let said = outcome.map_or_else(|error| format!("{error:?}"), |()| "nothing".into());
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }
}

#[plugin_interface]
impl Delegates for Manager {
    async fn double_all(&self, count: u64, worker: &dyn Worker) -> Result<u64> {
        all((0..count).map(|number| worker.double(number))).await.into_iter().sum()
    }

    async fn in_turn(&self, count: u64, worker: &dyn Worker) -> Result<u64> {
        let mut sum = 0;
        for number in 0..count {
            sum += if number % 2 == 0 { worker.double(number).await? } else { worker.triple(number)? };
        }
        worker.sum(&[sum]).await
    }

    fn in_turn_blocking(&self, count: u64, worker: &dyn Worker) -> Result<u64> {
        smol::block_on(self.in_turn(count, worker))
    }

    fn on_threads(&self, threads: u64, count: u64, worker: &dyn Worker) -> Result<u64> {
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..threads).map(|_| scope.spawn(|| smol::block_on(self.in_turn(count, worker)))).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| Error::custom("a thread panicked"))?).sum()
        })
    }

    async fn try_all(&self, count: u64, worker: &dyn Worker) -> Result<Vec<String>> {
        let outcomes = all((0..count).map(|number| worker.double(number))).await;
        Ok(outcomes.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect())
    }

    async fn change_all(&self, bytes: &[u8], rounds: u8, one: &dyn Worker, other: &dyn Worker) -> Result<Vec<u8>> {
        let change = async |worker: &dyn Worker| {
            let mut bytes = bytes.to_vec();
            for _ in 0..rounds {
                bytes = worker.change(&bytes).await?;
            }
            Ok(bytes)
        };
        smol::future::try_zip(change(one), change(other)).await.map(|(one, other)| [one, other].concat())
    }

    async fn dive(&self, level: u32, worker: &dyn Worker) -> Result<u32> {
        if level == 0 { Ok(1) } else { Ok(worker.deeper(level - 1).await? + 1) }
    }

    fn dive_blocking(&self, level: u32, worker: &dyn Worker) -> Result<u32> {
        smol::block_on(self.dive(level, worker))
    }

    async fn give_up(&self, worker: &dyn Worker) -> Result<u64> {
        let lingers = async { worker.linger().await.and(Err(Error::custom("it should have lingered"))) };
        let doubled = smol::future::or(lingers, worker.double(21)).await?;
        worker.see_it_gone().await?;
        Ok(doubled)
    }

    fn give_up_blocking(&self, worker: &dyn Worker) -> Result<u64> {
        smol::block_on(async {
            assert!(smol::future::poll_once(worker.linger()).await.is_none());
            worker.see_it_gone().await?;
            worker.double(21).await
        })
    }

    async fn linger(&self, worker: &dyn Worker) -> Result<()> {
        let outcome = worker.linger().await;
        self.keep(outcome);
        Ok(())
    }

    fn linger_blocking(&self, worker: &dyn Worker) -> Result<()> {
        smol::block_on(self.linger(worker))
    }

    async fn linger_stubbornly(&self, worker: &dyn Worker) -> Result<()> {
        self.linger_blocking(worker)
    }

    async fn tell(&self, count: u64, worker: &dyn Worker) -> Result<u64> {
        let mut sum = 0;
        for number in 0..count {
            worker.note(number).await?;
            worker.jot(number)?;
            sum += worker.double(number).await?;
        }
        // As many as are not waited for, and more.
        for number in count..10 * count {
            worker.note(number).await?;
            worker.jot(number)?;
        }
        Ok(sum)
    }

    fn tell_blocking(&self, count: u64, worker: &dyn Worker) -> Result<u64> {
        smol::block_on(self.tell(count, worker))
    }

    async fn tell_at_once(&self, tasks: u64, count: u64, worker: &dyn Worker) -> Result<u64> {
        let tell = async || {
            let mut sum = 0;
            for number in 0..count {
                worker.note(7 * number).await?;
                if number % 100 == 0 {
                    sum += worker.double(number).await?;
                }
            }
            Ok(sum)
        };
        all((0..tasks).map(|_| tell())).await.into_iter().sum()
    }

    async fn tell_some(&self, count: u64, worker: &dyn Worker) -> Result<()> {
        for number in 0..count {
            worker.note(number).await?;
            worker.jot(number)?;
        }
        Ok(())
    }

    fn tell_some_blocking(&self, count: u64, worker: &dyn Worker) -> Result<()> {
        smol::block_on(self.tell_some(count, worker))
    }

    async fn tell_one(&self, number: u64, worker: &dyn Worker) -> Result<()> {
        worker.note(number).await?;
        self.said().map(drop)
    }

    fn tell_one_blocking(&self, number: u64, worker: &dyn Worker) -> Result<()> {
        smol::block_on(self.tell_one(number, worker))
    }

    async fn heard(&self) -> Result<()> {
        self.keep(Ok(()));
        Ok(())
    }

    fn said(&self) -> Result<String> {
        let call = plugin_core::Call::current();
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

    async fn add_later(&self, a: u64, b: u64) -> Result<u64> {
        smol::future::yield_now().await;
        Ok(a + b)
    }
}
