//! The plugin as a process of its own, on a real file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    process::Command,
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use kv_api::{Change, Entry, MAX_KEY, Store, StoreError};
use plugin_core::{Error, Launcher, Output, Plugin, Result, Stream};

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

fn entries(store: &dyn Store, prefix: &str) -> Vec<Entry> {
    store.scan(prefix).unwrap().into_iter().collect::<Result<_>>().unwrap()
}

fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    entries(store, prefix).into_iter().map(|entry| entry.key).collect()
}

fn next<T>(stream: &mut Stream<T>) -> T {
    stream.read().unwrap().unwrap()
}

fn put(key: &str, value: &str) -> Change {
    Change::Put(Entry { key: key.into(), value: value.into() })
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
        assert_eq!(entries(&*store, "").len(), 160);
        assert_eq!(entries(&*store, "3/").len(), 20);
    });
}

#[test]
fn values_of_a_mebibyte_come_back_and_a_scan_may_have_any_number_of_them() {
    with_file(|file| {
        let store = open(file).unwrap();
        let value: Vec<u8> = (0..1 << 20).map(|number: u32| number.to_le_bytes()[1]).collect();
        for key in 0..10 {
            store.put(&key.to_string(), &value).unwrap();
        }
        assert_eq!(store.get("7").unwrap().unwrap(), value);
        let entries = entries(&*store, "");
        assert!(entries.len() == 10 && entries.iter().all(|entry| entry.value == value));
    });
}

#[test]
fn a_scan_is_in_the_order_of_the_keys_within_its_prefix() {
    with_file(|file| {
        let store = open(file).unwrap();
        for key in ["b/2", "a", "b/10", "c", "b/1", "b", "bé"] {
            store.put(key, key.as_bytes()).unwrap();
        }
        assert_eq!(keys(&*store, ""), ["a", "b", "b/1", "b/10", "b/2", "bé", "c"]);
        assert_eq!(keys(&*store, "b/"), ["b/1", "b/10", "b/2"]);
        assert!(keys(&*store, "z").is_empty());
    });
}

#[test]
fn a_scan_shows_the_store_as_it_was_when_it_began_however_slowly_it_is_read() {
    with_file(|file| {
        let store = open(file).unwrap();
        let large = vec![7; 1 << 20];
        for key in ["a", "b", "c", "d"] {
            store.put(key, &large).unwrap();
        }
        let mut scan = store.scan("").unwrap();
        assert_eq!(next(&mut scan).key, "a");
        store.put("e", b"").unwrap();
        store.put("d", b"new").unwrap();
        assert!(store.delete("c").unwrap());
        let rest: Vec<Entry> = scan.into_iter().collect::<Result<_>>().unwrap();
        assert!(rest.iter().map(|entry| &*entry.key).eq(["b", "c", "d"]), "the keys of the time");
        assert!(rest.iter().all(|entry| entry.value == large), "the values of the time");
        assert_eq!(keys(&*store, ""), ["a", "b", "d", "e"]);
    });
}

#[test]
fn those_who_watch_hear_of_what_changes_below_their_prefix() {
    with_file(|file| {
        let store = open(file).unwrap();
        store.put("a/0", b"before").unwrap();
        let (mut all, mut some) = (store.watch("").unwrap(), store.watch("a/").unwrap());
        store.put("a/1", b"1").unwrap();
        assert_eq!(next(&mut all), put("a/1", "1"), "while nothing else happens");
        store.put("b", b"2").unwrap();
        assert!(store.delete("a/0").unwrap() && !store.delete("a/0").unwrap());
        store.put("a/1", b"1").unwrap();
        let deleted = Change::Deleted { key: "a/0".into() };
        assert_eq!([next(&mut all), next(&mut all), next(&mut all)], [put("b", "2"), deleted.clone(), put("a/1", "1")]);
        assert_eq!([next(&mut some), next(&mut some), next(&mut some)], [put("a/1", "1"), deleted, put("a/1", "1")]);
        drop(all);
        store.put("a/2", b"3").unwrap();
        assert_eq!(next(&mut some), put("a/2", "3"));
        Plugin::process(&store).kill().unwrap();
        let last: Vec<_> = some.into_iter().collect();
        assert!(matches!(last[..], [Err(Error::Stopped { .. } | Error::Died { .. })]), "{last:?}");
    });
}

#[test]
fn changes_come_in_the_order_of_their_commits() {
    with_file(|file| {
        let store = open(file).unwrap();
        let mut changes = store.watch("").unwrap();
        for round in 0..50 {
            let values: Vec<String> = (0..4).map(|writer| format!("{round} {writer}")).collect();
            let together = Barrier::new(values.len());
            thread::scope(|scope| {
                for value in &values {
                    let (store, together) = (&store, &together);
                    scope.spawn(move || {
                        together.wait();
                        store.put("key", value.as_bytes()).unwrap();
                    });
                }
            });
            let last = String::from_utf8(store.get("key").unwrap().unwrap()).unwrap();
            let mut seen: Vec<Change> = values.iter().map(|_| next(&mut changes)).collect();
            assert_eq!(seen.last(), Some(&put("key", &last)), "the last commit is the last change");
            // The others came in any order, but came.
            seen.sort_by_key(|change| format!("{change:?}"));
            assert!(values.iter().map(|value| put("key", value)).eq(seen));
        }
    });
}

#[test]
fn whoever_watches_and_does_not_read_holds_nobody_up_and_is_told_so() {
    with_file(|file| {
        let store = open(file).unwrap();
        let changes = store.watch("").unwrap();
        for number in 0..50 {
            store.put(&number.to_string(), b"value").unwrap();
        }
        let mut changes: Vec<_> = changes.into_iter().collect();
        let last = changes.pop().unwrap().unwrap_err();
        assert!(last.to_string().contains("too far behind"), "{last}");
        let told: Vec<Change> = changes.into_iter().collect::<Result<_>>().unwrap();
        assert!(!told.is_empty() && told.len() < 50);
        assert!(told.iter().zip(0..).all(|(change, number)| *change == put(&number.to_string(), "value")));
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
