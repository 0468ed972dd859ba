//! What the command line says.

use std::ffi::{OsStr, OsString};

/// How the program is used.
pub(crate) const USAGE: &str = "\
usage: kv --store FILE COMMAND
  get KEY            prints the value
  put KEY [VALUE]    sets the value; without VALUE, from standard input
  delete KEY         removes the key
  scan [PREFIX]      prints keys and values in order, of all keys or those with the prefix";

/// What to do with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Get { key: &'a str },
    Put { key: &'a str, value: Option<&'a str> },
    Delete { key: &'a str },
    Scan { prefix: &'a str },
}

/// The file of the store, and what to do with it.
pub(crate) fn parse(arguments: &[OsString]) -> Option<(&OsStr, Command<'_>)> {
    let [option, file, command @ ..] = arguments else { return None };
    let words: Vec<&str> = command.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    let command = match words[..] {
        ["get", key] => Command::Get { key },
        ["put", key] => Command::Put { key, value: None },
        ["put", key, value] => Command::Put { key, value: Some(value) },
        ["delete", key] => Command::Delete { key },
        ["scan"] => Command::Scan { prefix: "" },
        ["scan", prefix] => Command::Scan { prefix },
        _ => return None,
    };
    (option == "--store").then_some((file, command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Option<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        parse(&words).map(|(file, command)| format!("{} {command:?}", file.display()))
    }

    #[test]
    fn every_command_has_its_file_and_its_words() {
        assert_eq!(command("--store f get k").unwrap(), "f Get { key: \"k\" }");
        assert_eq!(command("--store f put k v").unwrap(), "f Put { key: \"k\", value: Some(\"v\") }");
        assert_eq!(command("--store f put k").unwrap(), "f Put { key: \"k\", value: None }");
        assert_eq!(command("--store f scan").unwrap(), "f Scan { prefix: \"\" }");
    }

    #[test]
    fn anything_else_is_refused() {
        for line in
            ["", "get k", "--store f", "--store f get", "--file f get k", "--store f scan a b", "--store f list"]
        {
            assert_eq!(command(line), None, "{line}");
        }
    }
}
