//! The program with its real plugin.

use std::{
    path::Path,
    process::Command,
    sync::{
        LazyLock,
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_grep-host");

/// Builds the plugin beside the program: `cargo test` builds only the programs of the package it tests.
static PLUGIN: LazyLock<()> = LazyLock::new(|| {
    let directory = Path::new(PROGRAM).parent().unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "grep-files"]);
    build.args(["--profile", profile, "--target-dir"]).arg(directory.parent().unwrap());
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(), "the plugin could not be built");
});

/// The program, ready to be run in `directory`.
pub(crate) fn program(directory: &Path, arguments: &[&str]) -> Command {
    LazyLock::force(&PLUGIN);
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(directory);
    command
}

/// Runs `body`; ends the test run if it hangs.
pub(crate) fn bounded<R>(body: impl FnOnce() -> R) -> R {
    LazyLock::force(&PLUGIN);
    let (done, over) = channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(Duration::from_secs(90)) == Err(RecvTimeoutError::Timeout) {
            std::process::abort(); // Rather a failed test run than one that hangs.
        }
    });
    let result = body();
    drop(done);
    result
}
