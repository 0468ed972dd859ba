//! Streams of bytes as tokio's readers and writers.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    future::Future,
    io::{self, Cursor},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use common::watchdog;
use plugin_core::{ByteStream, Launcher, Output, Plugin, within_async};
use process_tests::streams::{Make, Streamer, made, next};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

async fn streamer() -> Plugin<dyn Streamer> {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_streamer")).output(Output::Discard);
    launcher.spawn_async().await.unwrap().interface_async().await.unwrap()
}

/// Ends after a moment, without having given anything: only on a runtime with a clock.
#[derive(Default)]
struct Late(Option<Pin<Box<tokio::time::Sleep>>>);

impl AsyncRead for Late {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        _bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(5))));
        sleep.as_mut().poll(context).map(Ok)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn read_and_write() {
    let streamer = streamer().await;
    let bytes = b"tokio ".repeat(500_000);
    for is_sent in [false, true] {
        let as_sent = |stream| if is_sent { streamer.shout(stream).unwrap() } else { stream };
        let expected = if is_sent { bytes.to_ascii_uppercase() } else { bytes.clone() };
        let (mut sender, stream) = ByteStream::channel();
        let written = bytes.clone();
        let writing = tokio::spawn(async move {
            sender.write_all(&written).await?;
            sender.shutdown().await
        });
        let mut received = Vec::new();
        as_sent(stream).read_to_end(&mut received).await.unwrap();
        writing.await.unwrap().unwrap();
        assert!(received == expected);
        let delayed = Late::default().chain(Cursor::new(bytes.clone()));
        let mut received = Vec::new();
        as_sent(ByteStream::read_from_async(delayed)).read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        let (sender, stream) = ByteStream::channel();
        let mut stream = as_sent(stream);
        let late = within_async(Duration::from_millis(20), stream.read_u8()).await;
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(sender);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        // Nobody reads, and whoever writes is told in time.
        let (mut sender, unread) = ByteStream::channel();
        let late = within_async(Duration::from_millis(20), sender.write_all(&bytes)).await;
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(unread);
        assert_eq!(sender.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
    let numbers = made(Make::Hesitant, (0..1000).map(Ok));
    let mut relayed = streamer.relay(numbers).unwrap();
    for expected in 0..1000 {
        assert_eq!(next(&mut relayed).await.unwrap().unwrap(), expected);
    }
}

#[test]
fn bytes_are_read_and_written_by_tokio() {
    watchdog(120, read_and_write);
}
