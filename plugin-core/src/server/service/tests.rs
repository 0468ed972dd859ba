//! Calls that cannot go on, or did not begin, when the plugin stops.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
};

use super::*;
use crate::{
    codec::{self, Decoder, Encoder},
    connection::{Handler, Options},
    interface::{Descriptor, Dispatched, Fault, Method, Request, Timeout, Verdict},
    protocol::frame::{Deframer, Kind},
    server::CallState,
    transport::memory,
};

/// A method that counts how often it is polled, and never ends.
#[derive(Default)]
struct Lingers(Arc<AtomicUsize>);

impl Dispatch for Lingers {
    fn descriptor(&self) -> &'static Descriptor {
        const LINGER: Method = Method {
            name: "linger",
            timeout: Timeout::Inherit,
            optional: false,
            idempotent: false,
            is_async: true,
            is_oneway: false,
        };
        &Descriptor { name: "Lingers", version: None, methods: &[LINGER] }
    }

    fn dispatch(&self, _: usize, _: &mut Decoder<'_>, _: &mut Encoder) -> Result<Verdict, Fault> {
        Err(Fault::UnknownMethod)
    }

    fn dispatch_async(&self, _: usize, _: Request, _: Encoder) -> Dispatched<'static> {
        let polled = Arc::clone(&self.0);
        Box::pin(std::future::poll_fn(move |_| {
            polled.fetch_add(1, Ordering::SeqCst);
            Poll::Pending
        }))
    }
}

#[test]
fn a_call_is_cancelled_whose_task_cannot_go_on_any_more() {
    let (done, over) = std::sync::mpsc::channel();
    let test = move || {
        let lingers = Arc::<Lingers>::default();
        let service = Service::new(vec![Arc::clone(&lingers) as _], Arc::default(), Executor::Pool);
        let (link, _other) = memory::pair();
        let options = Options { max_message: 1000, yields: false, ticks: false };
        let handler = Arc::clone(&service) as Arc<dyn Handler>;
        let connection = Connection::start(Box::new(link), Deframer::new(), handler, options).unwrap();
        service.request(&connection, Message::answer(Kind::Request, 7, vec![0]));
        while lingers.0.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        service.workers.stop(Duration::from_secs(20));
        service.cancel(7);
        while service.running() > 0 {
            std::thread::yield_now();
        }
        done.send(()).unwrap();
    };
    std::thread::spawn(test);
    over.recv_timeout(Duration::from_secs(20)).expect("nobody waits for himself, and its task is dropped");
}

#[test]
fn a_call_that_did_not_run_before_the_end_of_the_plugin_was_stopped_and_not_late() {
    let call = CallState::new(None);
    call.stop();
    let (link, _other) = memory::pair();
    let options = Options { max_message: 100, yields: false, ticks: false };
    let service = Service::new(Vec::new(), Arc::default(), Executor::Pool);
    let (handler, deframer) = (Arc::clone(&service) as Arc<dyn Handler>, Deframer::new());
    let connection = Connection::start(Box::new(link), deframer, handler, options).unwrap();
    let answer = answer(None, &mut Message::control(Kind::Request, 7), call, &connection, Instant::now());
    let failure: Failure = codec::from_slice(&answer.payload).unwrap();
    assert_eq!((answer.call, failure.kind), (7, FailureKind::Stopping));
}
