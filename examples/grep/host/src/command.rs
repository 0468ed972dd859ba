//! What the command line says.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use grep_api::Query;

/// How the program is used.
pub(crate) const USAGE: &str = "\
usage: grep-host [OPTION].. PATTERN [PATH]
finds the lines in the files below PATH, or the working directory, that match the regular expression PATTERN
  -i, --ignore-case  case makes no difference
  -a, --all          searches hidden files, too, and those that a .gitignore names
  -m, --max N        stops the search at once when N lines have been found
      --stats        says at the end what was searched
  --                 what follows is no option
exit status: 0 if a line was found, 1 if not, 2 if anything went wrong, 130 if stopped by Ctrl-C";

/// What to do.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) query: Query,
    /// How many lines are enough.
    pub(crate) max: Option<u64>,
    /// Whether to say what was searched.
    pub(crate) stats: bool,
}

/// What the arguments say, or why they say nothing.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let (mut ignore_case, mut all, mut max, mut stats) = (false, false, None, false);
    let mut words = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(word) = arguments.next() {
        match word.to_str() {
            Some("-i" | "--ignore-case") => ignore_case = true,
            Some("-a" | "--all") => all = true,
            Some("-m" | "--max") => max = Some(count(arguments.next().as_deref())?),
            Some("--stats") => stats = true,
            Some("--") => words.extend(arguments.by_ref()),
            Some(option) if option.starts_with('-') && option != "-" => {
                return Err(format!("there is no option {option}"));
            }
            _ => words.push(word),
        }
    }
    let mut words = words.into_iter();
    let pattern = words.next().ok_or("there is no pattern")?;
    let pattern = pattern.into_string().map_err(|_| "the pattern is not Unicode")?;
    let root = words.next().map_or_else(|| ".".into(), PathBuf::from);
    if let Some(word) = words.next() {
        return Err(format!("one path is all there can be, not {} as well", word.to_string_lossy()));
    }
    Ok(Command { query: Query { pattern, root, ignore_case, all }, max, stats })
}

fn count(word: Option<&OsStr>) -> Result<u64, String> {
    let count = word.and_then(OsStr::to_str).and_then(|word| word.parse().ok());
    count.filter(|count| *count > 0).ok_or_else(|| "--max takes a number from 1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_come_anywhere_before_the_dashes() {
        let command = parsed("-i fn --max 3 src --stats").unwrap();
        assert_eq!((command.query.pattern.as_str(), command.query.root.to_str()), ("fn", Some("src")));
        assert!(command.query.ignore_case && !command.query.all && command.stats);
        assert_eq!(command.max, Some(3));
        let command = parsed("-a -- -i").unwrap();
        assert_eq!((command.query.pattern.as_str(), command.query.root.to_str()), ("-i", Some(".")));
        assert!(command.query.all && !command.query.ignore_case && command.max.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        for (line, why) in [
            ("", "there is no pattern"),
            ("-x fn", "there is no option -x"),
            ("fn --max", "--max takes a number from 1"),
            ("fn --max 0", "--max takes a number from 1"),
            ("fn a b", "one path is all there can be, not b as well"),
        ] {
            assert_eq!(parsed(line).unwrap_err(), why);
        }
    }
}
