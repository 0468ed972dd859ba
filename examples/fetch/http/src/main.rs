//! The `fetch` plugin for HTTP, on hyper and tokio.
//!
//! The runtime is one that `serve` starts, since plugin-core is built with its feature `tokio`. A program with a runtime of its
//! own awaits `serve_async` there instead.

mod client;
mod tally;

use fetch_api::{FetchError, Fetcher, Page, Tally};

use crate::{client::Client, tally::Counter};

#[derive(Default)]
struct Http {
    client: Client,
    counter: Counter,
}

#[plugin_core::plugin_interface]
impl Fetcher for Http {
    async fn fetch(&self, url: &str) -> Result<Page, FetchError> {
        // If nobody waits any more, this is dropped where it awaits, and the connection to the server with it.
        self.counter.count(self.client.get(url)).await
    }

    async fn settled(&self) -> plugin_core::Result<Tally> {
        Ok(self.counter.settled().await)
    }

    fn tally(&self) -> plugin_core::Result<Tally> {
        Ok(self.counter.tally())
    }
}

fn main() -> plugin_core::Result<()> {
    plugin_core::serve::<dyn Fetcher>(Http::default())
}
