//! `fetch` fetches many pages at once, through a plugin, from a site of its own.

mod fetch;
mod progress;
mod site;

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use fetch_api::{FetchError, Fetcher};
use plugin_core::{Plugin, connect_async};

use crate::site::Site;

/// How many pages are fetched unless the command line says so.
const PAGES: usize = 200;

/// Why there is no summary.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the endless page came to an end")]
    Endless,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Plugin(#[from] plugin_core::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let count = match &arguments[..] {
        [] => Some(PAGES),
        [count] => count.parse().ok(),
        _ => None,
    };
    let Some(count) = count else {
        complain("usage: fetch [COUNT], where COUNT is how many pages to fetch at once, 200 unless given");
        return ExitCode::from(2);
    };
    match run(count).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("fetch: {}", with_causes(&failure)));
            ExitCode::FAILURE
        }
    }
}

async fn run(count: usize) -> Result<(), Failure> {
    let site = Site::open().await?;
    // The plugin lies beside this program.
    let program = env::current_exe()?.with_file_name(format!("fetch-http{}", env::consts::EXE_SUFFIX));
    let fetcher = connect_async::<dyn Fetcher>(program).await?;
    let summary = fetch::fetch(&fetcher, &site, count).await?;
    Plugin::process(&fetcher).shutdown_async().await?;
    Ok(write!(io::stdout(), "{summary}")?)
}

/// The message of `error` and those of its causes.
fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

#[expect(clippy::print_stderr, reason = "a command-line program says there what went wrong")]
fn complain(message: &str) {
    eprintln!("{message}");
}
