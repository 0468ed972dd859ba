//! The program on the project's own sources, beside the plainest search there can be.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{collections::BTreeSet, fs, path::Path};

use common::{bounded, program};
use regex::bytes::Regex;

/// The project's directory.
fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap()
}

/// Every line in the files below `directory` that matches, as the program prints it.
fn plainly(directory: &Path, pattern: &Regex, lines: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = path.file_name().unwrap().to_str().unwrap();
        // What is hidden, and what `.gitignore` names.
        if name.starts_with('.') || (name == "wip" && kind.is_dir()) || path == project().join("target") {
            continue;
        }
        if kind.is_dir() {
            plainly(&path, pattern, lines);
        }
        // Links are not followed.
        if !kind.is_file() {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let found = bytes.split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| pattern.is_match(line));
        let shown = path.strip_prefix(project()).unwrap().display();
        lines.extend(found.map(|(line, number)| format!("{shown}:{number}:{}", String::from_utf8_lossy(line))));
    }
}

#[test]
fn the_program_finds_what_a_plain_search_finds() {
    for pattern in [r"fn \w+\(", r"^use std::.*\bsync\b", "(?i)PLUGIN.CORE$", "[äöüß]"] {
        let mut expected = BTreeSet::new();
        plainly(project(), &Regex::new(pattern).unwrap(), &mut expected);
        let output = bounded(|| program(project(), &["--", pattern]).output().unwrap());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let printed: BTreeSet<String> = String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect();
        let differences: Vec<_> = printed.symmetric_difference(&expected).take(5).collect();
        assert!(differences.is_empty(), "{pattern}: {differences:#?}");
        assert_eq!(output.status.code(), Some(i32::from(expected.is_empty())), "{pattern}");
    }
}
