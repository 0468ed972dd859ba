//! `PLUGIN_CORE_DEBUG=1` suspends all timeouts, in the host and in its plugins.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking and says why")]

mod common;

use std::process::Command;

use common::{PROBE, ROGUE, watchdog};

/// What the host says that waits for `what`, with and without the variable: it is read once for each process.
fn wait_for(what: &str, program: &str) -> [String; 2] {
    [Some("1"), None].map(|debug| {
        let mut host = Command::new(env!("CARGO_BIN_EXE_patient"));
        host.args([what, program])
            .env_remove("PLUGIN_CORE_DEBUG")
            .envs(debug.map(|value| ("PLUGIN_CORE_DEBUG", value)));
        let output = host.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

fn assert_suspended(what: &str, program: &str, otherwise: &str) {
    watchdog(60, || {
        let [with, without] = wait_for(what, program);
        assert!(with.starts_with("ok"), "{with}");
        assert!(without.contains(otherwise), "{without}");
    });
}

#[test]
fn starting() {
    assert_suspended("start", PROBE, "was not ready within 100ms");
}

#[test]
fn calls() {
    assert_suspended("call", PROBE, "was not done within 100ms");
}

#[test]
fn what_the_caller_sets() {
    assert_suspended("within", PROBE, "was not done within 100ms");
}

#[test]
fn stopping() {
    assert_suspended("stop", PROBE, "was stopped by this host");
}

#[test]
fn the_grace_of_handlers_in_the_plugin() {
    assert_suspended("grace", PROBE, "was stopped by this host");
}

#[test]
fn resuming() {
    assert_suspended("resume", ROGUE, "the host has given up");
}

#[test]
fn being_idle() {
    assert_suspended("idle", PROBE, "it was stopped");
}

#[test]
fn plugins_with_an_environment_of_their_own_are_told() {
    watchdog(60, || assert_eq!(wait_for("environment", PROBE), ["ok Some(\"1\")", "ok None"]));
}
