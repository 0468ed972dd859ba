//! A host to be killed: starts the plugin named first, has it start a process, says both ids, and waits.
#![allow(clippy::print_stdout, reason = "the test reads it")]

use plugin_core::{Plugin, Result, connect};
use process_tests::Probe;

fn main() -> Result<()> {
    let plugin = std::env::args().nth(1).unwrap_or_default();
    let probe = connect::<dyn Probe>(plugin)?;
    let grandchild = probe.spawn()?;
    println!("{} {grandchild}", Plugin::process(&probe).pid().unwrap_or_default());
    match probe.hang_forever() {
        Err(error) => Err(error),
        Ok(()) => Ok(()),
    }
}
