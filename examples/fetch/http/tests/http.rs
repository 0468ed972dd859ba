//! The plugin as a child process, and servers that do not behave.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{future::Future, time::Duration};

use fetch_api::{FetchError, Fetcher, Tally};
use plugin_core::{Plugin, connect_async};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime, time,
};

/// Runs a test with a plugin and a listener that is all the server there is.
fn run<F: Future<Output = ()>>(test: impl FnOnce(Plugin<dyn Fetcher>, TcpListener, String) -> F) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = async {
        let fetcher = connect_async::<dyn Fetcher>(env!("CARGO_BIN_EXE_fetch-http")).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/page", listener.local_addr().unwrap());
        test(fetcher, listener, url).await;
    };
    runtime.block_on(async { time::timeout(Duration::from_secs(60), whole).await.expect("the test hangs") });
}

/// The next connection, once something was asked for on it.
async fn asked(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    let length = stream.read(&mut request).await.unwrap();
    assert!(request[..length].starts_with(b"GET /page HTTP/1.1\r\n"));
    stream
}

#[test]
fn a_page_arrives_with_its_media_type() {
    run(|fetcher, listener, url| async move {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nHello";
        let serve = async { asked(&listener).await.write_all(answer).await };
        let (page, served) = tokio::join!(fetcher.fetch(&url), serve);
        let page = page.unwrap();
        assert_eq!((&page.body[..], page.media_type.as_deref()), (&b"Hello"[..], Some("text/plain")));
        served.unwrap();
    });
}

#[test]
fn what_goes_wrong_is_told_by_a_type() {
    run(|fetcher, listener, url| async move {
        let error = fetcher.fetch("ftp://example.org/").await.unwrap_err();
        assert!(matches!(error, FetchError::BadUrl { .. }), "{error}");
        // It says that it closes the connection, or the next request might still be sent over that one.
        let answer = b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let serve = async { asked(&listener).await.write_all(answer).await };
        let (outcome, _) = tokio::join!(fetcher.fetch(&url), serve);
        assert!(matches!(outcome, Err(FetchError::Status { status: 404, .. })), "{outcome:?}");
        let (outcome, ()) = tokio::join!(fetcher.fetch(&url), async { drop(asked(&listener).await) });
        assert!(matches!(outcome, Err(FetchError::Failed { .. })), "{outcome:?}");
        assert_eq!(fetcher.tally().unwrap(), Tally { failed: 3, ..Tally::default() });
    });
}

#[test]
fn a_fetch_that_nobody_waits_for_is_broken_off_down_to_its_connection() {
    run(|fetcher, listener, url| async move {
        let mut connection = {
            let fetch = fetcher.fetch(&url);
            tokio::select! {
                outcome = fetch => panic!("there was no answer to have: {outcome:?}"),
                connection = asked(&listener) => connection,
            }
        };
        assert_eq!(fetcher.settled().await.unwrap(), Tally { cancelled: 1, ..Tally::default() });
        assert_eq!(connection.read(&mut [0; 16]).await.unwrap(), 0, "the plugin has closed it");
    });
}
