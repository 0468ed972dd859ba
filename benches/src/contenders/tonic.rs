//! tonic: gRPC over a Unix socket, on a tokio runtime of one thread. The build script generates the service.

use std::{future, io, os::unix::net::UnixStream as StdStream, sync::Mutex, time::Duration};

use ::tonic::{
    Request, Response, Status,
    transport::{self, Channel, Endpoint},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Running, unix};
use crate::{
    Result,
    tasks::{Client, Tasks, runtime},
};

#[allow(clippy::pedantic, unused_qualifications, unreachable_pub, missing_docs, reason = "generated")]
mod generated {
    ::tonic::include_proto!("benches.Echo");
}

use generated::{
    echo_client::EchoClient,
    echo_server::{Echo, EchoServer},
};

/// The argument and the result of both methods.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    bytes: Bytes,
    #[prost(uint64, tag = "2")]
    millis: u64,
}

struct Server;

#[::tonic::async_trait]
impl Echo for Server {
    async fn echo(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn sleep(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        tokio::time::sleep(Duration::from_millis(request.get_ref().millis)).await;
        Ok(Response::new(request.into_inner()))
    }
}

pub(crate) fn serve(address: &str) -> Result<()> {
    let stream = unix::dial(address)?;
    runtime()?.block_on(async {
        // Without an end: the server would end with it.
        let connections = stream::iter([asynchronous(stream)]).chain(stream::pending());
        let service = EchoServer::new(Server).max_decoding_message_size(usize::MAX);
        Ok(transport::Server::builder().add_service(service).serve_with_incoming(connections).await?)
    })
}

pub(crate) fn start() -> Result<Box<dyn Running>> {
    let (stream, child) = unix::meet("tonic")?;
    let runtime = runtime()?;
    let channel = runtime.block_on(connect(stream))?;
    let client = EchoClient::new(channel).max_decoding_message_size(usize::MAX);
    Ok(Box::new(Tasks { runtime, client, _plugin: child }))
}

/// Makes a channel of the one connection there is; the URI is never looked at.
async fn connect(stream: StdStream) -> Result<Channel> {
    let stream = Mutex::new(Some(stream));
    let connector = tower::service_fn(move |_| {
        let stream = stream.lock().ok().and_then(|mut stream| stream.take());
        let stream = stream.ok_or_else(|| io::ErrorKind::NotConnected.into()).and_then(asynchronous);
        future::ready(stream.map(TokioIo::new))
    });
    Ok(Endpoint::from_static("http://plugin").connect_with_connector(connector).await?)
}

fn asynchronous(stream: StdStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

impl Client for EchoClient<Channel> {
    async fn echo(&self, bytes: Bytes) -> Result<usize> {
        Ok(Self::echo(&mut self.clone(), Payload { bytes, millis: 0 }).await?.get_ref().bytes.len())
    }

    async fn sleep(&self, millis: u64) -> Result<()> {
        Ok(Self::sleep(&mut self.clone(), Payload { bytes: Bytes::new(), millis }).await.map(drop)?)
    }
}
