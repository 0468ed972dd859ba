//! A plugin of streams by hand, which breaks the rules of objects and streams. The first argument says how.
#![allow(clippy::print_stderr, reason = "it has nobody else to tell")]

#[cfg(unix)]
fn main() {
    unix::main();
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this impostor fools no hosts but those on Unix");
}

#[cfg(unix)]
mod unix {
    use std::{
        env,
        io::Write,
        os::unix::net::UnixStream,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
        time::Duration,
    };

    use process_tests::{
        raw::{self, Frame, Hello, Interface, kind, objects, read, write},
        streams::StreamerMethods,
    };

    /// The number of its only stream.
    const STREAM: u32 = 70_000;

    pub(super) fn main() {
        let mode = env::args().nth(1).unwrap_or_default();
        let mut stream = UnixStream::connect(env::var_os("PLUGIN_CORE_SOCKET").expect("started by a host"))
            .expect("the host listens");
        write(&mut stream, &introduction()).expect("the host listens");
        let has_let_go = Arc::new(AtomicBool::new(false));
        while let Ok(frame) = read(&mut stream) {
            let answers = match frame.kind {
                kind::REQUEST => answer(&mode, &frame),
                kind::DEMAND if mode == "answers-the-reader" => {
                    answer_the_reader(&stream, &has_let_go);
                    continue;
                }
                kind::DEMAND if frame.call > 1 << 19 => vec![items(&[1, 0, 0, 0, 0])],
                kind::RELEASE => {
                    has_let_go.store(true, Ordering::Relaxed);
                    continue;
                }
                _ => continue,
            };
            // The host may hang up before all of it is written.
            let _ = stream.write_all(&answers.iter().flat_map(Frame::to_bytes).collect::<Vec<_>>());
        }
    }

    /// Answers calls that were never made, one of which may be what the reader of the stream waits for.
    fn answer_the_reader(stream: &UnixStream, has_let_go: &Arc<AtomicBool>) {
        let mut stream = stream.try_clone().expect("there is another descriptor");
        let has_let_go = Arc::clone(has_let_go);
        thread::spawn(move || {
            while !has_let_go.load(Ordering::Relaxed) {
                let values = (2..20).flat_map(|call| Frame::new(kind::VALUE, call, vec![7]).to_bytes());
                if stream.write_all(&values.collect::<Vec<_>>()).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
    }

    fn answer(mode: &str, request: &Frame) -> Vec<Frame> {
        let value = |payload: &[u8]| Frame::new(kind::VALUE, request.call, payload.to_vec());
        match StreamerMethods::NAMES[usize::from(request.method)] {
            StreamerMethods::COUNT => give(mode, &value),
            StreamerMethods::SUM => {
                // The arguments end with the number of the host's stream.
                let number = request.payload.last_chunk().expect("there is a stream");
                [take(mode, u32::from_be_bytes(*number)), vec![value(&[7])]].concat()
            }
            _ => [misbehave(mode), vec![value(&[0x92, 0, 0])]].concat(),
        }
    }

    /// Answers with a stream.
    fn give(mode: &str, value: &dyn Fn(&[u8]) -> Frame) -> Vec<Frame> {
        let with_metadata = |metadata: &[u8], rest: &[u8]| Frame { flags: 1, ..value(&[metadata, rest].concat()) };
        match mode {
            "metadata-of-nonsense" => vec![with_metadata(&[0xc1], &raw::reference(STREAM))],
            "refers-to-another" => vec![with_metadata(&objects(&[STREAM]), &raw::reference(STREAM + 1))],
            "brings-nothing" => vec![value(&raw::reference(STREAM))],
            "gives-twice-the-same" => vec![with_metadata(&objects(&[STREAM, STREAM]), &raw::reference(STREAM))],
            "gives-too-many" => {
                let whole = with_metadata(&objects(&vec![7; 65_537]), &raw::reference(7));
                raw::fragments(&whole)
            }
            _ => vec![with_metadata(&objects(&[STREAM]), &raw::reference(STREAM))],
        }
    }

    /// What it does with a stream of the host's.
    fn take(mode: &str, target: u32) -> Vec<Frame> {
        let control = |kind, target, call| Frame { target, ..Frame::new(kind, call, Vec::new()) };
        match mode {
            "demands-without-end" => vec![control(kind::DEMAND, target, u32::MAX)],
            "demands-of-nothing" => vec![control(kind::DEMAND, STREAM, u32::MAX)],
            "releases-too-much" => vec![control(kind::RELEASE, target, 2)],
            "releases-nothing" => vec![control(kind::RELEASE, target, 0)],
            mode => panic!("unknown mode {mode}"),
        }
    }

    /// What it does while nobody reads its stream.
    fn misbehave(mode: &str) -> Vec<Frame> {
        let end = |target, why: &[u8]| Frame { target, ..Frame::new(kind::END, 0, why.to_vec()) };
        match mode {
            "sends-too-much" => vec![items(&vec![1; 65_536]); 17],
            "sends-nothing" => vec![items(&[])],
            "sends-metadata-of-nonsense" => vec![Frame { flags: 1, ..items(&[0xc1, 0, 0, 0]) }],
            "sends-metadata-without-items" => vec![Frame { flags: 1, ..items(&[0x80]) }],
            "sends-odd-metadata" => {
                let metadata = [&[0x81, 0xa7][..], b"objects", &[0xa1, b'x']].concat();
                vec![Frame { flags: 1, ..items(&[&metadata[..], &[1, 0, 0, 0, 1]].concat()) }, end(STREAM, &[])]
            }
            "ends-twice" => vec![end(STREAM, &[]), end(STREAM, &[])],
            "goes-on-behind-the-end" => vec![end(STREAM, &[]), items(&[1, 0, 0, 0, 1])],
            "sends-of-unknown" => {
                let unknown = Frame { target: STREAM + 1, ..items(&[1, 0, 0, 0, 9]) };
                vec![unknown, end(STREAM + 1, &[]), items(&[1, 0, 0, 0, 1]), end(STREAM, &[])]
            }
            "claims-a-long-item" => vec![items(&u32::MAX.to_le_bytes())],
            "ends-inside-an-item" => vec![items(&[2, 0, 0, 0, 0xcc]), end(STREAM, &[])],
            "ends-with-nonsense" => vec![end(STREAM, &[0xc1])],
            "releases-what-it-never-had" => {
                vec![Frame { target: STREAM, ..Frame::new(kind::RELEASE, 1, Vec::new()) }]
            }
            _ => Vec::new(),
        }
    }

    fn items(bytes: &[u8]) -> Frame {
        Frame { target: STREAM, ..Frame::new(kind::ITEMS, 0, bytes.to_vec()) }
    }

    fn introduction() -> Frame {
        let methods = StreamerMethods::NAMES.iter().map(ToString::to_string).collect();
        let hello = Hello {
            protocols: vec![1],
            token: env::var("PLUGIN_CORE_TOKEN").expect("started by a host"),
            interfaces: vec![Interface { name: "Streamer".into(), version: None, methods }],
            ..Hello::default()
        };
        Frame::new(kind::HELLO, 0, rmp_serde::to_vec_named(&hello).expect("plain data"))
    }
}
