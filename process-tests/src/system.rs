//! What the operating system says of processes, threads and files.

use std::{fs, io, path::Path};

pub use crate::eventually;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Whether a process runs; a zombie that waits to be reaped counts as gone.
pub fn is_running(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state follows the name, which is in parentheses and may contain any others.
        Ok(stat) => !matches!(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()), Some('Z' | 'X')),
        Err(_) => false,
    }
}

/// How many files this process has open.
pub fn open_files() -> usize {
    count("/proc/self/fd")
}

/// How many threads this process has.
pub fn threads() -> usize {
    count("/proc/self/task")
}

/// How many children this process has, zombies included.
pub fn children() -> usize {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    children.map(|children| children.split_whitespace().count()).sum()
}

/// How many entries a directory has.
pub fn count(directory: impl AsRef<Path>) -> usize {
    fs::read_dir(directory).into_iter().flatten().count()
}

/// From now on this thread, and the threads and processes that it starts, run on one processor.
///
/// # Errors
/// What the operating system says.
pub fn stay_on_one_processor() -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap_or(0));
    Ok(sched_setaffinity(None, &one)?)
}
