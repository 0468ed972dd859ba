//! What a plugin makes of requests that bring objects, and what a host does with objects and streams that it is given.

use std::{future::poll_fn, task::Poll};

use shuttle::rand::Rng;

use crate::{
    codec::Encoder,
    connection::{Brought, CallFailure, Connection, Export, Import, Inward, Sent},
    protocol::{
        Violation,
        frame::Kind,
        message::Message,
        metadata::{FIRST_OBJECT, Metadata},
    },
    server::{GIVING, STREAMING},
    sides::{Told, without_metadata},
    sync::{
        Arc, Instant,
        atomic::{AtomicBool, Ordering},
        thread,
    },
};

/// The plugin's one object, which it gives again and again. Others have numbers of their own, behind it.
pub(crate) const SHARED: u32 = FIRST_OBJECT;

/// What a stream brings, an item in each message.
const ITEMS: [u8; 3] = [7, 8, 9];

/// In the second byte of a request for a stream: it brings one item only, and no end.
pub(crate) const SILENT: u8 = 2;

/// An object, or a stream.
pub(crate) struct Thing {
    target: u32,
    is_stream: bool,
    is_demanded: AtomicBool,
    told: Arc<Told>,
}

impl Thing {
    fn export(target: u32, is_stream: bool, told: &Arc<Told>) -> Arc<dyn Export> {
        Arc::new(Self { target, is_stream, is_demanded: AtomicBool::new(false), told: Arc::clone(told) })
    }
}

impl Export for Thing {
    fn target(&self) -> u32 {
        self.target
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }

    fn is_stream(&self) -> bool {
        self.is_stream
    }

    fn demanded(&self, connection: &Arc<Connection>, _bytes: u32) -> Result<(), Violation> {
        assert!(
            self.is_stream && !self.is_demanded.swap(true, Ordering::Relaxed),
            "a window is more than all there is"
        );
        let (connection, target) = (Arc::clone(connection), self.target);
        drop(thread::spawn(move || {
            let items = ITEMS.iter().map(|item| Message::answer(Kind::Items, 0, vec![*item]));
            let is_silent = (target - SHARED - 1) & u32::from(SILENT) != 0;
            let count = if is_silent { 1 } else { usize::MAX };
            for message in items.chain([Message::control(Kind::End, 0)]).take(count) {
                // Fails only where the connection has ended.
                if connection.send(Message { target, ..message }, None) == Ok(Sent::Partly) {
                    connection.stalled();
                }
            }
        }));
        Ok(())
    }

    fn released(&self) {
        self.told.note_change();
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.told.note_change();
    }
}

/// The number of what a request of this payload gives, or is given.
fn number(payload: &[u8]) -> u32 {
    SHARED + 1 + (u32::from(payload[0]) << 8) + u32::from(payload[1])
}

/// `message` with what is to be said before its payload.
fn with_metadata(message: Message, metadata: &Metadata) -> Message {
    let mut encoder = Encoder::new(usize::MAX);
    metadata.write(&mut encoder).expect("there is room");
    let mut payload = encoder.into_buffer();
    payload.extend_from_slice(&message.payload);
    Message { meta: true, payload, ..message }
}

/// `message` as it gives an object of this side.
fn giving(connection: &Arc<Connection>, message: Message, thing: Arc<dyn Export>) -> Message {
    let metadata = Metadata { objects: vec![thing.target()], ..Metadata::default() };
    let cargo = connection.give(&[thing], &[]).expect("they are few");
    Message { cargo, ..with_metadata(message, &metadata) }
}

/// The plugin's answer to a request: what came with it, and what its target wants.
pub(crate) fn answer(connection: &Arc<Connection>, mut request: Message, told: &Arc<Told>) -> Message {
    let brought = brought(&mut request);
    if request.target == SHARED {
        let is_found = brought.as_ref().is_some_and(|brought| brought.returned(SHARED).is_some());
        assert!(is_found || connection.end().is_some(), "it was released before what returns it has come");
    }
    let plain = if request.meta { without_metadata(&request) } else { request.payload.to_vec() };
    // Nobody else has a use for it: so it is released before the answer goes.
    drop(brought);
    let target = match request.target {
        GIVING => SHARED,
        STREAMING => number(&plain),
        _ => return Message::answer(Kind::Value, request.call, plain),
    };
    let answer = Message::answer(Kind::Value, request.call, plain);
    giving(connection, answer, Thing::export(target, request.target == STREAMING, told))
}

fn brought(message: &mut Message) -> Option<Arc<Brought>> {
    message.cargo.take().map(|cargo| cargo.downcast().expect("it has arrived"))
}

/// What the plugin gives in its answer to such a request; `None` where the connection has ended.
fn given(host: &Arc<Connection>, target: u32, payload: [u8; 2]) -> Option<Arc<Import>> {
    let mut answer = host.call(request(target, payload), None).ok()?;
    assert_eq!(without_metadata(&answer), payload, "another's answer");
    let target = if target == GIVING { SHARED } else { number(&payload) };
    Some(brought(&mut answer)?.import(target).expect("it has come along"))
}

fn request(target: u32, payload: [u8; 2]) -> Message {
    Message { target, ..Message::answer(Kind::Request, 0, payload.to_vec()) }
}

/// A request that gives the plugin an object of the host.
pub(crate) fn offering(host: &Arc<Connection>, target: u32, payload: [u8; 2], told: &Arc<Told>) -> Message {
    giving(host, request(target, payload), Thing::export(number(&payload), false, told))
}

/// Is given the plugin's object, and returns it to itself while another thread drops a handle. Gives what came of that, unless
/// the connection has ended.
pub(crate) fn share(
    host: &Arc<Connection>,
    payload: [u8; 2],
    returning: [u8; 2],
) -> Option<Result<Message, CallFailure>> {
    let import = given(host, GIVING, payload)?;
    let other = Arc::clone(&import);
    let dropping = thread::spawn(move || drop(other));
    let metadata = Metadata { returned: vec![SHARED], ..Metadata::default() };
    let cargo = host.give(&[], &[Arc::clone(&import)]).expect("it gives nothing");
    let request = Message { cargo, ..with_metadata(request(SHARED, returning), &metadata) };
    drop(import);
    let outcome = host.call(request, None);
    dropping.join().expect("a panic ends the model");
    Some(outcome)
}

/// Reads a stream of the plugin's, as a thread or as a task; in a hurry, it comes late, goes on, or leaves at any time.
pub(crate) fn read(host: &Arc<Connection>, payload: [u8; 2], is_task: bool, deadline: Option<fn() -> Instant>) -> bool {
    let Some(import) = given(host, STREAMING, payload) else { return false };
    let mut inward = Inward::new(import).expect("each has a number of its own");
    let mut items = Vec::new();
    loop {
        let until = deadline.map(|deadline| deadline());
        let received = if is_task { poll(&mut inward, until) } else { Some(inward.receive(until)) };
        match received {
            Some(Ok(message)) if message.kind == Kind::Items => items.extend_from_slice(&message.payload),
            Some(Ok(message)) => {
                assert_eq!((message.kind, &items[..]), (Kind::End, &ITEMS[..]), "all items, and in order");
                return true;
            }
            None | Some(Err(CallFailure::Late { .. })) => {
                assert!(until.is_some(), "late without a deadline");
                assert!(ITEMS.starts_with(&items), "{items:?}");
                if shuttle::rand::thread_rng().r#gen() {
                    return true;
                }
            }
            Some(Err(_)) => return false,
        }
    }
}

/// Receives as a task does; one in a hurry may turn to something else after a poll.
fn poll(inward: &mut Inward, until: Option<Instant>) -> Option<Result<Message, CallFailure>> {
    let mut polls = if until.is_some() && shuttle::rand::thread_rng().r#gen() { 2 } else { u32::MAX };
    shuttle::future::block_on(poll_fn(|context| {
        polls -= 1;
        if polls == 0 {
            return Poll::Ready(None);
        }
        if polls == 1 {
            context.waker().wake_by_ref();
        }
        inward.poll_receive(context, until).map(Some)
    }))
}
