//! What runs beside each other in one task: futures that are polled once they are woken, and only then.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use crate::signal::wake;

type Job<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Futures of one task.
#[derive(Default)]
pub(super) struct Running<'a> {
    jobs: BTreeMap<u64, (Arc<Place>, Waker, Job<'a>)>,
    last: u64,
    woken: Arc<Woken>,
}

/// Those to be polled, and who is to do that.
#[derive(Default)]
struct Woken {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    numbers: Vec<u64>,
    /// Of the task, unless it has been woken since it polled.
    task: Option<Waker>,
}

/// One of them, seen from whoever wakes it.
struct Place {
    number: u64,
    is_woken: AtomicBool,
    woken: Arc<Woken>,
}

impl<'a> Running<'a> {
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Adds one, which is polled from the next time on; gives its number.
    pub(super) fn add(&mut self, job: impl Future<Output = ()> + Send + 'a) -> u64 {
        self.last += 1;
        let number = self.last;
        let place = Arc::new(Place { number, is_woken: AtomicBool::new(true), woken: Arc::clone(&self.woken) });
        self.woken.lock().numbers.push(number);
        self.jobs.insert(number, (Arc::clone(&place), place.into(), Box::pin(job)));
        number
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.jobs.contains_key(&number)
    }

    /// Polls those that were woken, and has the task woken when others are.
    pub(super) fn poll(&mut self, context: &Context<'_>) {
        if self.jobs.is_empty() {
            return;
        }
        // Without the lock, as what it replaces is dropped: a waker is code of somebody else's.
        let task = context.waker().clone();
        let (last, numbers) = {
            let mut state = self.woken.lock();
            (state.task.replace(task), std::mem::take(&mut state.numbers))
        };
        drop(last);
        for number in numbers {
            let Some((place, waker, job)) = self.jobs.get_mut(&number) else { continue };
            // Before it is polled: whoever wakes it from here on wants it polled again.
            place.is_woken.store(false, Ordering::SeqCst);
            if job.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                self.jobs.remove(&number);
            }
        }
    }
}

impl Woken {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        if self.is_woken.swap(true, Ordering::SeqCst) {
            return;
        }
        let task = {
            let mut state = self.woken.lock();
            state.numbers.push(self.number);
            state.task.take()
        };
        if let Some(task) = task {
            wake(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::atomic::AtomicUsize, task::Poll};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Keeps its waker, counts how often it is polled, and ends at the third time.
    fn job<'a>(kept: &'a Mutex<Option<Waker>>, polled: &'a AtomicUsize) -> impl Future<Output = ()> + Send + 'a {
        poll_fn(move |context| {
            *kept.lock().unwrap() = Some(context.waker().clone());
            if polled.fetch_add(1, Ordering::SeqCst) < 2 { Poll::Pending } else { Poll::Ready(()) }
        })
    }

    #[test]
    fn only_those_are_polled_that_were_woken_and_the_task_is_woken_once_for_all() {
        let kept: [Mutex<Option<Waker>>; 3] = Default::default();
        let polled: [AtomicUsize; 3] = Default::default();
        let polls = || polled.each_ref().map(|polled| polled.load(Ordering::SeqCst));
        let wake_one = |place: usize| kept[place].lock().unwrap().clone().unwrap().wake();
        let mut running = Running::default();
        for (kept, polled) in kept.iter().zip(&polled) {
            running.add(job(kept, polled));
        }
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        let context = Context::from_waker(&waker);
        running.poll(&context);
        running.poll(&context);
        assert_eq!(polls(), [1, 1, 1]);
        wake_one(2);
        wake_one(0);
        wake_one(0);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        running.poll(&context);
        assert_eq!((polls(), running.len()), ([2, 1, 2], 3));
        wake_one(0);
        running.poll(&context);
        assert_eq!((polls(), running.len(), count.0.load(Ordering::SeqCst)), ([3, 1, 2], 2, 2));
        wake_one(0);
        running.poll(&context);
        assert_eq!(polls(), [3, 1, 2], "one that has ended is not polled again, whoever wakes it");
        wake_one(1);
        running.poll(&context);
        assert!(running.has(2));
        wake_one(1);
        running.poll(&context);
        assert!(!running.has(2) && running.len() == 1);
    }

    #[test]
    fn one_that_wakes_itself_does_not_keep_the_task_from_what_is_beside_it() {
        let mut running = Running::default();
        running.add(poll_fn(|context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        for turn in 1..5 {
            running.poll(&Context::from_waker(&waker));
            assert_eq!(count.0.load(Ordering::SeqCst), turn, "it is to be polled again");
        }
    }
}
