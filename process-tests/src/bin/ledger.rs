//! The plugin that writes down every call it runs: `ledger JOURNAL`.

#[cfg(unix)]
fn main() -> plugin_core::Result<()> {
    let journal = std::env::args_os().nth(1).unwrap_or_default();
    process_tests::ledger::run(journal.as_ref())
}

#[cfg(not(unix))]
fn main() {}
