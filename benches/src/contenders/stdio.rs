//! A plugin in nushell's manner: MessagePack with named fields, one value after another, over standard input and output.

use std::{
    collections::HashMap,
    io::{self, BufReader, BufWriter, Write},
    process::{ChildStdin, ChildStdout, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

use super::{Blocking, Child, Running};
use crate::Result;

#[derive(Serialize, Deserialize)]
enum Input {
    Call(u64, Request),
}

#[derive(Serialize, Deserialize)]
enum Request {
    Echo { payload: ByteBuf },
    Sleep { millis: u64 },
}

#[derive(Serialize, Deserialize)]
enum Output {
    CallResponse(u64, Response),
}

#[derive(Serialize, Deserialize)]
struct Response {
    payload: ByteBuf,
}

/// The calls that wait, by number.
type Waiting = Arc<Mutex<HashMap<u64, mpsc::Sender<Response>>>>;

struct Interface {
    input: Mutex<BufWriter<ChildStdin>>,
    waiting: Waiting,
    last: AtomicU64,
    _child: Child,
}

pub(crate) fn start() -> Result<Box<dyn Running>> {
    let mut process = Child::command("stdio", "")?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (input, output) = (process.stdin.take(), process.stdout.take());
    let child = Child::of(process);
    let (input, output) = input.zip(output).ok_or("the plugin has no pipes")?;
    let waiting = Waiting::default();
    thread::spawn({
        let waiting = waiting.clone();
        move || route(output, &waiting)
    });
    Ok(Box::new(Interface {
        input: Mutex::new(BufWriter::new(input)),
        waiting,
        last: AtomicU64::new(0),
        _child: child,
    }))
}

/// Hands every answer to the call that waits for it, until the plugin is gone.
fn route(output: ChildStdout, waiting: &Waiting) {
    let mut output = BufReader::new(output);
    while let Ok(Output::CallResponse(call, response)) = rmp_serde::from_read(&mut output) {
        let caller = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
        if let Some(caller) = caller {
            // The caller may have left.
            let _ = caller.send(response);
        }
    }
    // Whoever waits hears that nothing comes any more.
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

impl Interface {
    fn call(&self, request: Request) -> Result<Response> {
        let call = self.last.fetch_add(1, Relaxed);
        let (sender, answer) = mpsc::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(call, sender);
        write(&mut *self.input.lock().unwrap_or_else(PoisonError::into_inner), &Input::Call(call, request))?;
        Ok(answer.recv()?)
    }
}

impl Blocking for Interface {
    fn echo(&self, payload: &[u8]) -> Result<usize> {
        Ok(self.call(Request::Echo { payload: ByteBuf::from(payload) })?.payload.len())
    }

    fn sleep(&self, millis: u64) -> Result<()> {
        self.call(Request::Sleep { millis }).map(drop)
    }
}

pub(crate) fn serve(_: &str) -> Result<()> {
    let output = Arc::new(Mutex::new(BufWriter::new(io::stdout())));
    let mut input = BufReader::new(io::stdin().lock());
    while let Some(Input::Call(call, request)) = read(&mut input)? {
        let output = output.clone();
        thread::spawn(move || {
            let response = Output::CallResponse(call, answer(request));
            write(&mut *output.lock().unwrap_or_else(PoisonError::into_inner), &response)
        });
    }
    Ok(())
}

fn answer(request: Request) -> Response {
    match request {
        Request::Echo { payload } => Response { payload },
        Request::Sleep { millis } => {
            thread::sleep(Duration::from_millis(millis));
            Response { payload: ByteBuf::new() }
        }
    }
}

fn write<T: Serialize>(mut to: impl Write, value: &T) -> Result<()> {
    rmp_serde::encode::write_named(&mut to, value)?;
    Ok(to.flush()?)
}

/// The next value, or none if the other side is gone.
fn read<T: DeserializeOwned>(from: impl io::BufRead) -> Result<Option<T>> {
    let mut from = from;
    if from.fill_buf()?.is_empty() { Ok(None) } else { Ok(Some(rmp_serde::from_read(from)?)) }
}
