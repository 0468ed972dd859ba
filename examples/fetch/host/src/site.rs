//! The web site that is fetched from: a server in this program, on a port of this machine.

use std::{convert::Infallible, future, io, net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle, time};

/// A site that is open until this is dropped.
pub(crate) struct Site {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self { address: listener.local_addr()?, serving: tokio::spawn(serve(listener)) })
    }

    /// The address of a page, which takes some time to answer.
    pub(crate) fn page(&self, number: usize) -> String {
        format!("http://{}/page/{number}", self.address)
    }

    /// The address of a page that never comes.
    pub(crate) fn endless(&self) -> String {
        format!("http://{}/endless", self.address)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        // It fails where the client has closed it, which is the client's business.
        tokio::spawn(async { drop(connection.await) });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    if path == "/endless" {
        return future::pending().await;
    }
    let Some(number) = path.strip_prefix("/page/").and_then(|number| number.parse::<u64>().ok()) else {
        let mut response = Response::new(Full::from("there is no such page\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    time::sleep(Duration::from_millis(20 + number * 7 % 80)).await;
    let mut response = Response::new(Full::from(format!("This is page {number}.\n")));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain"));
    Ok(response)
}
