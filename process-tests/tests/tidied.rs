//! Somebody tidies the host's socket away while plugins run, as cleaners of temporary directories do.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]

mod common;

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use common::{behind_a_cutter, connect, launcher, milliseconds, watchdog};

/// All plugins of this process dial the same socket, so one test at a time may take it away.
static TURN: Mutex<()> = Mutex::new(());

/// The directory of this host's socket.
fn place() -> PathBuf {
    let bases = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).into_iter().chain([env::temp_dir(), "/tmp".into()]);
    let prefix = format!("plugin-core.{}-", std::process::id());
    let mut places = bases.filter_map(|base| fs::read_dir(base).ok()).flatten().flatten();
    places.find(|place| place.file_name().to_string_lossy().starts_with(&prefix)).expect("a plugin was started").path()
}

/// Calls a plugin whose connection is cut over and over again, while the socket is tidied away.
fn goes_on_while(seed: u64, tidy: fn(&Path)) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog(240, || {
        let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        let (launcher, cuts) = behind_a_cutter(seed, 1000, u64::MAX, directory.path());
        let probe = connect(launcher);
        let place = place();
        let mut number = 0;
        for _ in 0..10 {
            tidy(&place);
            let enough = cuts() + 3;
            while cuts() < enough {
                assert_eq!(probe.record(number).unwrap(), number, "none is lost, none ran twice");
                number += 1;
            }
            assert!(place.join("s").exists(), "it is there again");
        }
        println!("{number} calls, {} cuts", cuts());
    });
}

#[test]
fn a_session_cut_after_the_socket_was_removed_is_resumed() {
    goes_on_while(11, |place| fs::remove_file(place.join("s")).unwrap());
}

#[test]
fn a_session_cut_after_the_directory_was_removed_is_resumed() {
    goes_on_while(12, |place| fs::remove_dir_all(place).unwrap());
}

#[test]
fn a_plugin_started_after_the_directory_was_removed_finds_it_at_the_same_place() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog(60, || {
        let first = connect(launcher());
        let before = place();
        fs::remove_dir_all(&before).unwrap();
        let second = connect(launcher());
        assert_eq!(place(), before);
        assert_eq!((first.add(1, 2).unwrap(), second.add(3, 4).unwrap()), (3, 7));
        drop((first, second));
        assert!(process_tests::system::eventually(std::time::Duration::from_secs(10), || !before.exists()));
    });
}

#[test]
fn a_directory_that_others_can_write_is_not_taken_for_the_one_that_was_removed() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog(60, || {
        let probe = connect(common::rogue("hangs-up").resume_timeout(milliseconds(800)));
        let before = place();
        fs::remove_dir_all(&before).unwrap();
        fs::create_dir(&before).unwrap();
        fs::set_permissions(&before, fs::Permissions::from_mode(0o777)).unwrap();
        // So that it is not swept away: nobody holds it.
        fs::write(before.join("another's"), "").unwrap();
        let error = probe.add(1, 2).unwrap_err().to_string();
        assert!(error.contains("did not come back within 800ms, since its socket was removed"), "{error}");
        assert!(error.contains("others can write to the directory"), "{error}");
        assert_eq!(connect(launcher()).add(1, 2).unwrap(), 3, "others get another place");
        assert_eq!(fs::read_dir(&before).unwrap().count(), 1, "nothing was put there");
        fs::remove_dir_all(&before).unwrap();
    });
}
