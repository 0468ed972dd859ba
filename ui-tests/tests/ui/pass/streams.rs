#![deny(warnings)]

use std::collections::HashMap;

use plugin_core::{ByteStream, Remote, Result, Stream, plugin_interface};
use serde::{Deserialize, Serialize};

#[plugin_interface]
pub trait Row {
    fn text(&self) -> Result<String>;
}

#[derive(Serialize, Deserialize)]
pub struct Report {
    lines: Stream<String>,
    parts: Vec<Report>,
    attachments: HashMap<String, ByteStream>,
    last: Option<Stream<Remote<dyn Row>>>,
}

pub type Numbers = Stream<u64>;

#[plugin_interface]
pub trait Table {
    fn scan(&self, first: u64) -> Result<Stream<(u64, String)>>;
    fn load(&self, rows: Stream<(u64, String)>, bytes: ByteStream) -> Result<Numbers>;
    fn report(&self, report: Report) -> Result<Report>;
    fn nested(&self, rows: Stream<Stream<u64>>) -> Result<Option<ByteStream>>;
    async fn scan_async(&self, numbers: Numbers) -> Result<Vec<Numbers>>;
    async fn copy(&self, bytes: ByteStream) -> Result<ByteStream>;
    #[method(oneway)]
    fn tell(&self, numbers: Numbers) -> Result<()>;
}

fn is_send_and_sync<T: Send + Sync + Unpin>() {}

fn main() {
    is_send_and_sync::<Stream<u64>>();
    is_send_and_sync::<plugin_core::StreamSender<u64>>();
    is_send_and_sync::<ByteStream>();
    is_send_and_sync::<plugin_core::ByteSender>();
    is_send_and_sync::<plugin_core::stream::IntoIter<u64>>();
}
