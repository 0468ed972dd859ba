//! What the two sides of a session do, and what must come of it in whatever order they do it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use shuttle::rand::Rng;

use crate::{
    connection::{CallFailure, Cause, Connection, Handler, Options},
    link::{self, ModelLink},
    objects,
    protocol::{
        frame::{Deframer, Kind},
        message::Message,
    },
    server::{BLOCKED, CALLING, OPENING, QUICK, Service},
    sides::{Answering, Calling, Lends, Told},
    sync::{Arc, Instant, start_clock, stop_clock, thread},
};

/// A scenario.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scenario {
    /// How many threads of the host call.
    pub callers: u8,
    /// How often each of them does.
    pub calls: u8,
    /// How many of them wait until a deadline only.
    pub hurried: u8,
    /// How many tasks of the host call beside them, each on a thread of its own.
    pub tasks: u8,
    /// How many of those wait until a deadline only, or are dropped at some time.
    pub hurried_tasks: u8,
    /// How many threads of the plugin ask for a sign of life.
    pub pingers: u8,
    /// How many messages that nothing answers leave the host.
    pub told: u8,
    /// How often links are cut.
    pub cuts: u8,
    /// The host's end is closed at some time.
    pub closes: bool,
    /// In the plugin, threads lead in turn and run handlers; else one thread reads and answers.
    pub leads: bool,
    /// One more caller's handler lasts until that of yet another caller begins.
    pub blocks: bool,
    /// How many more callers lend something to handlers that call back, and call again from within.
    pub lenders: u8,
    /// How many of them wait until a deadline only.
    pub hurried_lenders: u8,
    /// How many threads of the host read a stream.
    pub readers: u8,
    /// How many tasks of the host do.
    pub reading_tasks: u8,
    /// How many of each are in a hurry: they come late, go on, or leave.
    pub hurried_readers: u8,
    /// How many threads of the host are given the plugin's object, return it and drop it.
    pub sharers: u8,
    /// How many threads of the host give the plugin an object in a call that waits until a deadline only.
    pub givers: u8,
}

const OPTIONS: Options = Options { max_message: usize::MAX, yields: false, ticks: false };

/// Both sides, and who is told what.
struct Session {
    host: Arc<Connection>,
    plugin: Arc<Connection>,
    told: Arc<Told>,
    /// By the side that reads.
    are_shared: [bool; 2],
}

impl Scenario {
    /// Runs it once, on a thread of the scheduler.
    pub fn run(self) {
        start_clock();
        let told = Arc::<Told>::default();
        let calling = Calling::new(&told);
        let service = self.leads.then(|| Service::new(&told));
        let handler: Arc<dyn Handler> = match &service {
            Some(service) => Arc::clone(service) as _,
            None => Arc::new(Answering { told: Arc::clone(&told) }),
        };
        let host = Connection::open(Arc::clone(&calling) as _, OPTIONS);
        let session = Arc::new(Session {
            plugin: Connection::open(handler, OPTIONS),
            are_shared: [true, self.leads],
            told,
            host,
        });
        calling.watch(&session.host);
        session.join();
        self.take_part(&session);
        calling.end();
        session.told.end();
        session.host.close(Cause::Local("the scenario is over"));
        session.plugin.close(Cause::Local("the scenario is over"));
        if let Some(service) = service {
            service.finish();
        }
        stop_clock();
    }

    fn take_part(self, session: &Arc<Session>) {
        let mut threads = Vec::new();
        let mut start = |body: Box<dyn FnOnce(&Session) + Send>| {
            let session = Arc::clone(session);
            threads.push(thread::spawn(move || body(&session)));
        };
        for caller in 0..self.callers {
            start(Box::new(move |session| {
                for call in 0..self.calls {
                    self.call(session, QUICK, [caller, call], caller < self.hurried);
                }
            }));
        }
        for task in 0..self.tasks {
            start(Box::new(move |session| {
                for call in 0..self.calls {
                    self.call_async(session, [150 + task, call], task < self.hurried_tasks);
                }
            }));
        }
        for lender in 0..self.lenders {
            start(Box::new(move |session| self.lend(session, [lender + 50, 0], lender < self.hurried_lenders)));
        }
        if self.blocks {
            start(Box::new(move |session| self.call(session, BLOCKED, [100, 0], false)));
            start(Box::new(move |session| self.call(session, OPENING, [101, 0], false)));
        }
        self.take_part_in_objects(&mut start);
        for _ in 0..self.pingers {
            start(Box::new(move |session| self.ping(&session.plugin)));
        }
        let messages: Vec<_> = (0..self.told).map(|number| vec![200, number]).collect();
        for payload in messages.clone() {
            start(Box::new(move |session| {
                let sent = session.host.send_oneway(Message::answer(Kind::Oneway, 0, payload), None);
                assert!(self.closes || sent.is_ok());
            }));
        }
        if self.closes {
            start(Box::new(|session| {
                pause();
                session.host.close(Cause::Local("on purpose"));
            }));
        }
        if self.cuts > 0 {
            let session = Arc::clone(session);
            drop(thread::spawn(move || {
                while session.told.wait_lost() {
                    session.join_again();
                }
            }));
            start(Box::new(move |session| session.cut(self.cuts)));
        }
        for thread in threads {
            thread.join().expect("a panic ends the model");
        }
        assert!(!session.host.has_tasks(), "a task is remembered that is over");
        if !self.closes {
            // The answer comes behind what was sent before; and it comes, whoever read last.
            self.ping(&session.host);
            session.told.wait_arrived(&messages);
            session.told.wait_released([&session.host, &session.plugin]);
            assert_eq!((session.host.held(), session.plugin.held()), (0, 0));
        }
        if self.hurried + self.hurried_tasks + self.hurried_lenders + self.givers == 0 {
            // What is given up is remembered until its answer comes; a stream's reader has none.
            assert_eq!(session.host.pending(), 0, "a wait is remembered that is over");
        }
    }

    fn take_part_in_objects(self, start: &mut impl FnMut(Box<dyn FnOnce(&Session) + Send>)) {
        for (is_task, count) in [(false, self.readers), (true, self.reading_tasks)] {
            for reader in 0..count {
                let deadline = (reader < self.hurried_readers).then_some(deadline as fn() -> _);
                start(Box::new(move |session| {
                    let is_silent = deadline.is_some() && shuttle::rand::thread_rng().r#gen();
                    let payload = [160 + reader, u8::from(is_task) + if is_silent { objects::SILENT } else { 0 }];
                    let is_open = objects::read(&session.host, payload, is_task, deadline);
                    assert!(is_open || self.closes, "the connection has ended");
                }));
            }
        }
        for sharer in 0..self.sharers {
            start(Box::new(move |session| {
                for call in 0..self.calls {
                    let returning = [190 + sharer, call];
                    let outcome = objects::share(&session.host, [180 + sharer, call], returning);
                    assert!(outcome.is_some() || self.closes, "the connection has ended");
                    if let Some(outcome) = outcome {
                        self.check(outcome, returning, false);
                    }
                }
            }));
        }
        for giver in 0..self.givers {
            start(Box::new(move |session| {
                for call in 0..self.calls {
                    let payload = [210 + giver, call];
                    let request = objects::offering(&session.host, QUICK, payload, &session.told);
                    self.check(session.host.call(request, Some(deadline())), payload, true);
                }
            }));
        }
    }

    fn call(self, session: &Session, target: u32, payload: [u8; 2], is_hurried: bool) {
        let request = Message { target, ..Message::answer(Kind::Request, 0, payload.to_vec()) };
        let outcome = session.host.call(request, is_hurried.then(deadline));
        self.check(outcome, payload, is_hurried);
    }

    /// As [`call`](Self::call), from a task; half of the hurried ones are dropped at some poll.
    fn call_async(self, session: &Session, payload: [u8; 2], is_hurried: bool) {
        let request = Message { target: QUICK, ..Message::answer(Kind::Request, 0, payload.to_vec()) };
        let mut polls = if is_hurried && shuttle::rand::thread_rng().r#gen() { 2 } else { u32::MAX };
        let mut call = pin!(session.host.call_async(request, is_hurried.then(deadline)));
        let outcome = shuttle::future::block_on(poll_fn(|context| {
            if polls == 0 {
                return Poll::Ready(None);
            }
            polls -= 1;
            if polls == 0 {
                context.waker().wake_by_ref();
            }
            call.as_mut().poll(context).map(Some)
        }));
        if let Some(outcome) = outcome {
            self.check(outcome, payload, is_hurried);
        }
    }

    fn check(self, outcome: Result<Message, CallFailure>, payload: [u8; 2], is_hurried: bool) {
        match outcome {
            Ok(answer) => assert_eq!(*answer.payload, payload, "another's answer"),
            Err(CallFailure::Late { .. }) => assert!(is_hurried, "late without a deadline"),
            Err(CallFailure::Closed { .. } | CallFailure::Unsent(_)) => {
                assert!(self.closes, "the connection has ended");
            }
        }
    }

    fn lend(self, session: &Session, payload: [u8; 2], is_hurried: bool) {
        let request = Message { target: CALLING, ..Message::answer(Kind::Request, 0, payload.to_vec()) };
        let mut lends = Lends::default();
        let outcome = session.host.call_lending(request, is_hurried.then(deadline), &mut lends);
        if outcome.is_ok() {
            assert_eq!(lends.notices, 2, "what is told is part of the answer");
            assert!(is_hurried || lends.questions == 1);
        }
        self.check(outcome, payload, is_hurried);
    }

    fn ping(self, side: &Arc<Connection>) {
        match side.call(Message::control(Kind::Ping, 0), None) {
            Ok(answer) => assert_eq!(answer.kind, Kind::Pong),
            Err(failure) => assert!(self.closes, "{failure:?}"),
        }
    }
}

impl Session {
    /// Joins the two sides by a new link.
    fn join(&self) {
        let [host, plugin] = link::pair(self.are_shared);
        let (first, second) = (self.host.begin_resume(), self.plugin.begin_resume());
        let (to_host, to_plugin) = (second.received(), first.received());
        // Fails only where no thread can be started, or one side's number is wrong.
        self.host.resume(first, Box::<ModelLink>::new(host), Deframer::new(), to_host).expect("the numbers agree");
        self.plugin
            .resume(second, Box::<ModelLink>::new(plugin), Deframer::new(), to_plugin)
            .expect("the numbers agree");
        // As a plugin does that has dialled again.
        self.plugin.write_rest();
    }

    /// Joins them again, unless that was done when the other side told of the same loss, or the host's end is closed.
    fn join_again(&self) {
        let is_over = self.host.end().is_some();
        if !is_over && (!self.host.is_linked() || !self.plugin.is_linked()) {
            self.join();
        }
    }

    fn cut(&self, times: u8) {
        for _ in 0..times {
            pause();
            let side = if shuttle::rand::thread_rng().r#gen() { &self.host } else { &self.plugin };
            if let Some((link, _)) = side.present_link() {
                link.close();
            }
        }
    }
}

/// The deadline of a caller in a hurry.
fn deadline() -> Instant {
    let limit = Duration::from_millis(shuttle::rand::thread_rng().gen_range(1..20));
    (Instant::now() + limit).will_come()
}

/// Lets others go on for a while.
fn pause() {
    let magnitude = shuttle::rand::thread_rng().gen_range(0..10);
    for _ in 0..shuttle::rand::thread_rng().gen_range(0..=1_u32 << magnitude) {
        thread::yield_now();
    }
}
