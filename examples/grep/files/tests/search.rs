//! The plugin as a process of its own, on real files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use grep_api::{Found, Progress, Query, Search, SearchError, Searcher, Summary};
use plugin_core::{Error, Plugin, connect};

/// Runs `test` with a plugin and an empty directory; ends the test run if it hangs.
fn with_directory(test: impl FnOnce(&Plugin<dyn Searcher>, &Path)) {
    let (done, over) = channel::<()>();
    thread::spawn(move || {
        if over.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            std::process::abort();
        }
    });
    let directory = tempfile::tempdir().unwrap();
    test(&connect(env!("CARGO_BIN_EXE_grep-files")).unwrap(), directory.path());
    drop(done);
}

fn query(pattern: &str, root: &Path) -> Query {
    Query { pattern: pattern.into(), root: root.into(), ignore_case: false, all: false }
}

/// What a search finds, as sorted lines without the directory, and what it comes to.
fn search(searcher: &dyn Searcher, query: &Query) -> (Vec<String>, Summary) {
    let Search { found, running } = searcher.search(query).unwrap();
    let mut lines: Vec<String> = found.into_iter().map(|found| text(found.unwrap(), &query.root)).collect();
    lines.sort();
    (lines, running.progress(&mut drop).unwrap())
}

fn text(found: Found, root: &Path) -> String {
    let text = match found {
        Found::Line(line) => format!("{}:{}:{}", line.path, line.number, String::from_utf8_lossy(&line.text)),
        Found::Binary { path, offset } => format!("{path}: binary at {offset}"),
        Found::Problem(problem) => problem.message,
    };
    text.replace(root.to_str().unwrap(), "")
}

/// Many files, of many lines that all say `needle`.
fn write_haystack(root: &Path) -> u64 {
    let mut text = String::new();
    for number in 0..500 {
        writeln!(text, "needle {number:080}").unwrap();
    }
    for number in 0..400 {
        fs::write(root.join(number.to_string()), &text).unwrap();
    }
    400
}

#[test]
fn lines_are_found_with_their_numbers_in_all_but_hidden_and_ignored_files() {
    with_directory(|searcher, root| {
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir(root.join(".git")).unwrap();
        fs::write(root.join("a/one"), "needle\nhay\nNEEDLE\nneedle without an end").unwrap();
        fs::write(root.join("a/b/two"), b"hay\nneedle \xff\r\n").unwrap();
        fs::write(root.join("a/.hidden"), "needle\n").unwrap();
        fs::write(root.join("ignored"), "needle\n").unwrap();
        fs::write(root.join(".gitignore"), "ignored\n").unwrap();
        let (lines, summary) = search(&**searcher, &query("^needle", root));
        assert_eq!(lines, ["/a/b/two:2:needle \u{fffd}\r", "/a/one:1:needle", "/a/one:4:needle without an end"]);
        let progress = Progress { files: 2, all_files: true, searched: 2, bytes: 53, lines: 3 };
        assert_eq!(summary, Summary { progress, binary: 0, stopped: false });
        let (lines, summary) = search(&**searcher, &Query { ignore_case: true, all: true, ..query("^needle", root) });
        assert_eq!((lines.len(), summary.progress.files), (6, 5), "{lines:?}");
        let (lines, _) = search(&**searcher, &query("needle$", &root.join("a/one")));
        assert_eq!(lines, [":1:needle"], "a file is searched, too");
    });
}

#[test]
fn binary_files_and_those_that_cannot_be_searched_are_told_and_the_search_goes_on() {
    with_directory(|searcher, root| {
        fs::write(root.join("binary"), b"\0needle\n").unwrap();
        fs::write(root.join("found"), "needle\n").unwrap();
        let late = [&b"needle\n"[..], &b"hay\n".repeat(1 << 16), b"\0needle\n"].concat();
        fs::write(root.join("late"), late).unwrap();
        fs::write(root.join("long"), vec![b'x'; 17 << 20]).unwrap();
        let (lines, summary) = search(&**searcher, &query("needle", root));
        let [found, late_binary, late, problem] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((found.as_str(), late.as_str()), ("/found:1:needle", "/late:1:needle"));
        assert_eq!(late_binary, "/late: binary at 262151");
        assert!(problem.starts_with("/long: "), "{problem}");
        assert_eq!((summary.binary, summary.progress.searched), (2, 3), "{summary:?}");
    });
}

#[test]
fn a_search_that_cannot_begin_says_why() {
    with_directory(|searcher, root| {
        let error = searcher.search(&query("fn(", root)).unwrap_err();
        assert!(matches!(&error, SearchError::BadPattern { message } if message.contains("unclosed group")), "{error}");
        let error = searcher.search(&query("a\\nb", root)).unwrap_err();
        assert!(matches!(error, SearchError::BadPattern { .. }), "no line has an end inside: {error}");
        let error = searcher.search(&query("fn", &root.join("none"))).unwrap_err();
        assert!(matches!(&error, SearchError::BadRoot { root, .. } if root.ends_with("none")), "{error}");
    });
}

#[test]
fn dropping_the_stream_stops_the_search() {
    with_directory(|searcher, root| {
        let files = write_haystack(root);
        let Search { mut found, running } = searcher.search(&query("needle", root)).unwrap();
        assert!(matches!(found.read(), Some(Ok(Found::Line(_)))));
        drop(found);
        let summary = running.progress(&mut drop).unwrap();
        assert!(summary.stopped, "{summary:?}");
        // Somewhat more than 1 MiB of 16 is searched ahead of the reader.
        assert!(summary.progress.searched < files / 2, "{summary:?}");
    });
}

#[test]
fn progress_is_told_while_the_lines_are_read() {
    with_directory(|searcher, root| {
        let files = write_haystack(root);
        let Search { mut found, running } = searcher.search(&query("needle", root)).unwrap();
        assert!(found.read().is_some());
        let (begun, has_begun) = channel();
        let mut told = Vec::new();
        let (lines, summary) = thread::scope(|scope| {
            let watching = scope.spawn(|| {
                running.progress(&mut |progress| {
                    told.push(progress);
                    let _ = begun.send(());
                })
            });
            // The search waits for its reader, who waits for the first word of it.
            has_begun.recv().unwrap();
            let lines = 1 + found.into_iter().map_while(Result::ok).count() as u64;
            (lines, watching.join().unwrap().unwrap())
        });
        assert!(!summary.stopped && summary.progress.searched == files, "{summary:?}");
        assert_eq!((lines, summary.progress.lines), (500 * files, 500 * files));
        assert!(told.len() > 1 && told[0].searched < files, "{told:?}");
        assert!(told.windows(2).all(|two| two[0].searched <= two[1].searched && two[0].bytes <= two[1].bytes));
        assert_eq!(told.last(), Some(&summary.progress), "all is told before the end");
    });
}

#[test]
fn a_plugin_that_dies_ends_both_the_stream_and_the_call_that_watches() {
    with_directory(|searcher, root| {
        write_haystack(root);
        let Search { mut found, running } = searcher.search(&query("needle", root)).unwrap();
        assert!(found.read().is_some());
        Plugin::process(searcher).kill().unwrap();
        let last = found.into_iter().last().unwrap();
        assert!(matches!(last, Err(Error::Stopped { .. } | Error::Died { .. })), "{last:?}");
        let error = running.progress(&mut drop).unwrap_err();
        assert!(error.to_string().contains("`grep-files`"), "{error}");
    });
}
