//! Streams of bytes.

use std::io::{BufRead, Read as _, Write as _};

use super::*;

#[test]
fn bytes_arrive_as_they_were() {
    promptly(|| {
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let (mut sender, channel) = ByteStream::channel();
        let written = bytes.clone();
        thread::spawn(move || sender.write_all(&written));
        let reader = ByteStream::read_from(std::io::Cursor::new(bytes.clone()));
        let relayed = sent_bytes(&sent_bytes(&ByteStream::read_from(std::io::Cursor::new(bytes.clone()))));
        for mut stream in [sent_bytes(&reader), sent_bytes(&channel), relayed] {
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            assert!(received == bytes);
        }
    });
}

#[test]
fn what_a_reader_fails_with_is_the_source_of_the_error() {
    struct Fails(u8);
    impl std::io::Read for Fails {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => Err(std::io::ErrorKind::Interrupted.into()),
                2 => {
                    bytes[..2].copy_from_slice(b"a\n");
                    Ok(2)
                }
                _ => Err(std::io::Error::other("no more paper")),
            }
        }
    }
    promptly(|| {
        for mut stream in [ByteStream::read_from(Fails(0)), sent_bytes(&ByteStream::read_from(Fails(0)))] {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            assert_eq!(line, "a\n");
            let error = stream.read(&mut [0]).unwrap_err();
            let source = error.get_ref().and_then(|error| error.downcast_ref::<Error>()).unwrap();
            assert_eq!(source.to_string(), "no more paper");
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn reading_bytes_within_a_limit_loses_nothing() {
    promptly(|| {
        let (mut sender, stream) = ByteStream::channel();
        let mut stream = sent_bytes(&stream);
        let late = within(Duration::from_millis(20), || stream.read(&mut [0; 10])).unwrap_err();
        assert_eq!(late.kind(), std::io::ErrorKind::TimedOut);
        sender.write_all(b"x").unwrap();
        assert_eq!(stream.read(&mut [0; 10]).unwrap(), 1);
        drop(stream);
        until(|| sender.is_unread());
        assert_eq!(sender.write(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    });
}
