//! What the operating system knows of processes, and where it lets them run.

use std::{
    fs,
    process::{Child, Command},
    time::Duration,
};

use benches::machine::{field, kibibytes};

use crate::Result;

/// Starts a process that runs on this CPU only, as do all that it starts.
#[cfg(target_os = "linux")]
pub(crate) fn spawn_pinned(command: &mut Command, cpu: usize) -> Result<Child> {
    use nix::{
        sched::{CpuSet, sched_getaffinity, sched_setaffinity},
        unistd::Pid,
    };
    // A child inherits it from the thread that starts it.
    let this_thread = Pid::from_raw(0);
    let before = sched_getaffinity(this_thread)?;
    let mut one = CpuSet::new();
    one.set(cpu)?;
    sched_setaffinity(this_thread, &one)?;
    let child = command.spawn();
    sched_setaffinity(this_thread, &before)?;
    Ok(child?)
}

/// The CPUs that this process may use.
#[cfg(target_os = "linux")]
pub(crate) fn cpus() -> Vec<usize> {
    use nix::{
        sched::{CpuSet, sched_getaffinity},
        unistd::Pid,
    };
    let Ok(allowed) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect()
}

/// The CPU time that a process has had.
#[cfg(target_os = "linux")]
pub(crate) fn cpu_time(process: u32) -> Option<Duration> {
    use nix::{time::ClockId, unistd::Pid};
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(process).ok()?)).ok()?;
    Some(clock.now().ok()?.into())
}

/// Makes a process the leader of a group, to which belong all that it starts, unless they leave it.
#[cfg(target_os = "linux")]
pub(crate) fn lead_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

/// Kills the group of a process that [`lead_group`] was called for and that is not reaped.
#[cfg(target_os = "linux")]
pub(crate) fn kill_group(leader: &Child) {
    use nix::{
        sys::signal::{Signal, killpg},
        unistd::Pid,
    };
    if let Ok(group) = i32::try_from(leader.id()) {
        // Nobody may be left in it.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// Lets this process, and those it starts, open as many files as the system allows: a host of a thousand plugins has
/// several for each.
#[cfg(target_os = "linux")]
pub(crate) fn allow_many_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // If that is refused, a host says so when it has too few.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn lead_group(_: &mut Command) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn kill_group(_: &Child) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn allow_many_files() {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn spawn_pinned(_: &mut Command, _: usize) -> Result<Child> {
    Err("processes can be pinned to a CPU on Linux only".into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn cpus() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn cpu_time(_: u32) -> Option<Duration> {
    None
}

/// What a process and all it has started hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// In bytes; what several share is divided among them.
    pub(crate) memory: u64,
    pub(crate) threads: u64,
}

/// The CPU time of a process and all it has started that still run.
pub(crate) fn cpu_time_of_tree(root: u32) -> Result<Duration> {
    let times: Option<Vec<_>> = tree(root).into_iter().map(cpu_time).collect();
    times.map(|times| times.iter().sum()).ok_or_else(|| "CPU time can be measured on Linux only".into())
}

/// All that a process and those it has started hold; nothing where there is no `/proc`.
pub(crate) fn usage_of_tree(root: u32) -> Usage {
    let mut usage = Usage::default();
    for process in tree(root) {
        usage.memory += field(&format!("/proc/{process}/smaps_rollup"), "Pss").map_or(0, |size| kibibytes(&size));
        let threads = field(&format!("/proc/{process}/status"), "Threads");
        usage.threads += threads.and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
    }
    usage
}

/// A process and all its descendants.
fn tree(root: u32) -> Vec<u32> {
    let processes: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, parent(process)?)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        found.extend(processes.iter().filter(|(_, parent)| *parent == process).map(|(child, _)| child));
        next += 1;
    }
    found
}

fn parent(process: u32) -> Option<u32> {
    field(&format!("/proc/{process}/status"), "PPid")?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{process, thread, time::Instant};

    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = usage_of_tree(process::id());
        assert!(usage.memory > 0 && usage.threads > 0);
        let (start, before) = (Instant::now(), cpu_time_of_tree(process::id()).unwrap());
        while start.elapsed() < Duration::from_millis(5) {
            thread::yield_now();
        }
        assert!(cpu_time_of_tree(process::id()).unwrap() > before);
    }

    #[test]
    fn a_child_is_in_the_tree_and_where_it_was_put() {
        let cpu = *cpus().last().unwrap();
        let mut child = spawn_pinned(Command::new("sleep").arg("60"), cpu).unwrap();
        let found = tree(process::id());
        let allowed = field(&format!("/proc/{}/status", child.id()), "Cpus_allowed_list");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&child.id()));
        assert_eq!(allowed, Some(cpu.to_string()));
    }
}
