//! What a service does with what the other side starts.

use std::{io, sync::Arc, time::Instant};

use super::{
    call::CallState,
    discarded::Discarded,
    lane::Resting,
    leaders::{Leaders, Timing},
    outcome::run_oneway,
    pace::{Pace, Place},
    requests,
    service::Service,
    stop::StopReason,
};
use crate::{
    connection::{Cancel as _, Cause, Connection, End, Export, Handler, Reading, Sent, lock},
    objects::{context::Context, object},
    protocol::message::Message,
    timer,
};

impl Handler for Service {
    fn reads(&self) -> bool {
        true
    }

    fn linked(&self, connection: &Arc<Connection>) -> io::Result<()> {
        let Some(me) = self.me.upgrade() else { return Ok(()) };
        self.watchdog.look_after(connection);
        self.leaders.want(&me, connection)
    }

    fn unread(&self, connection: &Arc<Connection>) {
        self.lead_again(connection);
    }

    fn stalled(&self, connection: &Arc<Connection>) {
        self.writer.write_rest(connection);
    }

    fn take_back(&self, connection: &Arc<Connection>) -> Option<Box<Reading>> {
        Leaders::take_back(self, connection)
    }

    fn put_down(&self, connection: &Arc<Connection>, reading: Box<Reading>) {
        Leaders::lend(self, connection, reading);
    }

    fn read_by_caller(&self, connection: &Arc<Connection>) {
        while let Some(task) = self.next_quick(None) {
            self.submit(connection, task);
        }
    }

    fn request(&self, connection: &Arc<Connection>, request: Message) {
        let place = requests::place(connection, &request);
        let mut requests = lock(&self.requests);
        if connection.is_shared() && self.paces.of(place) != Pace::Slow {
            requests.begin_quick(request, place);
        } else {
            let task = requests.begin(request, place, Instant::now());
            drop(requests);
            self.submit(connection, task);
        }
    }

    fn requests(&self, connection: &Arc<Connection>, came: &mut Vec<Message>) {
        let mut others = Vec::new();
        {
            let mut requests = lock(&self.requests);
            for request in came.drain(..) {
                let place = Place { target: request.target, method: request.method };
                if connection.is_shared() && self.paces.of(place) != Pace::Slow {
                    requests.begin_quick(request, place);
                } else {
                    others.push(requests.begin(request, place, Instant::now()));
                }
            }
        }
        for task in others {
            self.submit(connection, task);
        }
    }

    fn nested(&self, connection: &Arc<Connection>, request: Message) {
        let now = Instant::now();
        let task = self.begin(connection, request, now);
        if self.answer(connection, task, Timing { began: now, count: 1 }) == Sent::Partly {
            // Not this service's own: in a host, others write.
            connection.stalled();
        }
    }

    fn oneway(&self, connection: &Arc<Connection>, call: Message) {
        // Found here, in the order of arrival: the other side may let go of the object behind this call.
        let object = object::find(connection, call.target);
        let (calling, context) = (Arc::clone(connection), Context::new(connection, 0));
        self.lane.tell_rest(|| resting(connection));
        let (dispatcher, executor) = match &object {
            Some(object) => (Some(Arc::clone(&object.dispatcher)), object.executor().clone()),
            None => (self.dispatcher(&call), self.executor.clone()),
        };
        let run = move |state: &Arc<CallState>| {
            run_oneway(&executor, dispatcher, call, state, context);
            if calling.oneway_finished() == Sent::Partly {
                calling.write_rest();
            }
        };
        if self.lane.submit(Box::new(run)).is_err() {
            tracing::warn!("a oneway call did not run: the plugin is stopping, or no thread can be started");
            // The thread that reads writes what that gives to write.
            let _ = connection.oneway_finished();
        }
    }

    fn discard(&self, exports: Vec<Arc<dyn Export>>) {
        let discarded = Discarded(exports);
        self.workers.go_on(Box::new(move || drop(discarded)));
    }

    fn look_at(&self, connection: &Arc<Connection>, when: Instant) -> bool {
        timer::look_after_tasks(connection, when)
    }

    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.producers.go_on(job);
    }

    fn peer(&self) -> Arc<str> {
        Arc::clone(&self.peer)
    }

    fn cancel(&self, call: u32) {
        // Without the lock: the task that this wakes may be dropped, and take itself from among the running ones.
        let call = lock(&self.requests).call(call).cloned();
        if let Some(call) = call {
            call.cancel();
        }
    }

    fn goodbye(&self) {
        self.stop.request(StopReason::Goodbye);
    }

    fn closed(&self, end: &End) {
        self.stop.request(match &end.cause {
            Cause::Violation(violation) => StopReason::Violation(violation.to_string()),
            cause => StopReason::Disconnected(cause.to_string()),
        });
    }
}

/// Tells the host, where the lane has run all that came, that it is all done: only then may it take the plugin for idle.
fn resting(connection: &Arc<Connection>) -> Resting {
    let connection = Arc::downgrade(connection);
    Box::new(move || {
        let Some(connection) = connection.upgrade() else { return };
        if connection.tell_oneways_finished() == Sent::Partly {
            connection.write_rest();
        }
    })
}
