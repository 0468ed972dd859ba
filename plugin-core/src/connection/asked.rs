//! What the other side asks of one caller: what waits for its turn, and what runs until nobody waits for it any more.

use std::collections::{BTreeMap, VecDeque};

use super::{lock, waiter::Waiter};
use crate::{
    protocol::{frame::Kind, message::Message},
    sync::{
        Arc, Instant, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// How many requests may wait for the caller of one call, and how many bytes of them beside the first.
const MAX_WAITING: usize = 65_536;
const MAX_WAITING_BYTES: usize = 64 << 20;

/// A callback that runs and can be told that nobody waits for it.
pub(crate) trait Cancel: std::fmt::Debug + Send + Sync {
    /// Tells it, and wakes it: to be called without a lock.
    fn cancel(&self);
}

/// What the other side asks of the caller of one call, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Something waits.
    is_any: AtomicBool,
    /// Something was ever asked in this call.
    was_any: AtomicBool,
    /// Something that was told has not run to its end.
    is_incomplete: AtomicBool,
    /// How many bytes of arguments those hold that run in a task.
    held: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    /// The request that was taken last, and whether it was given up since: it may not be among the running ones yet.
    taken: u32,
    is_taken_given_up: bool,
    /// Those that run and can be cancelled, by number; 0 is one that nobody waits for.
    running: BTreeMap<u32, Arc<dyn Cancel>>,
}

/// What has become of a request that is given up.
#[derive(Debug)]
pub(super) enum GivenUp {
    /// It was not run, and will not be.
    Waiting(Message),
    /// It runs; to be told without a lock.
    Running(Arc<dyn Cancel>),
    /// It runs, or is about to, and whoever runs it will find out if it can be told at all.
    Taken,
}

impl Asked {
    /// Adds one; gives it back where there are too many.
    pub(super) fn add(&self, message: Message) -> Result<(), Message> {
        let mut queue = lock(&self.queue);
        let length = message.payload.len();
        let is_too_long = !queue.messages.is_empty() && queue.bytes.saturating_add(length) > MAX_WAITING_BYTES;
        if queue.messages.len() >= MAX_WAITING || is_too_long {
            return Err(message);
        }
        queue.bytes += length;
        queue.messages.push_back(message);
        self.was_any.store(true, Ordering::Relaxed);
        self.is_any.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether there is one.
    pub(super) fn is_any(&self) -> bool {
        // Whoever adds one while the caller sleeps wakes it, under a lock.
        self.is_any.load(Ordering::Acquire)
    }

    pub(super) fn next(&self) -> Option<Message> {
        if !self.is_any() {
            return None;
        }
        let mut queue = lock(&self.queue);
        let message = queue.messages.pop_front();
        queue.bytes -= message.as_ref().map_or(0, |message| message.payload.len());
        queue.taken =
            message.as_ref().filter(|message| message.kind == Kind::Request).map_or(0, |message| message.call);
        queue.is_taken_given_up = false;
        self.is_any.store(!queue.messages.is_empty(), Ordering::Release);
        message
    }

    /// Has a request that was taken told when it is given up; `false` if it has been.
    pub(super) fn begin(&self, number: u32, what: &Arc<dyn Cancel>) -> bool {
        let mut queue = lock(&self.queue);
        if queue.taken == number && queue.is_taken_given_up {
            return false;
        }
        queue.running.insert(number, Arc::clone(what));
        true
    }

    pub(super) fn end(&self, number: u32) {
        let ended = lock(&self.queue).running.remove(&number);
        drop(ended);
    }

    /// The other side gives up a request; what becomes of it, if it was asked here.
    pub(super) fn give_up(&self, number: u32) -> Option<GivenUp> {
        if number == 0 || !self.was_any.load(Ordering::Relaxed) {
            return None;
        }
        let mut queue = lock(&self.queue);
        if let Some(what) = queue.running.get(&number) {
            return Some(GivenUp::Running(Arc::clone(what)));
        }
        if queue.taken == number {
            queue.is_taken_given_up = true;
            return Some(GivenUp::Taken);
        }
        let is_it = |message: &Message| message.kind == Kind::Request && message.call == number;
        let message = queue.messages.iter().position(is_it).and_then(|place| queue.messages.remove(place))?;
        queue.bytes -= message.payload.len();
        self.is_any.store(!queue.messages.is_empty(), Ordering::Release);
        Some(GivenUp::Waiting(message))
    }

    /// What a thread runs for the other side that is of no use any more, now that its call has its answer, or even the
    /// connection has ended.
    pub(super) fn interrupted(&self, is_closed: bool) -> Option<Arc<dyn Cancel>> {
        // Whoever begins one looks behind that whether the wait is over, under the lock under which it was ended.
        if !self.was_any.load(Ordering::Relaxed) {
            return None;
        }
        let queue = lock(&self.queue);
        queue.running.range(u32::from(!is_closed)..).next().map(|(_, what)| Arc::clone(what))
    }

    /// Takes note of so many more bytes that are held by what runs, of which one task takes note.
    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes note that they are held no more.
    pub(super) fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether something that was told has not run to its end.
    pub(super) fn is_incomplete(&self) -> bool {
        self.is_incomplete.load(Ordering::Relaxed)
    }

    /// Makes it ready for another call.
    pub(super) fn clear(&self) {
        if self.was_any.load(Ordering::Relaxed) {
            self.was_any.store(false, Ordering::Relaxed);
            self.is_incomplete.store(false, Ordering::Relaxed);
            lock(&self.queue).taken = 0;
        }
    }
}

/// The turn of a request that a waiting thread runs.
pub(crate) struct Turn<'a> {
    pub(super) waiter: &'a Waiter,
    /// Until when the call has time that the thread waits in.
    pub(crate) deadline: Option<Instant>,
    /// That call has its answer.
    pub(crate) is_answered: bool,
}

/// A callback that runs on a waiting thread.
pub(crate) struct Underway<'a> {
    asked: &'a Asked,
    number: u32,
}

impl Turn<'_> {
    /// Has the callback of that number cancelled, until what this gives is dropped, when it is given up, or the wait is over.
    pub(crate) fn begin(&self, number: u32, what: &Arc<dyn Cancel>) -> Underway<'_> {
        let is_wanted = self.waiter.asked.begin(number, what);
        if !is_wanted || self.waiter.interrupts(number) {
            what.cancel();
        }
        Underway { asked: &self.waiter.asked, number }
    }

    /// Whether that call has its answer by now.
    pub(crate) fn is_answered_by_now(&self) -> bool {
        self.is_answered || self.waiter.is_answered()
    }

    /// Takes note that something that was told has not run to its end: then that call has no answer, whatever comes.
    pub(crate) fn leave_incomplete(&self) {
        self.waiter.asked.is_incomplete.store(true, Ordering::Relaxed);
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.asked.end(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: Kind, number: u32, length: usize) -> Message {
        Message::answer(kind, number, vec![0; length])
    }

    #[test]
    fn what_waits_for_a_caller_is_bounded() {
        let waiting = Asked::default();
        let message = |length| message(Kind::Notice, 1, length);
        waiting.add(message(MAX_WAITING_BYTES + 1)).unwrap();
        assert!(waiting.add(message(1)).is_err(), "one of any length, and no more than that");
        assert_eq!(waiting.next().unwrap().payload.len(), MAX_WAITING_BYTES + 1);
        assert!(waiting.next().is_none());
        (0..MAX_WAITING).for_each(|_| waiting.add(message(1)).unwrap());
        assert!(waiting.add(message(0)).is_err());
        (0..MAX_WAITING).for_each(|_| assert!(waiting.next().is_some()));
        assert!(!waiting.is_any());
    }

    #[derive(Debug)]
    struct Callback;

    impl Cancel for Callback {
        fn cancel(&self) {}
    }

    #[test]
    fn a_request_is_given_up_wherever_it_is() {
        let (asked, callback) = (Asked::default(), Arc::new(Callback) as Arc<dyn Cancel>);
        assert!(asked.give_up(1).is_none());
        // A notice has the number of a call of this side.
        asked.add(message(Kind::Notice, 2, 10)).unwrap();
        (1..=4).for_each(|number| asked.add(message(Kind::Request, number, 10)).unwrap());
        assert!(matches!(asked.give_up(2), Some(GivenUp::Waiting(message)) if message.kind == Kind::Request));
        assert!(asked.give_up(2).is_none());
        assert_eq!(asked.next().unwrap().kind, Kind::Notice);
        assert!(asked.give_up(2).is_none());
        assert_eq!(asked.next().unwrap().call, 1);
        assert!(asked.begin(1, &callback));
        assert!(matches!(asked.give_up(1), Some(GivenUp::Running(_))));
        asked.end(1);
        assert_eq!(asked.next().unwrap().call, 3);
        assert!(matches!(asked.give_up(3), Some(GivenUp::Taken)));
        assert!(!asked.begin(3, &callback), "given up before it has begun");
        assert_eq!(asked.next().unwrap().call, 4);
        assert!(asked.begin(4, &callback));
        assert!(asked.next().is_none());
        assert_eq!(lock(&asked.queue).bytes, 0);
    }

    #[test]
    fn an_answer_interrupts_what_somebody_waits_for_and_an_end_all() {
        let (asked, callback) = (Asked::default(), Arc::new(Callback) as Arc<dyn Cancel>);
        asked.add(message(Kind::Request, 1, 0)).unwrap();
        assert!(asked.interrupted(true).is_none());
        asked.begin(0, &callback);
        assert!(asked.interrupted(false).is_none() && asked.interrupted(true).is_some());
        asked.begin(1, &callback);
        assert!(asked.interrupted(false).is_some());
    }
}
