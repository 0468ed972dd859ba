#![deny(warnings)]

use std::collections::HashMap;

use plugin_core::{Remote, plugin_interface};
use serde::{Deserialize, Serialize};

#[plugin_interface]
pub trait Sink {
    fn put(&self, text: &str) -> plugin_core::Result<()>;
    async fn flush(&self) -> plugin_core::Result<()>;
}

#[derive(Serialize, Deserialize)]
pub struct Sinks {
    first: Remote<dyn Sink>,
    named: HashMap<String, Vec<Remote<dyn Sink>>>,
    last: Option<Remote<dyn Sink>>,
}

pub type AnySink = Remote<dyn Sink>;

#[plugin_interface]
pub trait Router {
    fn route(&self, to: Remote<dyn Sink>, through: AnySink) -> plugin_core::Result<Remote<dyn Sink>>;
    fn by_reference(&self, to: &Remote<dyn Sink>, all: &[AnySink]) -> plugin_core::Result<()>;
    async fn all(&self, sinks: Sinks) -> plugin_core::Result<Sinks>;
    #[method(oneway)]
    fn tell(&self, to: Remote<dyn Sink>) -> plugin_core::Result<()>;
}

struct Quiet;

#[plugin_interface]
impl Sink for Quiet {
    fn put(&self, _: &str) -> plugin_core::Result<()> {
        Ok(())
    }

    async fn flush(&self) -> plugin_core::Result<()> {
        Ok(())
    }
}

fn main() {
    let sink: Remote<dyn Sink> = Remote::new(Quiet);
    let shared = Remote::into_arc(sink.clone());
    sink.put("text").unwrap();
    let again = Remote::from(shared);
    assert!(Remote::is_here(&again));
    let in_a_function = || -> AnySink { Remote::new(Quiet) };
    drop(in_a_function());
}
