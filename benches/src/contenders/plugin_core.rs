//! This project.

use std::{thread, time::Duration};

use ::plugin_core::{Launcher, Plugin, Wait, connect, plugin_interface};

use super::{Blocking, Child, PLUGIN_CORE, Running};
use crate::Result;

#[plugin_interface]
pub(crate) trait Echo {
    fn echo(&self, payload: &[u8]) -> ::plugin_core::Result<Vec<u8>>;
    fn sleep(&self, millis: u64) -> ::plugin_core::Result<()>;
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
}

impl Drop for Connected {
    fn drop(&mut self) {
        // Waits, so that the stop of one plugin is not counted to the start of the next.
        let _ = Plugin::process(&self.0).shutdown();
    }
}
