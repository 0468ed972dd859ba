//! Programs that are no plugins, and plugins that break the protocol. The first argument says how.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit, reason = "a rogue may")]

#[cfg(unix)]
fn main() {
    unix::main();
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this rogue harms no hosts but those on Unix");
}

#[cfg(unix)]
mod unix {
    use std::{
        collections::BTreeMap,
        env,
        io::{self, Write},
        os::unix::net::UnixStream,
        process::exit,
        thread,
        time::Duration,
    };

    use process_tests::{
        ProbeMethods,
        raw::{Frame, Hello, Interface, Welcome, fragments, header, kind, nested, read, write},
    };

    /// What older plugins lack.
    const LATER: [&str; 2] = [ProbeMethods::DESCRIBE, ProbeMethods::NOTE_OPTIONALLY];

    pub(super) fn main() {
        let mode = env::args().nth(1).unwrap_or_default();
        if let Some(path) = env::var_os("ROGUE_PID") {
            std::fs::write(path, std::process::id().to_string()).expect("the test has a directory");
        }
        match mode.as_str() {
            "exit-silently" => exit(3),
            "exit-with-stderr" => {
                eprintln!("first line\nconfig file missing: /etc/rogue.toml");
                exit(3);
            }
            "garbage" => print_forever(),
            "silent" => {
                let _stream = dial();
                wait();
            }
            "garbage-after-dial" => {
                let _ = dial().write_all(&[0x55; 4096]);
                wait();
            }
            "stale-session" => greet(&Hello { session: "11".repeat(32), ..hello() }),
            "newer-protocol" => greet(&Hello { protocols: vec![2, 3], ..hello() }),
            "wrong-token" => greet(&Hello { token: "00".repeat(32), ..hello() }),
            "no-interface" => greet(&Hello { interfaces: Vec::new(), ..hello() }),
            "lacks-describe" => {
                let names: Vec<&str> =
                    ProbeMethods::NAMES.iter().copied().filter(|name| !LATER.contains(name)).collect();
                let hello = Hello { interfaces: vec![interface("1.0.0", &names)], ..hello() };
                answer(&mode, &hello);
            }
            "old-interface" => greet(&Hello { interfaces: vec![interface("1.0.0", &["add"])], ..hello() }),
            "next-major" => greet(&Hello { interfaces: vec![interface("2.0.0", ProbeMethods::NAMES)], ..hello() }),
            "dials-twice" => answer_twice(&hello()),
            "resumes-at-once" => resume_at_once(&hello()),
            mode => answer(mode, &hello()),
        }
    }

    /// Greets properly, then answers every request in the manner of `mode`.
    fn answer(mode: &str, hello: &Hello) {
        let mut stream = dial();
        write(&mut stream, &introduction(hello)).expect("the host listens");
        let welcome = read(&mut stream).expect("the host answers");
        let mut cancelled = 0;
        while let Ok(request) = read(&mut stream) {
            if request.kind == kind::CANCEL {
                cancelled = request.call;
                if mode == "answers-late" {
                    write(&mut stream, &Frame::new(kind::VALUE, cancelled, vec![9])).expect("the host reads");
                }
            }
            if request.kind != kind::REQUEST {
                continue;
            }
            let value = |payload| Frame::new(kind::VALUE, request.call, payload).to_bytes();
            let bytes = match mode {
                "claims-4-gib" => header(u32::MAX, &Frame::new(kind::VALUE, request.call, Vec::new())),
                "nested" => {
                    let whole = Frame::new(kind::VALUE, request.call, nested(100_000));
                    fragments(&whole).iter().flat_map(Frame::to_bytes).collect()
                }
                "half-a-frame" => value(vec![0xa5; 100])[..50].to_vec(),
                "wrong-shape" => value(vec![0xa2, b'n', b'o']),
                "two-values" => value(vec![0x01, 0x02]),
                "empty" => value(Vec::new()),
                "unknown-kind" => Frame::new(99, request.call, Vec::new()).to_bytes(),
                "reserved-flag" => Frame { flags: 0x80, ..Frame::new(kind::VALUE, request.call, vec![1]) }.to_bytes(),
                "ack-of-unsent" => Frame { ack: 1000, ..Frame::new(kind::VALUE, request.call, vec![1]) }.to_bytes(),
                "unknown-call" => {
                    let stray = Frame::new(kind::VALUE, request.call + 500, vec![1]).to_bytes();
                    [stray, value(vec![7])].concat()
                }
                "ignorable-kind" => [Frame::new(200, 0, vec![1, 2, 3]).to_bytes(), value(vec![7])].concat(),
                "request-to-host" => {
                    let request = Frame::new(kind::REQUEST, 1, vec![0x90]);
                    [request.to_bytes(), value(vec![7])].concat()
                }
                "oneway-to-host" => {
                    let oneway = Frame::new(kind::ONEWAY, 0, vec![0x90]).to_bytes().repeat(2000);
                    [oneway, value(vec![7])].concat()
                }
                "releases-unheld" => Frame { target: 70_000, ..Frame::new(kind::RELEASE, 3, Vec::new()) }.to_bytes(),
                "gives-one-too-often" => [giving((0..70_000).map(|_| 1)), value(vec![7])].concat(),
                "gives-and-takes" => [giving(0..20_000).repeat(2), value(vec![7])].concat(),
                "gives-and-does-not-read" => {
                    // The host hangs up meanwhile.
                    let _ = stream.write_all(&[giving(0..60_000).repeat(20), value(vec![7])].concat());
                    return wait();
                }
                "credits-unsent" => Frame::new(kind::CREDIT, 1, Vec::new()).to_bytes(),
                "hangs-up-and-dies" => {
                    drop(stream);
                    thread::sleep(Duration::from_millis(300));
                    exit(6);
                }
                "comes-back-late" => {
                    drop(stream);
                    thread::sleep(Duration::from_millis(400));
                    stream = resume(&welcome.payload, hello);
                    Frame { ack: 1, ..Frame::new(kind::VALUE, request.call, vec![7]) }.to_bytes()
                }
                "hangs-up-once" if has_run_before() => value(vec![2]),
                "hangs-up" | "hangs-up-once" => {
                    drop(stream);
                    return wait();
                }
                "lacks-describe" => value(vec![2]),
                "steals-sessions" => value(vec![u8::from(steal(&welcome.payload, hello))]),
                "told-of-cancellations" | "answers-late" if request.call == 1 => continue,
                "told-of-cancellations" => value(rmp_serde::to_vec(&cancelled).expect("plain data")),
                "answers-late" => value(vec![7]),
                mode => panic!("unknown mode {mode}"),
            };
            stream.write_all(&bytes).expect("the host reads");
            if mode == "half-a-frame" {
                return;
            }
        }
    }

    /// Goes on with the session in which one frame has been received.
    fn resume(welcome: &[u8], hello: &Hello) -> UnixStream {
        let session = rmp_serde::from_slice::<Welcome>(welcome).expect("a welcome").session;
        let mut stream = dial();
        write(&mut stream, &introduction(&Hello { session, received: 1, ..hello.clone() })).expect("the host listens");
        assert_eq!(read(&mut stream).expect("the host answers").kind, kind::WELCOME, "the host has given up");
        stream
    }

    /// Whether an earlier run of this program has left its mark.
    fn has_run_before() -> bool {
        let mark = env::var_os("ROGUE_MARK").expect("the test has a directory");
        std::fs::OpenOptions::new().write(true).create_new(true).open(mark).is_err()
    }

    /// Answers every request over two connections that it dials at once, after both have been greeted. The answer is how many
    /// answers that makes.
    fn answer_twice(hello: &Hello) {
        let mut first = dial();
        write(&mut first, &introduction(hello)).expect("the host listens");
        let session = welcomed(&mut first).session;
        let (mut links, mut received, mut answered) = (vec![first], 0, 0);
        // One of the two ends, and the host goes on over the other.
        while let Some(request) = links.iter_mut().find_map(|link| next_request(link, &mut received)) {
            assert_eq!(request.ack, answered, "the host takes an answer once, however often it is sent");
            links = vec![dial(), dial()];
            let resuming = introduction(&Hello { session: session.clone(), received, ..hello.clone() });
            for link in &mut links {
                write(link, &resuming).expect("the host listens");
            }
            for link in &mut links {
                assert_eq!(welcomed(link).received, answered);
            }
            answered += 1;
            let payload = rmp_serde::to_vec(&answered).expect("plain data");
            let answer = Frame { ack: received, ..Frame::new(kind::VALUE, request.call, payload) };
            for link in &mut links {
                // The host may have hung up on this one.
                let _ = write(link, &answer);
            }
        }
    }

    /// Hangs up as soon as it knows its session, and goes on with it over a connection that it had dialled before.
    fn resume_at_once(hello: &Hello) {
        let (mut first, mut second) = (dial(), dial());
        write(&mut first, &introduction(hello)).expect("the host listens");
        let session = welcomed(&mut first).session;
        write(&mut second, &introduction(&Hello { session, ..hello.clone() })).expect("the host listens");
        drop(first);
        welcomed(&mut second);
        while let Some(request) = next_request(&mut second, &mut 0) {
            write(&mut second, &Frame::new(kind::VALUE, request.call, vec![7])).expect("the host reads");
        }
    }

    fn welcomed(stream: &mut UnixStream) -> Welcome {
        let answer = read(stream).expect("the host answers");
        assert_eq!(answer.kind, kind::WELCOME, "{}", String::from_utf8_lossy(&answer.payload));
        rmp_serde::from_slice(&answer.payload).expect("a welcome")
    }

    /// The next request, if the stream brings one before it ends. `received` counts what must be counted.
    fn next_request(stream: &mut UnixStream, received: &mut u32) -> Option<Frame> {
        loop {
            let frame = read(stream).ok()?;
            *received += u32::from(frame.kind != kind::ACK);
            if frame.kind == kind::REQUEST {
                return Some(frame);
            }
        }
    }

    /// Whether the host lets anybody in with half of what it takes: a session without its token, a token that was used.
    fn steal(welcome: &[u8], hello: &Hello) -> bool {
        let session = rmp_serde::from_slice::<Welcome>(welcome).expect("a welcome").session;
        let attempts = [Hello { session, token: "00".repeat(32), ..hello.clone() }, hello.clone()];
        attempts.iter().any(|attempt| {
            let mut stream = dial();
            write(&mut stream, &introduction(attempt)).expect("the host listens");
            read(&mut stream).expect("the host answers").kind != kind::REFUSED
        })
    }

    /// An answer that nobody waits for, and which gives the host those objects.
    fn giving(targets: impl Iterator<Item = u32>) -> Vec<u8> {
        let objects: BTreeMap<&str, Vec<u32>> = [("objects", targets.collect())].into();
        let mut payload = rmp_serde::to_vec(&objects).expect("plain data");
        payload.push(0x90);
        let count = payload.chunks(65_536).count();
        let frame = |(place, part): (usize, &[u8])| Frame {
            flags: u8::from(place == 0) | if place + 1 < count { 2 } else { 0 },
            ..Frame::new(kind::VALUE, u32::MAX, part.to_vec())
        };
        payload.chunks(65_536).enumerate().flat_map(|part| frame(part).to_bytes()).collect()
    }

    fn dial() -> UnixStream {
        UnixStream::connect(env::var_os("PLUGIN_CORE_SOCKET").expect("started by a host")).expect("the host listens")
    }

    fn hello() -> Hello {
        Hello {
            protocols: vec![1],
            token: env::var("PLUGIN_CORE_TOKEN").expect("started by a host"),
            features: vec!["telepathy".into()],
            interfaces: vec![interface("1.2.0", ProbeMethods::NAMES)],
            ..Hello::default()
        }
    }

    fn interface(version: &str, methods: &[&str]) -> Interface {
        let methods = methods.iter().map(ToString::to_string).collect();
        Interface { name: "Probe".into(), version: Some(version.into()), methods }
    }

    fn introduction(hello: &Hello) -> Frame {
        Frame::new(kind::HELLO, 0, rmp_serde::to_vec_named(hello).expect("plain data"))
    }

    /// Greets, says on standard error what came back, and stays until the host hangs up.
    fn greet(hello: &Hello) {
        let mut stream = dial();
        write(&mut stream, &introduction(hello)).expect("the host listens");
        let answer = read(&mut stream).expect("the host answers");
        if answer.kind == kind::REFUSED {
            eprintln!("refused: {}", String::from_utf8_lossy(&answer.payload));
            exit(4);
        }
        while read(&mut stream).is_ok() {}
    }

    fn print_forever() {
        let line = [b'#'; 1000];
        while io::stdout().write_all(&line).is_ok() {}
    }

    /// Until the lifeline ends, so that a failed test leaves nothing behind.
    fn wait() {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
    }
}
