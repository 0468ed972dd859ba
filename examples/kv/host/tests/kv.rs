//! The program with its real plugin.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{
        LazyLock,
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

const KV: &str = env!("CARGO_BIN_EXE_kv");

/// Builds the plugin beside the program: `cargo test` builds only the programs of the package it tests.
static PLUGIN: LazyLock<()> = LazyLock::new(|| {
    let directory = Path::new(KV).parent().unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "kv-redb"]);
    build.args(["--profile", profile, "--target-dir"]).arg(directory.parent().unwrap());
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(), "the plugin could not be built");
});

/// Runs `kv --store FILE` with further arguments and something to read.
fn kv(file: &Path, arguments: &[&str], input: &[u8]) -> Output {
    bounded(|| {
        let mut child = start(file, arguments);
        // A program that reads no input may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    })
}

fn start(file: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(KV);
    command.arg("--store").arg(file).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs `body` once there is a plugin; ends the test run if it hangs.
fn bounded<R>(body: impl FnOnce() -> R) -> R {
    LazyLock::force(&PLUGIN);
    let (done, over) = channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            std::process::abort(); // Rather a failed test run than one that hangs.
        }
    });
    let result = body();
    drop(done);
    result
}

/// What the program prints when it succeeds.
fn printed(file: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = kv(file, arguments, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn one_run_finds_what_an_earlier_one_put() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    printed(&file, &["put", "greeting/en", "Hello"], b"");
    printed(&file, &["put", "greeting/de"], b"Hallo\0\xff");
    printed(&file, &["put", "other", "x"], b"");
    assert_eq!(printed(&file, &["get", "greeting/de"], b""), b"Hallo\0\xff");
    printed(&file, &["delete", "greeting/de"], b"");
    assert_eq!(printed(&file, &["scan", "greeting/"], b""), b"greeting/en\tHello\n");
}

#[test]
fn what_goes_wrong_in_the_plugin_is_told_by_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let complaint = |file: &Path, arguments| {
        let output = kv(file, arguments, b"");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let file = directory.path().join("store");
    assert_eq!(complaint(&file, &["get", "nothing"]), "kv: there is no key `nothing`\n");
    assert_eq!(complaint(&file, &["put", "", "x"]), "kv: a key has 1 to 1024 bytes, this one has 0\n");
    let error = complaint(&directory.path().join("no/such/directory"), &["get", "a"]);
    assert!(error.starts_with("kv: plugin `kv-redb` ended before it was ready: exit "), "{error}");
    assert!(error.contains("cannot open "), "{error}");
}

#[test]
fn watching_tells_of_changes_while_there_may_be_more_commands() {
    bounded(|| {
        let directory = tempfile::tempdir().unwrap();
        let mut child = start(&directory.path().join("store"), &["watch", "a/"]);
        let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut next = |command: &str| {
            writeln!(input, "{command}").unwrap();
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            line
        };
        assert_eq!(next("put b unseen\nput a/1 some words"), "put\ta/1\tsome words\n");
        assert_eq!(next("get b"), "unseen\n");
        assert_eq!(next("delete a/1"), "delete\ta/1\n");
        drop(input);
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(0), ""));
    });
}

#[test]
fn every_change_is_told_before_watching_ends_and_commands_that_fail_count() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let lines: Vec<String> = (0..40).map(|number| format!("put\t{number}\tx")).collect();
    let output = printed(&file, &["watch"], lines.join("\n").replace('\t', " ").as_bytes());
    assert!(String::from_utf8(output).unwrap().lines().eq(&lines));
    let output = kv(&file, &["watch"], b"delete none\nlist\nput 0 y\n");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"put\t0\ty\n");
    let said = String::from_utf8(output.stderr).unwrap();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!((said.len(), said[0]), (3, "kv: there is no key `none`"));
    assert!(said[1].starts_with("kv: there is no command `list`;"), "{said:?}");
    assert_eq!(said[2], "kv: commands that failed: 2");
}
