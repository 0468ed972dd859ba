//! What the command line says.

use std::ffi::{OsStr, OsString};

/// How the program is used.
pub(crate) const USAGE: &str = "\
usage: kv --store FILE COMMAND
  get KEY            prints the value
  put KEY [VALUE]    sets the value; without VALUE, from standard input
  delete KEY         removes the key
  scan [PREFIX]      prints keys and values in order, of all keys or those with the prefix
  watch [PREFIX]     runs commands from standard input, one a line, and prints what changes meanwhile";

/// What to do with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Get { key: &'a str },
    Put { key: &'a str, value: Option<&'a str> },
    Delete { key: &'a str },
    Scan { prefix: &'a str },
    Watch { prefix: &'a str },
}

/// The file of the store, and what to do with it.
pub(crate) fn parse(arguments: &[OsString]) -> Option<(&OsStr, Command<'_>)> {
    let [option, file, command @ ..] = arguments else { return None };
    let words: Vec<&str> = command.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    (option == "--store").then_some((file, of_words(&words)?))
}

/// The command in a line that is read while watching: one that needs no other input.
pub(crate) fn in_line(line: &str) -> Option<Command<'_>> {
    // Behind its key, a value may have any spaces.
    let words: Vec<&str> = line.splitn(3, ' ').collect();
    of_words(&words).filter(|command| !matches!(command, Command::Put { value: None, .. } | Command::Watch { .. }))
}

fn of_words<'a>(words: &[&'a str]) -> Option<Command<'a>> {
    Some(match *words {
        ["get", key] => Command::Get { key },
        ["put", key] => Command::Put { key, value: None },
        ["put", key, value] => Command::Put { key, value: Some(value) },
        ["delete", key] => Command::Delete { key },
        ["scan"] => Command::Scan { prefix: "" },
        ["scan", prefix] => Command::Scan { prefix },
        ["watch"] => Command::Watch { prefix: "" },
        ["watch", prefix] => Command::Watch { prefix },
        _ => return None,
    })
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
        assert_eq!(command("--store f watch p").unwrap(), "f Watch { prefix: \"p\" }");
    }

    #[test]
    fn a_line_has_one_command_that_needs_no_other() {
        assert_eq!(in_line("put k a  b"), Some(Command::Put { key: "k", value: Some("a  b") }));
        assert_eq!(in_line("scan"), Some(Command::Scan { prefix: "" }));
        for line in ["", "put k", "watch", "get a b", "list"] {
            assert_eq!(in_line(line), None, "{line}");
        }
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
