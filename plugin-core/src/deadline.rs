//! How long a call may take, and who has the last word about it.
//!
//! [`within`] replaces the method's own timeout, which replaces the launcher's `call_timeout`; nested `within`s, and the
//! deadline of the call that a handler is answering, only ever shorten. Every other time limit is told by [`after`] too, so that
//! all of them can be suspended here.

use std::{
    cell::Cell,
    env,
    future::{Future, poll_fn},
    pin::pin,
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::{environment, interface::Timeout};

/// How long a call may take where nobody says otherwise.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

thread_local! {
    static CHOSEN: Cell<Option<Instant>> = const { Cell::new(None) };
    static INHERITED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs `body` with a deadline for all plugin calls made inside it, on this thread, and gives back what it gives.
///
/// The deadline is `limit` from now, for all the calls together. It takes the place of the method's own timeout and of
/// [`Launcher::call_timeout`](crate::Launcher::call_timeout), so that it may also lengthen them; inside another `within`, or
/// in a plugin's method that was itself called with a deadline, it can only shorten. Calls that run out of it fail with
/// [`Error::Timeout`](crate::Error::Timeout); other code in `body` is not interrupted. With `PLUGIN_CORE_DEBUG=1` in the
/// environment there are no deadlines, this one included.
///
/// ```
/// use std::time::Duration;
/// # #[plugin_core::plugin_interface]
/// # pub trait Clock { fn sleep(&self, ms: u64) -> plugin_core::Result<()>; }
/// # struct Real;
/// # impl Clock for Real {
/// #     fn sleep(&self, ms: u64) -> plugin_core::Result<()> {
/// #         std::thread::sleep(Duration::from_millis(ms));
/// #         Ok(())
/// #     }
/// # }
/// let clock = plugin_core::in_process::<dyn Clock>(Real)?;
/// let outcome = plugin_core::within(Duration::from_millis(20), || clock.sleep(400));
/// assert!(matches!(outcome, Err(plugin_core::Error::Timeout { .. })));
/// # Ok::<(), plugin_core::Error>(())
/// ```
pub fn within<R>(limit: Duration, body: impl FnOnce() -> R) -> R {
    let deadline = after(Instant::now(), limit);
    scope(&CHOSEN, earlier(CHOSEN.get(), Some(deadline)), body)
}

/// As [`within`], for a future: a deadline for all plugin calls that it makes.
///
/// `limit` counts from when this is called. A call is under the deadlines in force where its method is called and where its
/// future is first polled, so that all of these limit it: `within_async(limit, plugin.call())`,
/// `within_async(limit, async { plugin.call().await })` and `within(limit, || plugin.call()).await`. Calls that run out of time
/// fail with [`Error::Timeout`](crate::Error::Timeout); other futures awaited in `future` are not interrupted.
///
/// ```
/// use std::time::Duration;
/// # #[plugin_core::plugin_interface]
/// # pub trait Clock { async fn sleep(&self, ms: u64) -> plugin_core::Result<()>; }
/// # async fn late(clock: &dyn Clock) -> plugin_core::Result<()> {
/// let outcome = plugin_core::within_async(Duration::from_millis(20), clock.sleep(400)).await;
/// assert!(matches!(outcome, Err(plugin_core::Error::Timeout { .. })));
/// # Ok(())
/// # }
/// ```
pub fn within_async<F: Future>(limit: Duration, future: F) -> impl Future<Output = F::Output> {
    let deadline = after(Instant::now(), limit);
    async move {
        let mut future = pin!(future);
        poll_fn(|context| scope(&CHOSEN, earlier(CHOSEN.get(), Some(deadline)), || future.as_mut().poll(context))).await
    }
}

/// The deadlines in force on a thread, to be in force elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    chosen: Option<Instant>,
    inherited: Option<Instant>,
}

impl Scope {
    /// Those of this thread.
    pub(crate) fn current() -> Self {
        Self { chosen: CHOSEN.get(), inherited: INHERITED.get() }
    }

    /// Runs `body` under them, and under none of this thread's.
    pub(crate) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        scope(&CHOSEN, self.chosen, || scope(&INHERITED, self.inherited, body))
    }

    /// As [`for_call`], of a call made at `now` under these and sent under those of this thread.
    pub(crate) fn for_call(self, now: Instant, method: Timeout, call_timeout: Duration) -> Option<Instant> {
        let here = Self::current();
        let both =
            Self { chosen: earlier(self.chosen, here.chosen), inherited: earlier(self.inherited, here.inherited) };
        both.limit(now, method, call_timeout)
    }

    /// The deadline under them of a call made at `now`; `None` is no limit.
    fn limit(self, now: Instant, method: Timeout, call_timeout: Duration) -> Option<Instant> {
        let own = self.chosen.or_else(|| match method {
            Timeout::Inherit => limited(now, call_timeout),
            Timeout::After(limit) => limited(now, limit),
            Timeout::Unlimited => None,
        });
        earlier(own, self.inherited)
    }
}

/// Whether this process knows no time limits, since somebody debugs it.
pub(crate) fn is_suspended() -> bool {
    static IS_SUSPENDED: OnceLock<bool> = OnceLock::new();
    *IS_SUSPENDED.get_or_init(|| {
        let is_suspended = env::var_os(environment::DEBUG).is_some_and(|value| value == "1");
        if is_suspended {
            tracing::warn!("{}=1: all timeouts of plugins are suspended", environment::DEBUG);
        }
        is_suspended
    })
}

/// `limit` after `now`; `None` where time limits are suspended or that is too far away to be told.
pub(crate) fn limited(now: Instant, limit: Duration) -> Option<Instant> {
    now.checked_add(limit).filter(|_| !is_suspended())
}

/// As [`limited`], for those who cannot wait without a limit: decades.
pub(crate) fn after(now: Instant, limit: Duration) -> Instant {
    const DECADES: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    limited(now, limit).unwrap_or_else(|| now + DECADES)
}

/// Runs a handler under the deadline of the call that it answers.
pub(crate) fn inherit<R>(deadline: Option<Instant>, body: impl FnOnce() -> R) -> R {
    scope(&CHOSEN, None, || scope(&INHERITED, deadline, body))
}

/// The deadline of a call made now, on this thread, of a method with its own `method` timeout; `None` is no limit.
pub(crate) fn for_call(now: Instant, method: Timeout, call_timeout: Duration) -> Option<Instant> {
    Scope::current().limit(now, method, call_timeout)
}

/// The deadline of a wait that has none of its own: that of [`within`], and of the call that a handler is answering.
pub(crate) fn in_force() -> Option<Instant> {
    earlier(CHOSEN.get(), INHERITED.get())
}

fn earlier(left: Option<Instant>, right: Option<Instant>) -> Option<Instant> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}

fn scope<R>(
    place: &'static std::thread::LocalKey<Cell<Option<Instant>>>,
    value: Option<Instant>,
    body: impl FnOnce() -> R,
) -> R {
    /// Puts the outer deadline back, also where `body` panics.
    struct Restore(&'static std::thread::LocalKey<Cell<Option<Instant>>>, Option<Instant>);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _restore = Restore(place, place.replace(value));
    body()
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "the tests' numbers are small")]
mod tests {
    use super::*;

    const DEFAULT: Duration = Duration::from_secs(30);

    fn left(now: Instant, method: Timeout) -> Option<u64> {
        // `within` reads the clock itself, so up to some milliseconds are missing: round up to whole seconds.
        for_call(now, method, DEFAULT).map(|deadline| (deadline - now).as_millis().div_ceil(1000) as u64)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_millis(seconds * 1000 - 900)
    }

    #[test]
    fn a_method_replaces_the_default_and_within_replaces_both() {
        let now = Instant::now();
        assert_eq!(left(now, Timeout::Inherit), Some(30));
        assert_eq!(left(now, Timeout::After(Duration::from_secs(60))), Some(60));
        assert_eq!(left(now, Timeout::Unlimited), None);
        within(seconds(90), || {
            assert_eq!(left(now, Timeout::Inherit), Some(90), "within may lengthen");
            assert_eq!(left(now, Timeout::Unlimited), Some(90));
        });
        within(Duration::MAX, || assert!(left(now, Timeout::Inherit) > Some(1 << 20), "a limit of any length is one"));
        assert_eq!(left(now, Timeout::Inherit), Some(30), "and ends with its body");
    }

    #[test]
    fn nested_and_inherited_deadlines_only_shorten() {
        let now = Instant::now();
        within(seconds(10), || {
            within(seconds(50), || assert_eq!(left(now, Timeout::Inherit), Some(10)));
            within(seconds(5), || assert_eq!(left(now, Timeout::Inherit), Some(5)));
        });
        inherit(Some(now + Duration::from_secs(20)), || {
            assert_eq!(left(now, Timeout::Inherit), Some(20));
            assert_eq!(left(now, Timeout::Unlimited), Some(20));
            within(seconds(40), || assert_eq!(left(now, Timeout::Inherit), Some(20)));
            within(seconds(3), || assert_eq!(left(now, Timeout::Inherit), Some(3)));
        });
        inherit(None, || assert_eq!(left(now, Timeout::Unlimited), None));
    }

    #[test]
    fn a_call_is_under_the_deadlines_of_where_it_is_made_and_of_where_it_is_sent() {
        let now = Instant::now();
        let left =
            |made: Scope| made.for_call(now, Timeout::Unlimited, DEFAULT).map(|deadline| (deadline - now).as_secs());
        let made = within(seconds(20), Scope::current);
        assert_eq!(left(made), Some(19));
        within(seconds(10), || assert_eq!(left(made), Some(9)));
        within(seconds(30), || assert_eq!(left(made), Some(19), "they only shorten"));
        assert_eq!(left(Scope::current()), None);
        within(seconds(10), || assert_eq!(left(inherit(None, Scope::current)), Some(9)));
        inherit(Some(now + Duration::from_secs(5)), || assert_eq!(left(made), Some(5)));
    }

    #[test]
    fn a_deadline_of_a_future_is_in_force_while_it_is_polled() {
        let mut future = pin!(within_async(seconds(10), async { left(Instant::now(), Timeout::Inherit) }));
        assert_eq!(left(Instant::now(), Timeout::Inherit), Some(30));
        let polled = future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert_eq!(polled, std::task::Poll::Ready(Some(10)));
        assert_eq!(left(Instant::now(), Timeout::Inherit), Some(30));
    }

    #[test]
    fn a_panic_does_not_leave_its_deadline_behind() {
        let outcome = std::panic::catch_unwind(|| within(Duration::ZERO, || panic!("on purpose")));
        assert!(outcome.is_err() && CHOSEN.get().is_none());
    }
}
