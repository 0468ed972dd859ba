//! Runs a plugin and cuts its connection: `cutter SEED DISTANCE CUTS NOTES PLUGIN [ARGUMENT ..]`.

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    process_tests::cutter::main(std::env::args_os().skip(1))
}

#[cfg(not(unix))]
fn main() {}
