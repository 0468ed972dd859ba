//! tarpc: MessagePack over a Unix socket, on a tokio runtime of one thread.
#![allow(unreachable_pub, missing_docs, reason = "what `tarpc::service` generates")]

use std::{os::unix::net::UnixStream as StdStream, time::Duration};

use ::tarpc::{
    client, context,
    serde_transport::{self, Transport},
    server::{BaseChannel, Channel, Config},
    tokio_serde::formats::MessagePack,
    tokio_util::codec::LengthDelimitedCodec,
};
use bytes::Bytes;
use futures::StreamExt;
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use tokio::net::UnixStream;

use super::{Running, unix};
use crate::{
    Result,
    tasks::{Client, Tasks, runtime},
};

#[::tarpc::service]
pub(crate) trait Echo {
    async fn echo(payload: ByteBuf) -> ByteBuf;
    async fn sleep(millis: u64);
}

/// More calls at once than any workload makes.
const CALLS: usize = 4096;

#[derive(Clone)]
struct Server;

impl Echo for Server {
    async fn echo(self, _: context::Context, payload: ByteBuf) -> ByteBuf {
        payload
    }

    async fn sleep(self, _: context::Context, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

pub(crate) fn serve(address: &str) -> Result<()> {
    let stream = unix::dial(address)?;
    runtime()?.block_on(async {
        let channel = BaseChannel::new(Config { pending_response_buffer: CALLS }, transport(stream)?);
        channel.execute(Server.serve()).for_each(|answer| async { drop(tokio::spawn(answer)) }).await;
        Ok(())
    })
}

pub(crate) fn start() -> Result<Box<dyn Running>> {
    let (stream, child) = unix::meet("tarpc")?;
    let runtime = runtime()?;
    let client = runtime.block_on(async {
        let mut config = client::Config::default();
        config.max_in_flight_requests = CALLS;
        config.pending_request_buffer = CALLS;
        Result::<_>::Ok(EchoClient::new(config, transport(stream)?).spawn())
    })?;
    Ok(Box::new(Tasks { runtime, client, _plugin: child }))
}

/// What travels over a connection: values in MessagePack, each after its length.
type Messages<Received, Sent> = Transport<UnixStream, Received, Sent, MessagePack<Received, Sent>>;

fn transport<Received: DeserializeOwned, Sent: Serialize>(stream: StdStream) -> Result<Messages<Received, Sent>> {
    stream.set_nonblocking(true)?;
    let frames = LengthDelimitedCodec::builder().max_frame_length(1 << 30).new_framed(UnixStream::from_std(stream)?);
    Ok(serde_transport::new(frames, MessagePack::default()))
}

impl Client for EchoClient {
    async fn echo(&self, payload: Bytes) -> Result<usize> {
        Ok(Self::echo(self, context::current(), ByteBuf::from(&payload[..])).await?.len())
    }

    async fn sleep(&self, millis: u64) -> Result<()> {
        Ok(Self::sleep(self, context::current(), millis).await?)
    }
}
