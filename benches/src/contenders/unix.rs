//! The bare Unix socket of the standard library, blocking: what nothing over it can beat by working less.

use std::{
    os::unix::net::{UnixListener, UnixStream},
    sync::Mutex,
};

use super::{
    Child, RAW, Running,
    socket::{Frames, OneCaller},
};
use crate::Result;

pub(crate) fn start() -> Result<Box<dyn Running>> {
    let (stream, child) = meet(RAW)?;
    Ok(Box::new(OneCaller { frames: Mutex::new(Frames::new(stream)), _child: child }))
}

pub(crate) fn serve(address: &str) -> Result<()> {
    // It reads all the time, and sees by that when the host is gone.
    Ok(Frames::new(UnixStream::connect(address)?).serve()?)
}

/// Starts the plugin `name` and waits until it has connected.
pub(crate) fn meet(name: &str) -> Result<(UnixStream, Child)> {
    let directory = tempfile::tempdir()?;
    let address = directory.path().join("socket");
    let listener = UnixListener::bind(&address)?;
    let child = Child::start(name, &address.to_string_lossy())?;
    Ok((listener.accept()?.0, child))
}

/// In the plugin: connects to the host, and ends with it.
#[cfg(feature = "peers")]
pub(crate) fn dial(address: &str) -> Result<UnixStream> {
    let stream = UnixStream::connect(address)?;
    end_with_host();
    Ok(stream)
}

/// Ends the process when the host is gone.
#[cfg(feature = "peers")]
#[allow(clippy::exit, reason = "the host is gone: there is nobody to return to")]
fn end_with_host() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(0);
    });
}
