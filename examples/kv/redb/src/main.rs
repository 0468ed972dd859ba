//! The `kv` plugin that keeps its data in a file of [redb](https://docs.rs/redb): `kv-redb FILE`.

mod store;
mod watchers;

use std::{env, path::Path, process::ExitCode};

use kv_api::Store;

use crate::store::RedbStore;

fn main() -> ExitCode {
    let Some(file) = env::args_os().nth(1) else {
        complain("usage: kv-redb FILE, where FILE holds the data; it is made if it does not exist");
        return ExitCode::from(2);
    };
    let file = Path::new(&file);
    match RedbStore::open(file) {
        Ok(store) => serve(store),
        // The host quotes this, as what the plugin said before it ended.
        Err(error) => {
            complain(&format!("cannot open {}: {error}", file.display()));
            ExitCode::FAILURE
        }
    }
}

fn serve(store: RedbStore) -> ExitCode {
    match plugin_core::serve::<dyn Store>(store) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the host forwards it and quotes it in its errors")]
fn complain(message: &str) {
    eprintln!("{message}");
}
