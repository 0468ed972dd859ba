//! What the commands do. It is the trait that they use: whether a plugin is behind it makes no difference here.

use std::{
    fmt,
    io::{self, BufRead, Write},
    time::Duration,
};

use kv_api::{Entry, Store, StoreError};

use crate::{command::Command, watch::watch};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is no key `{0}`")]
    NoSuchKey(String),
    #[error("there is no command `{0}`; those for watching are get KEY, put KEY VALUE, delete KEY and scan [PREFIX]")]
    NoCommand(String),
    #[error("commands that failed: {0}")]
    Commands(usize),
    #[error("the plugin has told of no more changes")]
    NoMoreChanges,
    #[error("the plugin did not tell of a change within {0:?} of it")]
    Untold(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Plugin(#[from] plugin_core::Error),
}

/// Runs `command` on `store`.
pub(crate) fn run(
    store: &dyn Store,
    command: &Command<'_>,
    input: &mut dyn BufRead,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    match *command {
        Command::Get { key } => {
            let value = store.get(key)?.ok_or_else(|| Failure::NoSuchKey(key.into()))?;
            Ok(output.write_all(&value)?)
        }
        Command::Put { key, value: Some(value) } => Ok(store.put(key, value.as_bytes())?),
        Command::Put { key, value: None } => {
            let mut value = Vec::new();
            input.read_to_end(&mut value)?;
            Ok(store.put(key, &value)?)
        }
        Command::Delete { key } if store.delete(key)? => Ok(()),
        Command::Delete { key } => Err(Failure::NoSuchKey(key.into())),
        Command::Scan { prefix } => scan(store, prefix, output),
        Command::Watch { prefix } => watch(store, prefix, input, output),
    }
}

/// Prints entries as they come; there may be more of them than fit memory.
fn scan(store: &dyn Store, prefix: &str, output: &mut dyn Write) -> Result<(), Failure> {
    for entry in store.scan(prefix)? {
        let Entry { key, value } = entry?;
        writeln!(output, "{key}\t{}", shown(&value))?;
    }
    Ok(())
}

/// A value on a part of a line.
pub(crate) fn shown(value: &[u8]) -> impl fmt::Display {
    String::from_utf8_lossy(value).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, MutexGuard},
    };

    use kv_api::Change;
    use plugin_core::{Stream, StreamSender};

    use super::*;

    /// A store without a plugin, and those who watch it.
    #[derive(Default)]
    struct Memory {
        map: Mutex<BTreeMap<String, Vec<u8>>>,
        watchers: Mutex<Vec<StreamSender<Change>>>,
    }

    impl Memory {
        fn map(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
            self.map.lock().unwrap()
        }

        fn tell(&self, change: &Change) {
            self.watchers.lock().unwrap().retain(|watcher| watcher.send(change.clone()).is_ok());
        }
    }

    impl Store for Memory {
        fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.map().get(key).cloned())
        }
        fn put(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
            self.map().insert(key.into(), value.into());
            self.tell(&Change::Put(Entry { key: key.into(), value: value.into() }));
            Ok(())
        }
        fn delete(&self, key: &str) -> Result<bool, StoreError> {
            let existed = self.map().remove(key).is_some();
            if existed {
                self.tell(&Change::Deleted { key: key.into() });
            }
            Ok(existed)
        }
        fn scan(&self, prefix: &str) -> Result<Stream<Entry>, StoreError> {
            let entries = self.map().clone().into_iter().map(|(key, value)| Entry { key, value });
            let prefix = prefix.to_owned();
            Ok(Stream::iter(entries.filter(move |entry| entry.key.starts_with(&prefix)).map(Ok)))
        }
        fn watch(&self, _prefix: &str) -> Result<Stream<Change>, StoreError> {
            let (watcher, changes) = Stream::channel();
            self.watchers.lock().unwrap().push(watcher);
            Ok(changes)
        }
    }

    /// What `command` prints, with `input` to read.
    fn outcome(store: &Memory, command: Command<'_>, mut input: &[u8]) -> Result<String, String> {
        let mut output = Vec::new();
        run(store, &command, &mut input, &mut output).map_err(|failure| failure.to_string())?;
        Ok(String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_value_comes_from_the_command_line_or_the_input_and_is_printed_as_it_is() {
        let store = Memory::default();
        outcome(&store, Command::Put { key: "a", value: Some("1") }, b"unread").unwrap();
        outcome(&store, Command::Put { key: "b", value: None }, b"two\nlines\n").unwrap();
        assert_eq!(outcome(&store, Command::Get { key: "a" }, b"").unwrap(), "1");
        assert_eq!(outcome(&store, Command::Get { key: "b" }, b"").unwrap(), "two\nlines\n");
    }

    #[test]
    fn a_key_that_is_not_there_is_a_failure() {
        let store = Memory::default();
        for command in [Command::Get { key: "x" }, Command::Delete { key: "x" }] {
            assert_eq!(outcome(&store, command, b"").unwrap_err(), "there is no key `x`");
        }
    }

    #[test]
    fn a_scan_keeps_to_its_prefix_and_to_one_line_each() {
        let store = Memory::default();
        for key in ["a/1", "a/2", "b"] {
            store.put(key, b"x\ny").unwrap();
        }
        let lines = outcome(&store, Command::Scan { prefix: "a/" }, b"").unwrap();
        assert_eq!(lines, "a/1\tx\\ny\na/2\tx\\ny\n");
    }

    #[test]
    fn watching_runs_commands_and_prints_what_they_change_before_it_ends() {
        let store = Memory::default();
        let commands = b"put a some words\ndelete a\nput a 2\n\n";
        let lines = outcome(&store, Command::Watch { prefix: "" }, commands).unwrap();
        assert_eq!(lines, "put\ta\tsome words\ndelete\ta\nput\ta\t2\n");
        assert_eq!(outcome(&store, Command::Watch { prefix: "" }, b"get a\nscan").unwrap(), "2\na\t2\n");
    }

    #[test]
    fn watching_goes_on_behind_a_command_that_fails_and_says_so_at_the_end() {
        let store = Memory::default();
        let failure = outcome(&store, Command::Watch { prefix: "" }, b"delete a\nput a\nwatch\nput a 1").unwrap_err();
        assert_eq!(failure, "commands that failed: 3");
        assert_eq!(store.get("a").unwrap().unwrap(), b"1");
    }
}
