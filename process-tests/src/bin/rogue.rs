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
        env,
        io::{self, Write},
        os::unix::net::UnixStream,
        process::exit,
        thread,
        time::Duration,
    };

    use process_tests::{
        ProbeMethods,
        raw::{Frame, Hello, Interface, Welcome, header, kind, nested, read, write},
    };

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
                let names: Vec<&str> = ProbeMethods::NAMES.iter().copied().filter(|name| *name != "describe").collect();
                let hello = Hello { interfaces: vec![interface("1.0.0", &names)], ..hello() };
                answer(&mode, &hello);
            }
            "old-interface" => greet(&Hello { interfaces: vec![interface("1.0.0", &["add"])], ..hello() }),
            "next-major" => greet(&Hello { interfaces: vec![interface("2.0.0", ProbeMethods::NAMES)], ..hello() }),
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
            }
            if request.kind != kind::REQUEST {
                continue;
            }
            let value = |payload| Frame::new(kind::VALUE, request.call, payload).to_bytes();
            let bytes = match mode {
                "claims-4-gib" => header(u32::MAX, &Frame::new(kind::VALUE, request.call, Vec::new())),
                "nested" => fragments(request.call, &nested(100_000)),
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
                "hangs-up-and-dies" => {
                    drop(stream);
                    thread::sleep(Duration::from_millis(300));
                    exit(6);
                }
                "hangs-up" => {
                    drop(stream);
                    return wait();
                }
                "lacks-describe" => value(vec![2]),
                "steals-sessions" => value(vec![u8::from(steal(&welcome.payload, hello))]),
                "told-of-cancellations" if request.call == 1 => continue,
                "told-of-cancellations" => value(rmp_serde::to_vec(&cancelled).expect("plain data")),
                "answers-late" => {
                    thread::sleep(Duration::from_millis(100));
                    value(vec![7])
                }
                mode => panic!("unknown mode {mode}"),
            };
            stream.write_all(&bytes).expect("the host reads");
            if mode == "half-a-frame" {
                return;
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

    fn fragments(call: u32, payload: &[u8]) -> Vec<u8> {
        let count = payload.chunks(65_536).count();
        let frame = |(place, part): (usize, &[u8])| Frame {
            flags: if place + 1 < count { 2 } else { 0 },
            ..Frame::new(kind::VALUE, call, part.to_vec())
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
