//! An object, and a plugin that gives and takes them.

use std::{
    fmt,
    fs::File,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use plugin_core::{Call, Error, Remote, Result, plugin_interface};

use super::{Item, Parts, Shelf, ShelfError};

/// Locks, whatever a panicking thread left behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts what is made and dropped.
#[derive(Debug, Default)]
pub struct Census {
    counts: Mutex<(u64, u64)>,
    changed: Condvar,
}

impl Census {
    fn change(&self, made: u64, dropped: u64) {
        let mut counts = lock(&self.counts);
        *counts = (counts.0 + made, counts.1 + dropped);
        self.changed.notify_all();
    }

    /// How many have been made, and how many dropped, once `condition` holds of these, or `limit` is over.
    pub fn wait(&self, limit: Duration, condition: impl Fn(u64, u64) -> bool) -> (u64, u64) {
        let waited =
            self.changed.wait_timeout_while(lock(&self.counts), limit, |counts| !condition(counts.0, counts.1));
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// How many there are, once these are as few as `count`, or `limit` is over.
    pub fn alive(&self, count: u64, limit: Duration) -> u64 {
        let (made, dropped) = self.wait(limit, |made, dropped| made - dropped <= count);
        made - dropped
    }
}

/// An item.
pub struct Thing {
    name: String,
    sum: Mutex<u64>,
    noted: Mutex<Vec<u64>>,
    has_noted: Condvar,
    census: Arc<Census>,
    at_the_end: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl fmt::Debug for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thing").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Thing {
    /// One that `census` counts.
    pub fn new(name: &str, census: &Arc<Census>) -> Self {
        census.change(1, 0);
        Self {
            name: name.into(),
            sum: Mutex::default(),
            noted: Mutex::default(),
            has_noted: Condvar::new(),
            census: Arc::clone(census),
            at_the_end: Mutex::default(),
        }
    }

    /// Has it do something when it is dropped.
    #[must_use]
    pub fn at_the_end(self, end: impl FnOnce() + Send + 'static) -> Self {
        *lock(&self.at_the_end) = Some(Box::new(end));
        self
    }

    /// One to be passed.
    pub fn remote(name: &str, census: &Arc<Census>) -> Remote<dyn Item> {
        Remote::new(Self::new(name, census))
    }

    /// What it was told, once it was told so much, or `limit` is over.
    pub fn noted(&self, count: usize, limit: Duration) -> Vec<u64> {
        let waited = self.has_noted.wait_timeout_while(lock(&self.noted), limit, |noted| noted.len() < count);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        if let Some(end) = lock(&self.at_the_end).take() {
            end();
        }
        self.census.change(0, 1);
    }
}

#[plugin_interface]
impl Item for Thing {
    fn name(&self) -> Result<String> {
        Ok(self.name.clone())
    }

    fn add(&self, number: u64) -> Result<u64> {
        let mut sum = lock(&self.sum);
        *sum += number;
        Ok(*sum)
    }

    async fn add_later(&self, number: u64) -> Result<u64> {
        pause().await;
        self.add(number)
    }

    fn note(&self, number: u64) -> Result<()> {
        lock(&self.noted).push(number);
        self.has_noted.notify_all();
        Ok(())
    }

    fn note_with(&self, number: u64, item: Remote<dyn Item>) -> Result<()> {
        item.name()?;
        self.note(number)
    }

    async fn note_later(&self, number: u64) -> Result<()> {
        pause().await;
        self.note(number)
    }

    fn dive(&self, level: u32, me: Remote<dyn Item>, other: Remote<dyn Item>) -> Result<u32> {
        if level == 0 { Ok(0) } else { Ok(other.dive(level - 1, other.clone(), me)? + 1) }
    }

    fn same(&self, item: Remote<dyn Item>) -> Result<Remote<dyn Item>> {
        Ok(item)
    }

    fn hang(&self) -> Result<()> {
        hang();
        Ok(())
    }

    fn panic(&self) -> Result<()> {
        panic!("item {} panics", self.name)
    }

    fn heard(&self, count: usize) -> Result<usize> {
        Ok(self.noted(count, Duration::from_secs(20)).len())
    }

    fn visit(&self, count: u64, visit: &mut dyn FnMut(Remote<dyn Item>) -> Result<u64>) -> Result<u64> {
        (0..count).map(|number| visit(Self::remote(&number.to_string(), &self.census))).sum()
    }
}

/// Lets others run, on tokio's clock where there is one.
async fn pause() {
    #[cfg(feature = "tokio")]
    if tokio::runtime::Handle::try_current().is_ok() {
        return tokio::time::sleep(Duration::from_millis(1)).await;
    }
    smol::Timer::after(Duration::from_millis(1)).await;
}

/// Waits until the present call is cancelled.
fn hang() {
    let call = Call::current();
    while !call.is_cancelled() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// What is asked of a census in a call: as long as that lasts, and no longer.
fn in_time(count: impl Fn(Duration) -> Option<u64>) -> Result<u64> {
    let call = Call::current();
    let began = Instant::now();
    while !call.is_cancelled() && began.elapsed() < Duration::from_secs(20) {
        if let Some(count) = count(Duration::from_millis(20)) {
            return Ok(count);
        }
    }
    count(Duration::ZERO).ok_or_else(|| Error::custom("it does not come to that"))
}

/// The plugin.
#[derive(Debug, Default)]
pub struct Real {
    census: Arc<Census>,
    kept: Mutex<Vec<Remote<dyn Item>>>,
}

impl Real {
    fn thing(&self, name: &str) -> Remote<dyn Item> {
        Thing::remote(name, &self.census)
    }

    fn take(&self) -> Vec<Remote<dyn Item>> {
        std::mem::take(&mut *lock(&self.kept))
    }
}

#[plugin_interface]
impl Shelf for Real {
    fn make(&self, name: &str) -> Result<Remote<dyn Item>> {
        Ok(self.thing(name))
    }

    fn make_many(&self, count: usize) -> Result<Vec<Remote<dyn Item>>> {
        Ok((0..count).map(|number| self.thing(&number.to_string())).collect())
    }

    fn make_parts(&self) -> Result<Parts> {
        Ok(Parts::of(|name| self.thing(name)))
    }

    fn make_with(&self, length: usize) -> Result<(Remote<dyn Item>, String)> {
        Ok((self.thing("with bytes"), "x".repeat(length)))
    }

    fn fail_with(&self, name: &str) -> Result<(), ShelfError> {
        Err(ShelfError::InTheWay(self.thing(name)))
    }

    async fn make_later(&self, name: &str) -> Result<Remote<dyn Item>> {
        let item = self.thing(name);
        item.add_later(1).await?;
        Ok(item)
    }

    async fn add_to(&self, item: Remote<dyn Item>, number: u64) -> Result<u64> {
        pause().await;
        item.add_later(number).await
    }

    fn ask(&self, parts: Parts) -> Result<Vec<String>> {
        parts.names()
    }

    fn is_yours(&self, item: Remote<dyn Item>) -> Result<bool> {
        Ok(Remote::is_here(&item))
    }

    fn keep(&self, item: Remote<dyn Item>) -> Result<()> {
        lock(&self.kept).push(item);
        Ok(())
    }

    fn keep_in_turn(&self, item: Remote<dyn Item>) -> Result<()> {
        self.keep(item)
    }

    fn keep_all(&self, items: Vec<Remote<dyn Item>>) -> Result<()> {
        lock(&self.kept).extend(items);
        Ok(())
    }

    fn kept(&self) -> Result<Vec<Remote<dyn Item>>> {
        Ok(lock(&self.kept).clone())
    }

    fn let_go(&self) -> Result<usize> {
        Ok(self.take().len())
    }

    fn add_to_kept(&self, threads: u64) -> Result<u64> {
        let kept = lock(&self.kept).clone();
        thread::scope(|scope| {
            let adds = || kept.iter().map(|item| item.add(1)).sum::<Result<u64>>();
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(adds)).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| Error::custom("a thread panicked"))?).sum()
        })
    }

    fn note_and_let_go(&self, count: u64) -> Result<()> {
        let kept = self.take();
        thread::spawn(move || -> Result<()> {
            for item in kept {
                for number in 0..count {
                    item.note(number)?;
                }
            }
            Ok(())
        });
        Ok(())
    }

    fn try_kept(&self) -> Result<Option<String>> {
        let first = lock(&self.kept).first().cloned();
        let first = first.ok_or_else(|| Error::custom("nothing is kept"))?;
        Ok(first.name().err().map(|error| error.to_string()))
    }

    fn dropped(&self, count: u64) -> Result<u64> {
        in_time(|limit| {
            let (_, dropped) = self.census.wait(limit, |_, dropped| dropped >= count);
            (dropped >= count).then_some(dropped)
        })
    }

    fn alive(&self, count: u64) -> Result<u64> {
        in_time(|limit| Some(self.census.alive(count, limit)).filter(|alive| *alive <= count))
    }

    fn hang_with(&self, item: Remote<dyn Item>) -> Result<()> {
        let _item = item;
        hang();
        Ok(())
    }

    fn keep_in_the_next_run(&self, file: &str, item: Remote<dyn Item>) -> Result<()> {
        if File::create_new(file).is_ok() { self.exit() } else { self.keep(item) }
    }

    fn measure(&self, item: Remote<dyn Item>, bytes: &[u8]) -> Result<usize> {
        item.name()?;
        Ok(bytes.len())
    }

    fn plain(&self, number: u64) -> Result<u64> {
        Ok(number)
    }

    #[expect(clippy::print_stderr, reason = "that is what it is told")]
    fn exit(&self) -> Result<()> {
        eprintln!("the shelf breaks");
        std::process::exit(7)
    }
}
