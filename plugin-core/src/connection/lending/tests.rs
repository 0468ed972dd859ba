use std::{future::pending, task::Waker};

use super::*;
use crate::{
    codec,
    connection::{
        lock,
        tests::{connect, promptly},
    },
    protocol::{
        frame::{Deframer, Kind},
        metadata::FIRST_LENT,
        outgoing::MEMORY,
    },
    transport::{Link as _, memory::MemoryLink},
};

#[derive(Debug)]
struct Uncancelled;

impl Cancel for Uncancelled {
    fn cancel(&self) {}
}

/// Answers at once, but for a method with a number, whose callbacks never end.
struct Lends;

impl TaskLender<'static> for Lends {
    fn begin(&mut self, _: &Arc<Connection>, request: Message) -> Begun<'static> {
        match request.kind {
            Kind::Request if request.method == 0 => {
                Begun::Done(Some(Message::answer(Kind::Value, request.call, vec![0; 10])))
            }
            Kind::Request => {
                let number = request.call;
                let run = Box::pin(async move {
                    pending::<()>().await;
                    drop(request);
                    None
                });
                Begun::Runs(Callback { run, number, is_oneway: false, cancel: Arc::new(Uncancelled) })
            }
            _ => Begun::Done(None),
        }
    }
}

fn ask(connection: &Connection, message: Message) {
    let calls = lock(&connection.calls);
    let caller = calls.callers().next().unwrap();
    caller.asked.add(Message { target: FIRST_LENT, ..message }).unwrap();
}

/// The failures that this side has answered with, when it answers `last` with one.
fn failures(link: &MemoryLink, last: u32) -> Vec<(u32, FailureKind)> {
    let (mut deframer, mut failures) = (Deframer::new(), Vec::new());
    while failures.last().is_none_or(|(call, _)| *call != last) {
        let count = link.read(deframer.space()).unwrap();
        deframer.filled(count);
        while let Some(frame) = deframer.next().unwrap() {
            if frame.header.kind == Kind::Failure as u8 {
                let failure: Failure = codec::from_slice(frame.payload).unwrap();
                failures.push((frame.header.call, failure.kind));
            }
        }
    }
    failures
}

#[test]
fn whoever_is_owed_an_answer_is_told_though_the_task_is_dropped_before_it_tries_to_send_it() {
    let (connection, other) = connect();
    let (mut lends, context) = (Lends, &mut Context::from_waker(Waker::noop()));
    let mut call = connection.call_lending_async(Message::control(Kind::Request, 0), None, &mut lends);
    assert!(call.as_mut().poll(context).is_pending());
    connection.send(Message::answer(Kind::Oneway, 0, vec![0; MEMORY]), None).unwrap();
    // The last that it begins before it lets others run is one whose answer has no room.
    (1..PATIENCE).for_each(|_| ask(&connection, Message::control(Kind::Notice, 1)));
    ask(&connection, Message::control(Kind::Request, 9));
    assert!(call.as_mut().poll(context).is_pending() && call.answering.is_some());
    drop(call);
    assert_eq!(promptly(move || failures(&other, 9)), [(9, FailureKind::Late)]);
}

#[test]
fn what_runs_beside_each_other_holds_so_many_bytes_and_no_more() {
    let (connection, other) = connect();
    let (mut lends, context) = (Lends, &mut Context::from_waker(Waker::noop()));
    let mut call = connection.call_lending_async(Message::control(Kind::Request, 0), None, &mut lends);
    assert!(call.as_mut().poll(context).is_pending());
    // Of zeroes that nobody reads, which take no memory.
    let parts = 4;
    for number in 1..=parts + 1 {
        let request = Message::answer(Kind::Request, number, vec![0; MAX_RUNNING_BYTES / parts as usize]);
        ask(&connection, Message { method: 1, ..request });
        assert!(call.as_mut().poll(context).is_pending());
    }
    assert_eq!(call.running.len(), parts as usize);
    drop(call);
    let told = promptly(move || failures(&other, parts));
    assert_eq!(told[0], (parts + 1, FailureKind::Overloaded));
    assert!(told[1..].iter().all(|(_, kind)| *kind == FailureKind::Interrupted), "{told:?}");
}
