//! A host with very short timeouts, and a plugin that takes longer than each. The first argument says which one is
//! tried, the second is the plugin; it says on standard output what came of it.
#![allow(clippy::print_stdout, reason = "the test reads it")]

use std::{fmt::Debug, process::Command, thread, time::Duration};

use plugin_core::{Error, Launcher, Output, Plugin, Process, Result, within};
use process_tests::Probe;

const SHORT: Duration = Duration::from_millis(100);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (what, program) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let outcome = match what.as_str() {
        "start" => said(launcher(&program).start_timeout(SHORT).env("PROBE_SLOW", "1").spawn().map(drop)),
        "call" => said(connect(launcher(&program).call_timeout(SHORT))?.sleep(400)),
        "within" => {
            let probe = connect(launcher(&program))?;
            said(within(SHORT, || probe.sleep(400)))
        }
        "stop" => stop(launcher(&program).stop_timeout(SHORT))?,
        "grace" => stop(launcher(&program))?,
        "resume" => {
            let mut command = Command::new(program);
            command.arg("comes-back-late");
            said(connect(launcher(command).resume_timeout(SHORT))?.add(1, 2))
        }
        "idle" => {
            let probe = connect(launcher(&program).idle_timeout(SHORT))?;
            // Events come when something happens, and this waits for one that does not.
            let idle = Plugin::process(&probe).events().filter(|event| !format!("{event:?}").starts_with("Started"));
            let (sender, told) = std::sync::mpsc::channel();
            thread::spawn(move || idle.for_each(|event| drop(sender.send(event))));
            if told.recv_timeout(Duration::from_secs(2)).is_err() { "ok".into() } else { "it was stopped".into() }
        }
        "environment" => said(connect(launcher(&program).env_clear())?.variable("PLUGIN_CORE_DEBUG")),
        unknown => return Err(Error::custom(format!("{unknown}?"))),
    };
    println!("{outcome}");
    Ok(())
}

fn launcher(what: impl Into<Launcher>) -> Launcher {
    Launcher::new(what).output(Output::Discard)
}

fn connect(launcher: Launcher) -> Result<Plugin<dyn Probe>> {
    launcher.spawn()?.interface()
}

fn said(outcome: Result<impl Debug>) -> String {
    match outcome {
        Ok(value) => format!("ok {value:?}"),
        Err(error) => error.to_string(),
    }
}

/// Stops the plugin while it is busy for 1.5 s; what comes of the call that keeps it so.
fn stop(launcher: Launcher) -> Result<String> {
    let probe = connect(launcher)?;
    let process: &Process = Plugin::process(&probe);
    thread::scope(|scope| {
        let busy = scope.spawn(|| probe.record_and_sleep(1, 1500));
        while probe.recorded()?.is_empty() {
            thread::yield_now();
        }
        process.shutdown()?;
        Ok(busy.join().map_or_else(|_| "it panicked".into(), said))
    })
}
