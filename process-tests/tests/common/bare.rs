//! A plugin whose host is a test.

use std::{
    io::Read,
    os::unix::net::{UnixListener, UnixStream},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use process_tests::raw::{self, Frame, Hello, Welcome, kind};

use super::{PROBE, ProbeMethods};

/// A plugin whose host is this test.
pub(crate) struct Bare {
    child: Child,
    pub(crate) stream: UnixStream,
    listener: UnixListener,
    _directory: tempfile::TempDir,
}

impl Bare {
    pub(crate) fn probe() -> Self {
        Self::start_session(&Welcome::default())
    }

    /// The probe, in a session that is as `welcome` says.
    pub(crate) fn start_session(welcome: &Welcome) -> Self {
        Self::start(PROBE, ProbeMethods::NAMES, welcome)
    }

    /// Starts a plugin of one interface with these methods.
    pub(crate) fn start(program: &str, methods: &[&str], welcome: &Welcome) -> Self {
        Self::start_by(&mut Command::new(program), methods, welcome)
    }

    /// The probe, which ends by itself neither at goodbye nor when its host is gone.
    pub(crate) fn stubborn_probe() -> Self {
        Self::start_by(Command::new(PROBE).env("PROBE_STUBBORN", "1"), ProbeMethods::NAMES, &Welcome::default())
    }

    fn start_by(command: &mut Command, methods: &[&str], welcome: &Welcome) -> Self {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let socket = directory.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let token = "5a".repeat(32);
        command.env("PLUGIN_CORE_SOCKET", &socket).env("PLUGIN_CORE_TOKEN", &token);
        let child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let frame = raw::read(&mut stream).unwrap();
        assert_eq!((frame.kind, frame.flags, frame.ack), (kind::HELLO, 0, 0));
        let hello: Hello = rmp_serde::from_slice(&frame.payload).unwrap();
        assert_eq!((hello.protocols, hello.token), (vec![1], token));
        assert_eq!(hello.interfaces[0].methods, methods);
        let welcome = Welcome { protocol: 1, max_message: 1 << 20, ..welcome.clone() };
        raw::write(&mut stream, &welcoming(&welcome)).unwrap();
        Self { child, stream, listener, _directory: directory }
    }

    /// Hangs up, waits for the plugin to dial again, and answers its introduction with `answer`.
    pub(crate) fn cut(&mut self, answer: &Frame) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
        let (mut stream, _) = self.listener.accept().unwrap();
        let hello: Hello = rmp_serde::from_slice(&raw::read(&mut stream).unwrap().payload).unwrap();
        assert_eq!(hello.session, SESSION);
        raw::write(&mut stream, answer).unwrap();
        self.stream = stream;
    }

    pub(crate) fn request(&mut self, frame: &Frame) -> Frame {
        raw::write(&mut self.stream, frame).unwrap();
        raw::read(&mut self.stream).unwrap()
    }

    /// The plugin hangs up by itself, and says with its status that its host is at fault.
    pub(crate) fn gives_up(mut self) -> String {
        let mut rest = Vec::new();
        // Reset rather than ended, where something was still unread.
        let _ = self.stream.read_to_end(&mut rest);
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status: ExitStatus = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(1), "{status}");
        said
    }

    /// The plugin hangs up and ends as it does when its host is gone.
    pub(crate) fn hangs_up(mut self) {
        assert_eq!(self.stream.read(&mut [0; 10]).unwrap(), 0);
        let status: ExitStatus = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    /// The host is gone, which ends the plugin, even one that does not want to; how.
    pub(crate) fn ends_with_its_host(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        let mut status = None;
        let is_over = process_tests::eventually(Duration::from_secs(20), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(is_over, "the plugin outlived its host");
        status.unwrap()
    }
}

pub(crate) const SESSION: &str = "a session";

pub(crate) fn welcoming(welcome: &Welcome) -> Frame {
    Frame::new(kind::WELCOME, 0, rmp_serde::to_vec_named(welcome).unwrap())
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
