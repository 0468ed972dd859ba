//! Runs the plugin named first and cuts its connection: `cutter PLUGIN SEED DISTANCE CUTS COUNT-FILE`.

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    use process_tests::cutter::{Plan, run};
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let number = |text: String| text.parse().map_err(std::io::Error::other);
    let mut plugin = std::process::Command::new(next());
    let (seed, distance, cuts) = (number(next())?, number(next())?, number(next())?);
    let status = run(Plan { seed, distance, cuts, count: next().into() }, &mut plugin)?;
    #[allow(clippy::exit, reason = "it stands in for the plugin, its exit status included")]
    std::process::exit(status.code().unwrap_or(1))
}

#[cfg(not(unix))]
fn main() {}
