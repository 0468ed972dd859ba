//! Cuts and kills plugins under many callers, and counts the calls that were lost or repeated.
//!
//! `cargo run --release -p benches --bin chaos -- --seed 1` ends with one line of figures, and fails if any call was lost or
//! repeated. What it does in detail is in `process_tests::chaos`, what it shows in docs/reliability.md.

#[cfg(unix)]
mod run;
#[cfg(unix)]
mod show;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(not(unix))]
fn main() {
    panic!("the cutter cuts Unix-domain sockets, and there are none here");
}
