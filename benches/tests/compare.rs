//! The comparison runs to its end and writes what it promises.

use std::{fs, path::Path, process::Command};

fn benches(out: &Path, only: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
    command.args(["--quick", "--only", only, "--out"]).arg(out);
    command
}

#[test]
fn a_part_is_measured_and_reported() {
    let out = tempfile::tempdir().unwrap();
    let output = benches(out.path(), "plugin-core,interprocess,w1,w4").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = fs::read_to_string(out.path().join("performance.md")).unwrap();
    assert!(!report.contains("What is missing"), "{report}");
    for (_, rest) in report.match_indices("](").map(|(place, _)| report.split_at(place + 2)) {
        let chart = rest.split(')').next().unwrap();
        assert!(out.path().join(chart).is_file(), "{chart} is missing");
    }
}

#[test]
fn what_was_left_out_fails_no_check() {
    let out = tempfile::tempdir().unwrap();
    let output = benches(out.path(), "raw,w1").arg("--check").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_name_that_there_is_not_is_told_with_those_there_are() {
    let output = benches(Path::new("unused"), "plugin-cor").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no contender `plugin-cor`") && said.contains("interprocess, plugin-core"), "{said}");
}
