//! Starting and stopping a thousand times leaves nothing behind. The only test of its process: it counts.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says why")]
#![cfg(target_os = "linux")]

mod common;

use std::time::Duration;

use common::{Probe, launcher, rogue, watchdog};
use process_tests::system::{children, count, eventually, open_files, threads};

#[test]
fn a_thousand_starts_and_stops_leave_nothing_behind() {
    watchdog(600, || {
        let runtime = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
        // The only test of this process, so nobody reads the environment meanwhile.
        // SAFETY: no other thread runs yet.
        #[expect(unsafe_code, reason = "the host reads its own environment")]
        unsafe {
            std::env::set_var("XDG_RUNTIME_DIR", runtime.path());
        }
        cycle(0);
        let settled = |files: usize, tasks: usize| {
            eventually(Duration::from_secs(20), || {
                open_files() <= files && threads() <= tasks && children() == 0 && count(runtime.path()) == 0
            })
        };
        settled(0, 0);
        let (files, tasks) = (open_files(), threads());
        for number in 1..=1000 {
            cycle(number);
        }
        assert!(
            settled(files, tasks),
            "{} files of {files}, {} threads of {tasks}, {} children, {} in the runtime directory",
            open_files(),
            threads(),
            children(),
            count(runtime.path()),
        );
    });
}

fn cycle(number: u64) {
    match number % 10 {
        // A start that fails, now and then.
        9 => drop(rogue("exit-silently").spawn().unwrap_err()),
        end => {
            let probe = launcher().spawn().unwrap().interface::<dyn Probe>().unwrap();
            assert_eq!(probe.add(number, 1).unwrap(), number + 1);
            match end {
                0..3 => drop(probe),
                3 => drop(common::process(&probe).kill().unwrap()),
                _ => drop(common::process(&probe).shutdown().unwrap()),
            }
        }
    }
}
