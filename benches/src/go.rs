//! The contenders in Go.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Result;

/// Where Debian's packages `golang-*-dev` keep sources.
const PACKAGED: &str = "/usr/share/gocode";

/// Builds them, beside this program; fails if Go or the packages are missing.
pub(crate) fn build() -> Result<PathBuf> {
    let program = env::current_exe()?.with_file_name("benches-go");
    let mut command = Command::new("go");
    command.arg("build").arg("-o").arg(&program).arg(".");
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go"));
    // Of the packages of the system, so that nothing is downloaded.
    command.env("GO111MODULE", "off").env("GOFLAGS", "").env("GOPATH", PACKAGED);
    let output = command.output().map_err(|error| format!("Go is not installed ({error})"))?;
    if output.status.success() {
        return Ok(program);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| !line.starts_with('#')).unwrap_or("no reason was given").trim().to_owned();
    Err(format!("Go or the package golang-github-hashicorp-go-plugin-dev is missing ({first})").into())
}

/// The versions of Go and of hashicorp/go-plugin, as far as they are there.
pub(crate) fn versions() -> Option<String> {
    let go = said(Command::new("go").arg("version"))?;
    let query = ["-W", "-f", "${Version}", "golang-github-hashicorp-go-plugin-dev"];
    let plugin = said(Command::new("dpkg-query").args(query));
    Some(format!("{go}; hashicorp/go-plugin {}", plugin.as_deref().unwrap_or("of unknown version")))
}

fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
