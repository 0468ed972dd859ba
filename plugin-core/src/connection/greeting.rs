//! The greeting: one frame each way before a session begins, within a time limit.

use std::io;

use serde::Serialize;

use crate::{
    codec,
    protocol::{
        Violation,
        frame::{Deframer, Frame, Header, Kind, MAX_PAYLOAD},
    },
    sync::Instant,
    transport::{Link, local::LocalLink},
};

/// Why there was no greeting.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GreetingError {
    #[error("it was silent for too long")]
    Timeout,
    #[error("it hung up")]
    Closed,
    #[error("{0}")]
    Violation(#[from] Violation),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the greeting is larger than {MAX_PAYLOAD} bytes: too many interfaces or methods, or too long names")]
    TooLarge,
}

/// Receives one whole frame until `deadline` and gives it to `read`. What follows it stays in `deframer`.
pub(crate) fn receive<T>(
    link: &LocalLink,
    deframer: &mut Deframer,
    deadline: Instant,
    read: impl FnOnce(&Frame<'_>) -> Result<T, Violation>,
) -> Result<T, GreetingError> {
    let received = loop {
        if let Some(frame) = deframer.next()? {
            break read(&frame)?;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(GreetingError::Timeout);
        }
        link.set_read_timeout(Some(left))?;
        match link.read(deframer.space()) {
            Ok(0) => return Err(GreetingError::Closed),
            Ok(count) => deframer.filled(count),
            Err(error) if is_timeout(&error) => return Err(GreetingError::Timeout),
            Err(error) => return Err(error.into()),
        }
    };
    link.set_read_timeout(None)?;
    Ok(received)
}

/// Sends one frame of the greeting, waiting for room until `deadline`.
pub(crate) fn send<T: Serialize>(
    link: &LocalLink,
    kind: Kind,
    message: &T,
    deadline: Instant,
) -> Result<(), GreetingError> {
    let payload = codec::encode(message).map_err(io::Error::other)?;
    if payload.len() > MAX_PAYLOAD {
        return Err(GreetingError::TooLarge);
    }
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut frame = Header { length, kind: kind as u8, ..Header::default() }.to_wire().to_vec();
    frame.extend_from_slice(&payload);
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(GreetingError::Timeout);
        }
        link.set_write_timeout(Some(left))?;
        match link.write(rest) {
            Ok(0) => return Err(GreetingError::Closed),
            Ok(count) => rest = &rest[count..],
            Err(error) if is_timeout(&error) => return Err(GreetingError::Timeout),
            Err(error) => return Err(error.into()),
        }
    }
    link.set_write_timeout(None)?;
    Ok(())
}

/// What a socket with a timeout reports depends on the platform.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
        thread,
        time::Duration,
    };

    use super::*;
    use crate::transport::local::LocalListener;

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(20);

    /// Why `peer` has not introduced itself within `limit`.
    fn greeted_by(limit: Duration, peer: impl FnOnce(UnixStream) + Send + 'static) -> GreetingError {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let listener = LocalListener::bind(&socket).unwrap();
        let stream = UnixStream::connect(&socket).unwrap();
        let link = listener.accept().unwrap();
        let peer = thread::spawn(move || peer(stream));
        let deadline = Instant::now() + limit;
        let error = receive(&link, &mut Deframer::new(), deadline, |_| Ok(())).unwrap_err();
        drop(link);
        peer.join().unwrap();
        error
    }

    #[test]
    fn who_is_silent_or_slow_runs_out_of_time() {
        let silent = greeted_by(SHORT, |mut stream| {
            stream.set_read_timeout(Some(LONG)).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it is given up, not waited for");
        });
        assert!(matches!(silent, GreetingError::Timeout), "{silent:?}");
        let slow = greeted_by(SHORT, |mut stream| {
            let header = Header { length: 100, kind: Kind::Hello as u8, ..Header::default() };
            stream.write_all(&header.to_wire()).unwrap();
            for _ in 0..100 {
                if stream.write_all(&[0]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        assert!(matches!(slow, GreetingError::Timeout), "bytes now and then buy no time: {slow:?}");
    }

    #[test]
    fn who_hangs_up_is_noticed_at_once() {
        assert!(matches!(greeted_by(LONG, drop), GreetingError::Closed));
    }
}
