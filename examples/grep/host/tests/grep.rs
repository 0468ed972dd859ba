//! The program on the command line.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{fmt::Write as _, fs, path::Path, process::Output};

use common::{bounded, program};

fn run(directory: &Path, arguments: &[&str]) -> Output {
    bounded(|| program(directory, arguments).output().unwrap())
}

/// The exit status, and the lines of both outputs, those on standard output sorted.
fn outcome(output: &Output) -> (Option<i32>, Vec<&str>, Vec<&str>) {
    let mut printed: Vec<&str> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    printed.sort_unstable();
    (output.status.code(), printed, std::str::from_utf8(&output.stderr).unwrap().lines().collect())
}

fn write(directory: &Path, file: &str, text: &[u8]) {
    let path = directory.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn lines_are_printed_with_their_places_and_the_status_says_whether_there_were_any() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "src/a.txt", b"hay\nNeedle\n");
    write(directory.path(), "src/deep/b.txt", b"needle\n");
    let both = ["src/a.txt:2:Needle", "src/deep/b.txt:1:needle"];
    assert_eq!(outcome(&run(directory.path(), &["-i", "needle"])), (Some(0), both.into(), vec![]));
    assert_eq!(outcome(&run(directory.path(), &["needle", "src"])), (Some(0), vec![both[1]], vec![]));
    assert_eq!(outcome(&run(directory.path(), &["needle", "src/a.txt"])), (Some(1), vec![], vec![]));
    let output = run(directory.path(), &["--stats", "needle"]);
    let stats = "grep-host: 1 lines printed of 1 found, 2 of 2 files searched (18 B), 0 of them binary, 0 not readable";
    assert_eq!(outcome(&output), (Some(0), vec![both[1]], vec![stats]));
}

#[test]
fn what_goes_wrong_is_said_and_gives_status_two() {
    let directory = tempfile::tempdir().unwrap();
    let late = [&b"needle\n"[..], &b"hay\n".repeat(1 << 16), b"\0needle\n"].concat();
    write(directory.path(), "binary", &late);
    write(directory.path(), "long", &vec![b'x'; 17 << 20]);
    let output = run(directory.path(), &["needle"]);
    let (status, printed, said) = outcome(&output);
    assert_eq!((status, printed), (Some(2), vec!["binary:1:needle"]), "what was found is printed all the same");
    assert!(said.contains(&"grep-host: binary: binary file, searched up to its byte 262151"), "{said:?}");
    assert!(said.len() == 2 && said.iter().any(|line| line.starts_with("grep-host: ./long: ")), "{said:?}");
    for (arguments, why) in [
        (&["fn("][..], "grep-host: the pattern cannot be used: "),
        (&["fn", "none"], "grep-host: none: "),
        (&[], "grep-host: there is no pattern"),
    ] {
        let output = run(directory.path(), arguments);
        let (status, printed, said) = outcome(&output);
        assert_eq!((status, printed), (Some(2), vec![]));
        assert!(said[0].starts_with(why), "{said:?}");
    }
}

/// Many files, of many lines that all say `needle`.
fn write_haystack(directory: &Path) {
    let mut text = String::new();
    for number in 0..500 {
        writeln!(text, "needle {number:080}").unwrap();
    }
    for number in 0..400 {
        write(directory, &number.to_string(), text.as_bytes());
    }
}

#[test]
fn enough_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    write_haystack(directory.path());
    let output = run(directory.path(), &["--max", "3", "needle"]);
    let (status, printed, said) = outcome(&output);
    assert_eq!((status, printed.len(), said.len()), (Some(0), 3, 1), "{said:?}");
    let searched = said[0].strip_prefix("grep-host: stopped after 3 lines: ").unwrap();
    let searched: u32 = searched.split(' ').next().unwrap().parse().unwrap();
    assert!(searched < 200, "the plugin went on: {said:?}");
}

#[cfg(unix)]
mod signals {
    use std::{
        io::{BufRead as _, BufReader, Read as _},
        process::{Child, ChildStdout, Command, Stdio},
    };

    use super::*;

    /// The program in the middle of a search: whoever started it has read one line, and the rest waits for room.
    fn in_the_middle(directory: &Path) -> (Child, BufReader<ChildStdout>) {
        write_haystack(directory);
        let mut command = program(directory, &["needle"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.contains(":needle 0"), "{line}");
        (child, output)
    }

    /// The exit status, how many more lines came, and what was said.
    fn rest(child: Child, mut output: BufReader<ChildStdout>) -> (Option<i32>, usize, String) {
        let mut lines = Vec::new();
        output.read_to_end(&mut lines).unwrap();
        let ended = child.wait_with_output().unwrap();
        let lines = lines.split(|byte| *byte == b'\n').count() - 1;
        (ended.status.code(), lines, String::from_utf8(ended.stderr).unwrap())
    }

    fn signal(process: &str, signal: &str) {
        assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
    }

    #[test]
    fn ctrl_c_stops_the_search() {
        bounded(|| {
            let directory = tempfile::tempdir().unwrap();
            let (child, output) = in_the_middle(directory.path());
            signal(&child.id().to_string(), "-INT");
            let (status, lines, said) = rest(child, output);
            assert_eq!(status, Some(130), "{said}");
            assert!(lines < 199_999, "all lines came");
            assert!(
                said.starts_with("grep-host: stopped by Ctrl-C: ") && said.ends_with(" files searched\n"),
                "{said}"
            );
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_plugin_that_is_killed_in_the_middle_is_told_in_words() {
        bounded(|| {
            let directory = tempfile::tempdir().unwrap();
            let (child, output) = in_the_middle(directory.path());
            signal(&plugin_of(&child), "-KILL");
            let (status, lines, said) = rest(child, output);
            assert_eq!(status, Some(2), "{said}");
            assert!(lines < 199_999, "all lines came");
            assert!(said.contains("plugin `grep-files`") && said.contains("signal: 9"), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn ctrl_c_helps_against_a_plugin_that_stands_still() {
        bounded(|| {
            let directory = tempfile::tempdir().unwrap();
            let (child, output) = in_the_middle(directory.path());
            let plugin = plugin_of(&child);
            signal(&plugin, "-STOP");
            signal(&child.id().to_string(), "-INT");
            let (status, lines, said) = rest(child, output);
            assert_eq!(status, Some(130), "{said}");
            assert!(lines < 199_999, "all lines came");
            assert_eq!(said, "grep-host: the plugin did not end the search within 5s and was killed\n");
            let gone = Command::new("kill").args(["-0", &plugin]).output().unwrap();
            assert!(!gone.status.success(), "the plugin is still there");
        });
    }

    /// The id of the one child of a process.
    #[cfg(target_os = "linux")]
    fn plugin_of(host: &Child) -> String {
        let parent = host.id().to_string();
        let is_child = |process: &String| {
            // The name, in parentheses, is followed by the state and the parent.
            let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            status.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&*parent)
        };
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        processes.filter(|name| name.parse::<u32>().is_ok()).find(is_child).unwrap()
    }

    #[test]
    fn whoever_has_seen_enough_hangs_up_and_that_is_no_failure() {
        bounded(|| {
            let directory = tempfile::tempdir().unwrap();
            let (child, output) = in_the_middle(directory.path());
            drop(output);
            let ended = child.wait_with_output().unwrap();
            assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(0), ""));
        });
    }
}
