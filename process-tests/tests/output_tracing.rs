//! What plugins print, where the host has a `tracing` subscriber. The only test of its process: the subscriber is global.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use common::{Probe, process, watchdog};
use plugin_core::Launcher;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

type Fields = BTreeMap<String, String>;

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<(Level, Fields)>>>);

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "plugin_core::output"
    }

    fn event(&self, event: &Event<'_>) {
        struct Collect(Fields);
        impl Visit for Collect {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.insert(field.name().into(), format!("{value:?}").trim_matches('"').into());
            }
        }
        let mut fields = Collect(Fields::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push((*event.metadata().level(), fields.0));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn lines_are_events_with_plugin_stream_and_text() {
    watchdog(60, || {
        let recorder = Recorder::default();
        tracing::subscriber::set_global_default(recorder.clone()).unwrap();
        let probe = Launcher::new(common::PROBE).spawn().unwrap().interface::<dyn Probe>().unwrap();
        probe.say("to stdout", "to stderr").unwrap();
        process(&probe).shutdown().unwrap();
        let mut events = recorder.0.lock().unwrap().clone();
        events.sort_by_key(|(_, fields)| fields["stream"].clone());
        let expected = |stream: &str, text: &str| {
            let fields = [("plugin", "probe"), ("stream", stream), ("message", text)];
            (Level::INFO, Fields::from(fields.map(|(name, value)| (name.into(), value.into()))))
        };
        assert_eq!(events, [expected("stderr", "to stderr"), expected("stdout", "to stdout")]);
    });
}
