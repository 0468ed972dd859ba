//! remoc's remote traits over a Unix socket, on a tokio runtime of one thread.
#![allow(unreachable_pub, missing_docs, clippy::pedantic, reason = "what `remoc::rtc::remote` generates")]

use std::{os::unix::net::UnixStream as StdStream, sync::Arc, time::Duration};

use ::remoc::{
    Cfg, Connect, ConnectExt, codec,
    rtc::{self, CallError, Client as _, ServerShared as _},
};
use bytes::Bytes;
use serde_bytes::ByteBuf;
use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf},
};

use super::{Running, unix};
use crate::{
    Result,
    tasks::{Client, Tasks, runtime},
};

#[rtc::remote]
pub trait Echo {
    async fn echo(&self, payload: ByteBuf) -> Result<ByteBuf, CallError>;
    async fn sleep(&self, millis: u64) -> Result<(), CallError>;
}

/// The largest value, in bytes.
const LARGEST: usize = 64 << 20;

struct Server;

impl Echo for Server {
    async fn echo(&self, payload: ByteBuf) -> Result<ByteBuf, CallError> {
        Ok(payload)
    }

    async fn sleep(&self, millis: u64) -> Result<(), CallError> {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(())
    }
}

pub(crate) fn serve(address: &str) -> Result<()> {
    let stream = unix::dial(address)?;
    runtime()?.block_on(async {
        let (server, mut client) = EchoServerShared::<_, codec::Default>::new(Arc::new(Server));
        client.set_max_request_size(LARGEST);
        client.set_max_response_size(LARGEST);
        let (read, write) = halves(stream)?;
        Connect::io(Cfg::default(), read, write).provide(client).await?;
        Ok(server.serve().await.map_err(|error| error.to_string())?)
    })
}

pub(crate) fn start() -> Result<Box<dyn Running>> {
    let (stream, child) = unix::meet("remoc")?;
    let runtime = runtime()?;
    let client: EchoClient = runtime.block_on(async {
        let (read, write) = halves(stream)?;
        let mut client: EchoClient = Connect::io(Cfg::default(), read, write).consume().await?;
        client.set_max_request_size(LARGEST);
        client.set_max_response_size(LARGEST);
        Result::<_>::Ok(client)
    })?;
    Ok(Box::new(Tasks { runtime, client, _plugin: child }))
}

fn halves(stream: StdStream) -> Result<(OwnedReadHalf, OwnedWriteHalf)> {
    stream.set_nonblocking(true)?;
    Ok(UnixStream::from_std(stream)?.into_split())
}

impl Client for EchoClient {
    async fn echo(&self, payload: Bytes) -> Result<usize> {
        Ok(Echo::echo(self, ByteBuf::from(&payload[..])).await?.len())
    }

    async fn sleep(&self, millis: u64) -> Result<()> {
        Ok(Echo::sleep(self, millis).await?)
    }
}
