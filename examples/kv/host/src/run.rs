//! What the commands do. It is the trait that they use: whether a plugin is behind it makes no difference here.

use std::io::{self, Read, Write};

use kv_api::{Entry, Store, StoreError};

use crate::command::Command;

/// How many entries are asked for at once.
const PAGE: usize = 256;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is no key `{0}`")]
    NoSuchKey(String),
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
    input: &mut dyn Read,
    output: &mut dyn Write,
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
    }
}

fn scan(store: &dyn Store, prefix: &str, output: &mut dyn Write) -> Result<(), Failure> {
    let mut entries = store.scan(prefix, None, PAGE)?;
    while let Some(last) = entries.last() {
        for Entry { key, value } in &entries {
            writeln!(output, "{key}\t{}", String::from_utf8_lossy(value).escape_debug())?;
        }
        entries = store.scan(prefix, Some(&last.key), PAGE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, MutexGuard},
    };

    use super::*;

    /// A store without a plugin, which gives two entries at a time.
    #[derive(Default)]
    struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

    impl Memory {
        fn map(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
            self.0.lock().unwrap()
        }
    }

    impl Store for Memory {
        fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.map().get(key).cloned())
        }
        fn put(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
            self.map().insert(key.into(), value.into());
            Ok(())
        }
        fn delete(&self, key: &str) -> Result<bool, StoreError> {
            Ok(self.map().remove(key).is_some())
        }
        fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, StoreError> {
            let map = self.map();
            let wanted =
                map.iter().filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| &key[..] > after));
            Ok(wanted.take(limit.min(2)).map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect())
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
    fn a_scan_goes_on_until_there_is_no_more_and_keeps_to_one_line_each() {
        let store = Memory::default();
        for key in ["a/1", "a/2", "a/3", "a/4", "b"] {
            store.put(key, b"x\ny").unwrap();
        }
        let lines = outcome(&store, Command::Scan { prefix: "a/" }, b"").unwrap();
        assert_eq!(lines, "a/1\tx\\ny\na/2\tx\\ny\na/3\tx\\ny\na/4\tx\\ny\n");
    }
}
