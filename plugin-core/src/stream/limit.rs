//! How long a task waits for something in this process.

use std::{
    task::Context,
    time::{Duration, Instant},
};

use crate::{deadline, timer::Alarm};

/// The limit of one wait, which begins when it is first looked at.
#[derive(Debug, Default)]
pub(super) struct Limit(Option<Wait>);

#[derive(Debug)]
struct Wait {
    began: Instant,
    deadline: Option<Instant>,
    alarm: Alarm,
}

impl Limit {
    /// For how long a task has waited, if it is past the deadline in force on this thread; if not, it is woken then.
    pub(super) fn is_over(&mut self, context: &Context<'_>) -> Option<Duration> {
        let deadline = deadline::in_force();
        let wait = self.0.get_or_insert_with(|| Wait { began: Instant::now(), deadline, alarm: Alarm::default() });
        if wait.deadline != deadline {
            (wait.deadline, wait.alarm) = (deadline, Alarm::default());
        }
        wait.alarm.is_over(context, deadline).then(|| wait.began.elapsed())
    }

    /// The wait has ended.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }
}
