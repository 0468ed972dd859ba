//! The program with its real plugins, on real files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        LazyLock,
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

const CONVERT: &str = env!("CARGO_BIN_EXE_convert");

/// The project's directory, where the paths of the tests begin.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.."));

/// Builds the plugins beside the program: `cargo test` builds only the programs of the package it tests.
static PLUGINS: LazyLock<()> = LazyLock::new(|| {
    let directory = Path::new(CONVERT).parent().unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "convert-csv", "--package", "convert-markdown"]);
    build.args(["--profile", profile, "--target-dir"]).arg(directory.parent().unwrap());
    assert!(build.current_dir(&*ROOT).status().unwrap().success(), "the plugins could not be built");
});

/// Runs `convert FILE` in the project's directory.
fn convert(file: impl AsRef<Path>) -> Output {
    LazyLock::force(&PLUGINS);
    let (done, over) = channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            std::process::abort(); // Rather a failed test run than one that hangs.
        }
    });
    let output = Command::new(CONVERT).arg(file.as_ref()).current_dir(&*ROOT).output().unwrap();
    drop(done);
    output
}

/// What a conversion that succeeds prints.
fn html(file: impl AsRef<Path>) -> String {
    let output = convert(file);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    text(&output.stdout)
}

/// What a conversion that fails says.
fn complaint(file: impl AsRef<Path>) -> String {
    let output = convert(file);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    text(&output.stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_projects_own_readme_becomes_a_page_with_its_title() {
    let page = html("README.md");
    assert!(page.starts_with("<!DOCTYPE html>\n"), "{page}");
    assert!(page.contains("<title>plugin-core</title>"), "{page}");
    assert!(page.contains("<h1>plugin-core</h1>"), "{page}");
}

#[test]
fn a_csv_file_becomes_a_table_titled_after_the_file() {
    let page = html("examples/convert/csv/data/planets.csv");
    assert!(page.contains("<title>planets</title>"), "{page}");
    assert!(page.contains("<th>Mass, 10^24 kg</th>"), "{page}");
    assert!(page.contains("<td>13 March 1781, by William Herschel</td>"), "{page}");
    assert_eq!(page.matches("<tr>").count(), 9, "eight planets under a head");
}

#[test]
fn a_mistake_is_told_with_its_file_line_and_column() {
    let file = "examples/convert/csv/data/broken.csv";
    assert_eq!(complaint(file), format!("{file}:3:11: this record has 2 fields, the first one has 3\n"));
}

#[test]
fn what_no_plugin_takes_is_refused_with_what_they_do_take() {
    let refusal = complaint("Cargo.toml");
    assert_eq!(refusal, "Cargo.toml: no plugin takes .toml files; supported are .csv, .md, .markdown\n");
    let refusal = complaint("LICENSE-MIT");
    assert!(refusal.starts_with("LICENSE-MIT: no plugin takes files without an extension; "), "{refusal}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_where_it_stops_being_text() {
    let refusal = complaint("no-such-file.md");
    assert!(refusal.starts_with("no-such-file.md: "), "{refusal}");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("latin1.csv");
    std::fs::write(&file, b"a,b\n1,caf\xe9\n").unwrap();
    assert_eq!(complaint(&file), format!("{}:2:6: this is not UTF-8\n", file.display()));
}

#[test]
fn the_program_alone_explains_its_use() {
    let output = Command::new(CONVERT).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), "usage: convert FILE\n".into()));
}
