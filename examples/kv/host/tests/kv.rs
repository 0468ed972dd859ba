//! The program with its real plugin.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
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
    LazyLock::force(&PLUGIN);
    let (done, over) = channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            std::process::abort(); // Rather a failed test run than one that hangs.
        }
    });
    let mut command = Command::new(KV);
    command.arg("--store").arg(file).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that reads no input may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    drop(done);
    output
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
