//! The plugin as a process of its own, on a real file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    process::Command,
    sync::{
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use kv_api::{Entry, MAX_KEY, Store, StoreError};
use plugin_core::{Error, Launcher, Output, Plugin, Result};

/// Runs `test` with the path of a store that does not exist yet; ends the test run if it hangs.
fn with_file(test: impl FnOnce(&Path)) {
    let directory = tempfile::tempdir().unwrap();
    let (done, over) = channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            std::process::abort();
        }
    });
    test(&directory.path().join("store"));
    drop(done);
}

fn open(file: &Path) -> Result<Plugin<dyn Store>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kv-redb"));
    command.arg(file);
    // A machine that is busy with other things may take its time to write the file.
    Launcher::new(command).output(Output::Discard).stop_timeout(Duration::from_secs(30)).spawn()?.interface()
}

fn keys(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

#[test]
fn what_is_put_is_got_until_it_is_replaced_or_deleted() {
    with_file(|file| {
        let store = open(file).unwrap();
        assert_eq!(store.get("a").unwrap(), None);
        store.put("a", b"\0\xff").unwrap();
        store.put("empty", b"").unwrap();
        assert_eq!(store.get("a").unwrap().unwrap(), b"\0\xff");
        assert_eq!(store.get("empty").unwrap().unwrap(), b"", "an empty value is a value");
        store.put("a", b"new").unwrap();
        assert_eq!(store.get("a").unwrap().unwrap(), b"new");
        assert!(store.delete("a").unwrap());
        assert!(!store.delete("a").unwrap());
        assert_eq!(store.get("a").unwrap(), None);
    });
}

#[test]
fn data_outlives_the_process() {
    with_file(|file| {
        let store = open(file).unwrap();
        store.put("a", b"1").unwrap();
        let first = Plugin::process(&store).pid();
        let report = Plugin::process(&store).shutdown().unwrap();
        assert!(report.status().unwrap().success(), "{report}");
        let store = open(file).unwrap();
        assert_ne!(Plugin::process(&store).pid(), first);
        assert_eq!(store.get("a").unwrap().unwrap(), b"1");
    });
}

#[test]
fn killing_the_plugin_loses_nothing_it_has_acknowledged() {
    with_file(|file| {
        let store = open(file).unwrap();
        let acknowledged = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while store.put(&acknowledged.load(Relaxed).to_string(), b"value").is_ok() {
                    acknowledged.fetch_add(1, Relaxed);
                }
            });
            while acknowledged.load(Relaxed) < 50 {
                thread::yield_now();
            }
            Plugin::process(&store).kill().unwrap();
        });
        let store = open(file).unwrap();
        for number in 0..acknowledged.into_inner() {
            assert_eq!(store.get(&number.to_string()).unwrap().unwrap(), b"value", "put number {number}");
        }
    });
}

#[test]
fn eight_callers_at_once_see_their_own_writes() {
    with_file(|file| {
        let store = open(file).unwrap();
        thread::scope(|scope| {
            for caller in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..20 {
                        let (key, value) = (format!("{caller}/{number:02}"), format!("{caller} {number}"));
                        store.put(&key, value.as_bytes()).unwrap();
                        assert_eq!(store.get(&key).unwrap().unwrap(), value.as_bytes());
                    }
                });
            }
        });
        assert_eq!(store.scan("", None, 1000).unwrap().len(), 160);
        assert_eq!(store.scan("3/", None, 1000).unwrap().len(), 20);
    });
}

#[test]
fn a_value_of_a_mebibyte_comes_back_and_large_scans_come_in_parts() {
    with_file(|file| {
        let store = open(file).unwrap();
        let value: Vec<u8> = (0..1 << 20).map(|number: u32| number.to_le_bytes()[1]).collect();
        for key in 0..10 {
            store.put(&key.to_string(), &value).unwrap();
        }
        assert_eq!(store.get("7").unwrap().unwrap(), value);
        let first = store.scan("", None, 100).unwrap();
        assert_eq!(keys(&first), ["0", "1", "2", "3", "4", "5", "6", "7"]);
        assert!(first.iter().all(|entry| entry.value == value));
        assert_eq!(keys(&store.scan("", Some("7"), 100).unwrap()), ["8", "9"]);
    });
}

#[test]
fn a_scan_is_in_the_order_of_the_keys_within_prefix_start_and_limit() {
    with_file(|file| {
        let store = open(file).unwrap();
        for key in ["b/2", "a", "b/10", "c", "b/1", "b", "bé"] {
            store.put(key, key.as_bytes()).unwrap();
        }
        let scan = |prefix, after, limit| store.scan(prefix, after, limit).unwrap();
        assert_eq!(keys(&scan("", None, 100)), ["a", "b", "b/1", "b/10", "b/2", "bé", "c"]);
        assert_eq!(keys(&scan("b/", None, 100)), ["b/1", "b/10", "b/2"]);
        assert_eq!(keys(&scan("b/", Some("b/1"), 1)), ["b/10"]);
        assert_eq!(keys(&scan("b/", Some("a"), 1)), ["b/1"], "a start before the prefix changes nothing");
        assert!(scan("b/", Some("b/2"), 100).is_empty() && scan("z", None, 100).is_empty());
        assert!(scan("", None, 0).is_empty());
    });
}

#[test]
fn a_key_that_cannot_be_is_refused_with_a_typed_error() {
    with_file(|file| {
        let store = open(file).unwrap();
        let error = store.put("", b"").unwrap_err();
        assert!(matches!(error, StoreError::BadKey { length: 0 }), "{error:?}");
        let error = store.put(&"k".repeat(MAX_KEY + 1), b"").unwrap_err();
        assert_eq!(error.to_string(), "a key has 1 to 1024 bytes, this one has 1025");
        store.put(&"k".repeat(MAX_KEY), b"").unwrap();
    });
}

#[test]
fn a_file_in_use_or_of_another_kind_is_told_at_the_start() {
    with_file(|file| {
        let _store = open(file).unwrap();
        let error = open(file).unwrap_err();
        assert!(matches!(error, Error::ExitedAtStart { .. }), "{error:?}");
        assert!(error.to_string().contains("cannot open"), "{error}");
        let other = file.with_extension("txt");
        std::fs::write(&other, "not a database, but long enough to be looked at".repeat(100)).unwrap();
        assert!(open(&other).unwrap_err().to_string().contains("cannot open"));
    });
}
