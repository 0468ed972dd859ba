//! The program with its real plugin, over real HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    process::{Command, Output},
    sync::{
        LazyLock,
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

const FETCH: &str = env!("CARGO_BIN_EXE_fetch");

/// Builds the plugin beside the program: `cargo test` builds only the programs of the package it tests. Together with it, so that
/// both are built with the same features.
static PLUGIN: LazyLock<()> = LazyLock::new(|| {
    let directory = Path::new(FETCH).parent().unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "fetch", "--package", "fetch-http"]);
    build.args(["--profile", profile, "--target-dir"]).arg(directory.parent().unwrap());
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(), "the plugin could not be built");
});

/// Runs `fetch` with `arguments`.
fn fetch(arguments: &[&str]) -> Output {
    LazyLock::force(&PLUGIN);
    let (done, over) = channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            std::process::abort(); // Rather a failed test run than one that hangs.
        }
    });
    let output = Command::new(FETCH).args(arguments).output().unwrap();
    drop(done);
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn two_hundred_pages_come_at_once_and_the_endless_one_is_cancelled_in_the_plugin() {
    let output = fetch(&[]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let summary: Vec<&str> = text(&output.stdout).lines().collect();
    let [pages, endless, plugin] = summary[..] else { panic!("{summary:?}") };
    // "This is page 0.\n" to "This is page 199.\n".
    assert!(pages.starts_with("200 pages, 3490 bytes, in "), "{pages}");
    assert!(endless.starts_with("the endless page: ") && endless.contains("`fetch-http`"), "{endless}");
    assert_eq!(plugin, "the plugin counts: 200 fetched, 0 failed, 1 cancelled, 0 under way");
    let seconds = |word: &str| pages.split(word).nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
    let (took, waits) = (seconds("in "), seconds("up to "));
    assert!(took * 4.0 < waits, "they were fetched one after the other: {pages}");
}

#[test]
fn the_program_explains_its_use() {
    let output = fetch(&["many"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("usage: fetch [COUNT]"), "{}", text(&output.stderr));
}
