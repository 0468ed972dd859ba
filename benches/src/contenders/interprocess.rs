//! The bare local socket of `interprocess`, which plugin-core is built on.

use std::sync::Mutex;
#[cfg(not(unix))]
use std::{ffi::OsStr, path::Path};

use ::interprocess::local_socket::{ListenerOptions, Name, prelude::*};

use super::{
    Child, Running,
    socket::{Frames, OneCaller},
};
use crate::Result;

pub(crate) fn start() -> Result<Box<dyn Running>> {
    let directory = tempfile::tempdir()?;
    let address = directory.path().join("socket").to_string_lossy().into_owned();
    let listener = ListenerOptions::new().name(name(&address)?).create_sync()?;
    let child = Child::start("interprocess", &address)?;
    let stream = listener.accept()?;
    Ok(Box::new(OneCaller { frames: Mutex::new(Frames::new(stream)), _child: child }))
}

pub(crate) fn serve(address: &str) -> Result<()> {
    Ok(Frames::new(LocalSocketStream::connect(name(address)?)?).serve()?)
}

#[cfg(unix)]
fn name(address: &str) -> Result<Name<'_>> {
    Ok(address.to_fs_name::<::interprocess::local_socket::GenericFilePath>()?)
}

#[cfg(not(unix))]
fn name(address: &str) -> Result<Name<'_>> {
    // A pipe has a name of one part; that of the directory is random.
    let directory = Path::new(address).parent().and_then(Path::file_name).and_then(OsStr::to_str);
    Ok(directory.unwrap_or(address).to_ns_name::<::interprocess::local_socket::GenericNamespaced>()?)
}
