//! This project, with async methods.

use std::time::Duration;

use ::plugin_core::{Launcher, Plugin, connect, plugin_interface};
use bytes::Bytes;

use super::{Child, PLUGIN_CORE_ASYNC, Running};
use crate::{
    Result,
    tasks::{Client, Tasks, runtime},
};

#[plugin_interface]
pub(crate) trait Echo {
    async fn echo(&self, payload: &[u8]) -> ::plugin_core::Result<Vec<u8>>;
    async fn sleep(&self, millis: u64) -> ::plugin_core::Result<()>;
}

struct Server;

#[plugin_interface]
impl Echo for Server {
    async fn echo(&self, payload: &[u8]) -> ::plugin_core::Result<Vec<u8>> {
        Ok(payload.to_vec())
    }

    async fn sleep(&self, millis: u64) -> ::plugin_core::Result<()> {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(())
    }
}

pub(crate) fn serve(_: &str) -> Result<()> {
    Ok(::plugin_core::serve::<dyn Echo>(Server)?)
}

pub(crate) fn start() -> Result<Box<dyn Running>> {
    let client = connect::<dyn Echo>(Launcher::new(Child::command(PLUGIN_CORE_ASYNC, "")?))?;
    let stops = Stops(client.clone());
    Ok(Box::new(Tasks { runtime: runtime()?, client, _plugin: stops }))
}

impl Client for Plugin<dyn Echo> {
    async fn echo(&self, payload: Bytes) -> Result<usize> {
        Ok((**self).echo(&payload).await?.len())
    }

    async fn sleep(&self, millis: u64) -> Result<()> {
        Ok((**self).sleep(millis).await?)
    }
}

/// Waits for the plugin's end, so that the stop of one is not counted to the start of the next.
struct Stops(Plugin<dyn Echo>);

impl Drop for Stops {
    fn drop(&mut self) {
        let _ = Plugin::process(&self.0).shutdown();
    }
}
