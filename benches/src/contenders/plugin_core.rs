//! This project.

use std::{
    io::{self, Read},
    thread,
    time::Duration,
};

use ::plugin_core::{ByteStream, Launcher, Plugin, Stream, Wait, connect, plugin_interface};

use super::{Blocking, Child, PLUGIN_CORE, Running};
use crate::Result;

#[plugin_interface]
pub(crate) trait Echo {
    fn echo(&self, payload: &[u8]) -> ::plugin_core::Result<Vec<u8>>;
    fn sleep(&self, millis: u64) -> ::plugin_core::Result<()>;
    #[method(timeout = "none")]
    fn call_back(
        &self,
        payload: &[u8],
        count: u64,
        back: &mut dyn FnMut(&[u8]) -> ::plugin_core::Result<Vec<u8>>,
    ) -> ::plugin_core::Result<()>;
    fn items(&self, count: u64) -> ::plugin_core::Result<Stream<u64>>;
    fn bytes(&self, count: u64) -> ::plugin_core::Result<ByteStream>;
}

struct Server;

impl Echo for Server {
    fn echo(&self, payload: &[u8]) -> ::plugin_core::Result<Vec<u8>> {
        Ok(payload.to_vec())
    }

    fn sleep(&self, millis: u64) -> ::plugin_core::Result<()> {
        thread::sleep(Duration::from_millis(millis));
        Ok(())
    }

    fn call_back(
        &self,
        payload: &[u8],
        count: u64,
        back: &mut dyn FnMut(&[u8]) -> ::plugin_core::Result<Vec<u8>>,
    ) -> ::plugin_core::Result<()> {
        (0..count).try_for_each(|_| back(payload).map(drop))
    }

    fn items(&self, count: u64) -> ::plugin_core::Result<Stream<u64>> {
        Ok(Stream::iter((0..count).map(Ok)))
    }

    fn bytes(&self, count: u64) -> ::plugin_core::Result<ByteStream> {
        Ok(ByteStream::read_from(Costless(count)))
    }
}

/// So many bytes that take nothing to make: whatever the place for them holds. The bare socket sends one chunk again and again, so a
/// source that filled every chunk would be measured on one side only.
struct Costless(u64);

impl Read for Costless {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.0).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.0 -= count as u64;
        Ok(count)
    }
}

pub(crate) fn serve(_: &str) -> Result<()> {
    Ok(::plugin_core::serve::<dyn Echo>(Server)?)
}

pub(crate) fn start() -> Result<Box<dyn Running>> {
    start_with(|launcher| launcher)
}

/// Where yielding is the default.
pub(crate) fn start_blocking() -> Result<Box<dyn Running>> {
    start_with(|launcher| launcher.wait(Wait::Block))
}

/// Starts the plugin with options.
fn start_with(options: fn(Launcher) -> Launcher) -> Result<Box<dyn Running>> {
    let launcher = options(Launcher::new(Child::command(PLUGIN_CORE, "")?));
    Ok(Box::new(Connected(connect::<dyn Echo>(launcher)?)))
}

struct Connected(Plugin<dyn Echo>);

impl Blocking for Connected {
    fn echo(&self, payload: &[u8]) -> Result<usize> {
        Ok(self.0.echo(payload)?.len())
    }

    fn sleep(&self, millis: u64) -> Result<()> {
        Ok(self.0.sleep(millis)?)
    }

    fn call_back(&self, payload: &[u8], count: u64) -> Result<()> {
        Ok(self.0.call_back(payload, count, &mut |payload| Ok(payload.to_vec()))?)
    }

    fn items(&self, count: u64) -> Result<()> {
        let mut next = 0;
        for item in self.0.items(count)? {
            next += u64::from(item? == next);
        }
        if next == count { Ok(()) } else { Err(format!("{next} items came of {count}, or in another order").into()) }
    }

    fn bytes(&self, count: u64) -> Result<()> {
        let (mut bytes, mut chunk, mut read) = (self.0.bytes(count)?, vec![0; 64 << 10], 0);
        loop {
            match bytes.read(&mut chunk)? {
                0 if read == count => return Ok(()),
                0 => return Err(format!("{read} bytes came of {count}").into()),
                length => read += length as u64,
            }
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        // Waits, so that the stop of one plugin is not counted to the start of the next.
        let _ = Plugin::process(&self.0).shutdown();
    }
}
