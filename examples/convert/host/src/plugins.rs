//! Finding the plugin for a file: the programs called `convert-<name>` beside this one are asked what they take.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use convert_api::Converter;
use plugin_core::{Plugin, connect};

use crate::{
    complain,
    failure::{Failure, with_causes},
};

/// A plugin that takes the extension of `file`.
///
/// The plugins are started one by one until one takes it; those that do not are stopped as they are dropped.
pub(crate) fn find(file: &Path) -> Result<Plugin<dyn Converter>, Failure> {
    let wanted = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut supported = Vec::new();
    for program in programs()? {
        match start(&program) {
            Ok((converter, extensions)) if extensions.contains(&wanted) => return Ok(converter),
            Ok((_, extensions)) => supported.extend(extensions),
            // One bad plugin must not keep the others from working.
            Err(error) => complain(&format!("convert: skipping {}: {}", program.display(), with_causes(&error))),
        }
    }
    Err(no_plugin(&wanted, &supported))
}

fn start(program: &Path) -> plugin_core::Result<(Plugin<dyn Converter>, Vec<String>)> {
    let converter = connect::<dyn Converter>(program)?;
    let extensions = converter.extensions()?;
    Ok((converter, extensions))
}

/// The plugin programs beside this one, in the order of their names.
fn programs() -> io::Result<Vec<PathBuf>> {
    let host = env::current_exe()?;
    let entries = fs::read_dir(host.parent().unwrap_or(Path::new(".")))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut programs: Vec<PathBuf> = paths?.into_iter().filter(|path| is_plugin(path)).collect();
    programs.sort();
    Ok(programs)
}

/// Whether a file is called as a plugin is. Build tools put `convert-csv.d` and the like beside it.
fn is_plugin(path: &Path) -> bool {
    let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    name.starts_with("convert-") && extension == env::consts::EXE_EXTENSION
}

fn no_plugin(wanted: &str, supported: &[String]) -> Failure {
    let wanted = if wanted.is_empty() { "files without an extension".into() } else { format!(".{wanted} files") };
    let supported = supported.iter().map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(", ");
    let supported = if supported.is_empty() {
        "there are no plugins beside this program; build them with `cargo build -p convert-markdown -p convert-csv`"
            .into()
    } else {
        format!("supported are {supported}")
    };
    Failure::NoPlugin(format!("no plugin takes {wanted}; {supported}"))
}
