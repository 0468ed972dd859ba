//! From a request to what is to be said of it: decode, run, encode; and a clear failure where one of them is impossible.

use std::{sync::Arc, time::Instant};

use super::{
    call::CallState,
    executor::Executor,
    panics,
    tasks::{Outcome, Run},
};
use crate::{
    Error,
    codec::{self, Decoder, EncodeError, Encoder, along},
    connection::Connection,
    interface::{Dispatch, Fault, Verdict},
    objects::{Parcel, context::Context, depth},
    protocol::{
        frame::Kind,
        message::{Failure, FailureKind, Message},
    },
};

/// Answers a request.
pub(super) fn answer(
    dispatcher: Option<&dyn Dispatch>,
    request: &mut Message,
    call: Arc<CallState>,
    connection: &Arc<Connection>,
    now: Instant,
) -> Message {
    let limit = connection.max_message();
    let Some(_level) = depth::enter() else { return failed(request.call, &Failure::new(FailureKind::TooDeep, "")) };
    if let Err(failure) = check(&call, now) {
        return failed(request.call, &failure);
    }
    let Some(dispatcher) = dispatcher else {
        let why = format!("there is no object {}", request.target);
        return failed(request.call, &Failure::new(FailureKind::UnknownMethod, &why));
    };
    let mut place = Some(call);
    let outcome = CallState::run_in(&mut place, || run(dispatcher, request, limit));
    message(request.call, &place.expect("it is in its place again"), outcome, connection)
}

/// Why there is no point in running a handler any more, if so.
pub(super) fn check(call: &CallState, now: Instant) -> Result<(), Failure> {
    if call.is_stopping() && !call.is_given_up() {
        return Err(stopping());
    }
    if call.is_cancelled_at(now) {
        return Err(cancelled());
    }
    Ok(())
}

/// The answer to a call. If nobody waits for it when it is there, it is not worth sending.
pub(crate) fn message(number: u32, call: &CallState, outcome: Outcome, connection: &Arc<Connection>) -> Message {
    match outcome {
        Ok(_) if call.is_given_up() => failed(number, &cancelled()),
        Ok((verdict, answer)) => {
            if let Some(why) = call.untold().filter(|_| verdict == Verdict::Value) {
                return failed(number, why);
            }
            let kind = if verdict == Verdict::Value { Kind::Value } else { Kind::Error };
            let mut answer = match answer.into_plain() {
                Ok(payload) => return Message::answer(kind, number, payload),
                Err(answer) => answer,
            };
            let things = answer.take_things();
            let (payload, bulk) = answer.into_parts();
            let limit = connection.max_message().saturating_sub(bulk.len());
            let message = Message { bulk: bulk.into(), ..Message::control(kind, number) };
            let addressed =
                Parcel::seal(payload, things, limit, None, 0).and_then(|parcel| parcel.address(message, connection));
            addressed.unwrap_or_else(|error| failed(number, &answer_failure(error)))
        }
        Err(failure) => failed(number, &failure),
    }
}

fn cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "its time was over before it could run")
}

/// Runs a oneway call. The host was told nothing but that it is on its way, so what goes wrong is told here.
pub(super) fn run_oneway(
    executor: &Executor,
    dispatcher: Option<Arc<dyn Dispatch>>,
    mut call: Message,
    state: &Arc<CallState>,
    context: Context,
) {
    let Some(dispatcher) = dispatcher else {
        return tracing::warn!(target = call.target, "a oneway call of an object that is not there");
    };
    let method = dispatcher.descriptor().methods.get(usize::from(call.method)).map_or("unknown", |method| method.name);
    let outcome = if is_async(&*dispatcher, &call) {
        let dispatch = |method, request, answer| dispatcher.dispatch_async(method, request, answer);
        let limit = context.connection.max_message();
        Run::new(dispatcher.descriptor(), &mut call, Arc::clone(state), limit, dispatch).and_then(|mut run| {
            run.is_made_from(context);
            executor.block_on(None, run).unwrap_or_else(|_| Err(cancelled()))
        })
    } else {
        let limit = context.connection.max_message();
        context.run(|| state.run(|| run(&*dispatcher, &mut call, limit)))
    };
    match outcome {
        Ok((Verdict::Value, _)) => {}
        Ok((Verdict::Error, error)) => {
            let error = codec::from_slice::<Error>(&error.into_buffer())
                .map_or_else(|_| "its own".into(), |error| error.to_string());
            tracing::warn!(method, error, "a oneway method failed, and nobody waits for its error");
        }
        Err(Failure { kind, message, location }) => {
            tracing::warn!(method, ?kind, message, location, "a oneway method did not run to its end");
        }
    }
}

/// Runs the method; the encoded answer, or why there is none.
fn run(dispatcher: &dyn Dispatch, request: &mut Message, limit: usize) -> Outcome {
    dispatched(dispatcher.descriptor().name, request, limit, |method, arguments, answer| {
        dispatcher.dispatch(method, arguments, answer)
    })
}

/// As [`run`], of whatever `dispatch` does, which goes by `name`.
pub(crate) fn dispatched(
    name: &str,
    request: &mut Message,
    limit: usize,
    dispatch: impl FnOnce(usize, &mut Decoder<'_>, &mut Encoder) -> Result<Verdict, Fault>,
) -> Outcome {
    let mut arguments = Decoder::new(&request.payload);
    skip_metadata(request, &mut arguments)?;
    let mut answer = Encoder::new(limit);
    let outcome = along::coming(request.cargo.take(), || {
        panics::catch(|| dispatch(request.method.into(), &mut arguments, &mut answer))
    });
    concluded(outcome, answer, name, request.method)
}

fn skip_metadata(request: &Message, arguments: &mut Decoder<'_>) -> Result<(), Failure> {
    let skipped = if request.meta { arguments.skip() } else { Ok(()) };
    skipped.map_err(|error| Failure::new(FailureKind::BadArguments, &error.to_string()))
}

/// What has come of a method. A function of its own, since what it needs of the stack is not needed while the method runs, which may
/// wait for others.
fn concluded(
    outcome: Result<Result<Verdict, Fault>, panics::Panic>,
    answer: Encoder,
    name: &str,
    method: u16,
) -> Outcome {
    match outcome {
        Ok(Ok(verdict)) => Ok((verdict, answer)),
        Ok(Err(fault)) => Err(fault_failure(fault, name, method)),
        Err(panic) => Err(Failure::panicked(&panic.message, panic.location.as_deref())),
    }
}

pub(super) fn is_async(dispatcher: &dyn Dispatch, request: &Message) -> bool {
    dispatcher.descriptor().methods.get(usize::from(request.method)).is_some_and(|method| method.is_async)
}

pub(super) fn fault_failure(fault: Fault, name: &str, method: u16) -> Failure {
    match fault {
        Fault::UnknownMethod => {
            Failure::new(FailureKind::UnknownMethod, &format!("interface `{name}` has no method number {method}"))
        }
        Fault::Arguments(error) => Failure::new(FailureKind::BadArguments, &error.to_string()),
        Fault::Answer(error) => answer_failure(error),
    }
}

/// Why what a method returned cannot be sent.
fn answer_failure(error: EncodeError) -> Failure {
    match error {
        EncodeError::TooLarge(limit) => Failure::new(FailureKind::AnswerTooLarge, &limit.to_string()),
        EncodeError::Failed(message) => Failure::new(FailureKind::BadAnswer, &message),
    }
}

pub(super) fn failed(call: u32, failure: &Failure) -> Message {
    // Three strings and a variant: their encoding cannot fail.
    let payload = codec::encode(failure).unwrap_or_default();
    Message::answer(Kind::Failure, call, payload)
}

pub(super) fn stopping() -> Failure {
    Failure::new(FailureKind::Stopping, "the plugin is stopping")
}
