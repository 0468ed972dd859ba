//! `convert FILE` prints a file as HTML. What formats there are depends on the plugins beside the program.

mod failure;
mod page;
mod plugins;

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, ErrorKind, Write as _},
    path::Path,
    process::ExitCode,
};

use convert_api::ConvertError;

use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [file] = &arguments[..] else {
        complain("usage: convert FILE");
        return ExitCode::from(2);
    };
    let file = Path::new(file);
    match convert(file).and_then(|html| print(&html)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure.about(file));
            ExitCode::FAILURE
        }
    }
}

fn convert(file: &Path) -> Result<String, Failure> {
    let bytes = fs::read(file)?;
    let converter = plugins::find(file)?;
    let source = decode(bytes)?;
    let title = converter.title(&source)?.unwrap_or_else(|| page::title_of(file));
    let body = converter.convert(&source)?;
    Ok(page::page(&title, &body))
}

fn decode(bytes: Vec<u8>) -> Result<String, ConvertError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        ConvertError::after(&String::from_utf8_lossy(valid), "this is not UTF-8")
    })?;
    // A byte order mark is none of the document's text.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn print(html: &str) -> Result<(), Failure> {
    match io::stdout().write_all(html.as_bytes()) {
        // Whoever reads has seen enough, as in `convert FILE | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

#[expect(clippy::print_stderr, reason = "a command-line program says there what went wrong")]
fn complain(message: &str) {
    eprintln!("{message}");
}
