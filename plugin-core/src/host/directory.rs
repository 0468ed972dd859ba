//! The private place of a host's socket: a directory that only its user can enter.
//!
//! A host that is killed cannot remove its directory. So each holds a lock file locked, which the operating system unlocks
//! with the process, and every new host sweeps away the directories whose lock is free. (A process id in the name would
//! not do: ids are reused.)

#[cfg(unix)]
pub(super) use unix::Directory;
#[cfg(windows)]
pub(super) use windows::Directory;

use std::{io, path::PathBuf};

/// Where a host listens, once it has somewhere to.
pub(super) trait Place: Sized {
    fn create() -> io::Result<Self>;
    fn socket(&self) -> PathBuf;
}

fn random_name() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("{}-{:016x}", std::process::id(), u64::from_ne_bytes(random)))
}

#[cfg(unix)]
mod unix {
    use std::{
        env,
        ffi::OsStr,
        fs::{self, DirBuilder, File},
        io,
        os::unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, MetadataExt},
        },
        path::{Path, PathBuf},
        time::Duration,
    };

    use rustix::fs::{FlockOperation, flock};

    use super::{Place, random_name};

    const PREFIX: &str = "plugin-core-";
    /// Of directories whose lock is not yet held.
    const PREFIX_IN_MAKING: &str = ".plugin-core-";
    const LOCK: &str = "lock";
    const SOCKET: &str = "s";

    /// What `sun_path` holds on macOS, the shortest of the supported systems, with its terminating zero.
    const MAX_SOCKET_PATH: usize = 104;

    /// After this long a directory in the making belongs to a host that died making it.
    const ABANDONED: Duration = Duration::from_secs(3600);

    #[derive(Debug)]
    pub(in crate::host) struct Directory {
        path: PathBuf,
        /// Held locked as long as the host lives.
        _lock: File,
    }

    impl Place for Directory {
        fn create() -> io::Result<Self> {
            let name = random_name()?;
            let mut last = io::Error::new(io::ErrorKind::NotFound, "no directory has a short enough path");
            for base in bases() {
                let path = base.join(format!("{PREFIX}{name}"));
                if path.join(SOCKET).as_os_str().len() >= MAX_SOCKET_PATH {
                    continue;
                }
                match make(&base, &name, &path) {
                    Ok(lock) => {
                        sweep(&base);
                        return Ok(Self { path, _lock: lock });
                    }
                    Err(error) => last = io::Error::new(error.kind(), format!("{}: {error}", base.display())),
                }
            }
            Err(last)
        }

        fn socket(&self) -> PathBuf {
            self.path.join(SOCKET)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            remove(&self.path);
        }
    }

    /// Where to try, the best first. A long `TMPDIR` is why there is a last resort.
    fn bases() -> Vec<PathBuf> {
        let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        runtime.into_iter().chain([env::temp_dir(), PathBuf::from("/tmp")]).collect()
    }

    /// Makes the directory under a name that nobody sweeps, and renames it once its lock is held.
    fn make(base: &Path, name: &str, path: &Path) -> io::Result<File> {
        let making = base.join(format!("{PREFIX_IN_MAKING}{name}"));
        DirBuilder::new().mode(0o700).create(&making)?;
        let made = File::create_new(making.join(LOCK)).and_then(|lock| {
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            fs::rename(&making, path)?;
            Ok(lock)
        });
        if made.is_err() {
            remove(&making);
        }
        made
    }

    /// Removes what dead hosts left behind in `base`.
    fn sweep(base: &Path) {
        let Ok(entries) = fs::read_dir(base) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_ours = entry
                .metadata()
                .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw());
            if is_ours && is_abandoned(&name, &entry.path()) {
                remove(&entry.path());
            }
        }
    }

    fn is_abandoned(name: &OsStr, path: &Path) -> bool {
        if name.as_bytes().starts_with(PREFIX.as_bytes()) {
            let lock = File::open(path.join(LOCK));
            return lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok());
        }
        let age = || fs::metadata(path).ok()?.modified().ok()?.elapsed().ok();
        name.as_bytes().starts_with(PREFIX_IN_MAKING.as_bytes()) && age().is_some_and(|age| age > ABANDONED)
    }

    /// Removes the three things that can be there. What is gone already is fine, and what cannot be removed stays.
    fn remove(path: &Path) {
        let _ = fs::remove_file(path.join(SOCKET));
        let _ = fs::remove_file(path.join(LOCK));
        let _ = fs::remove_dir(path);
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn make_in(base: &Path, name: &str) -> (PathBuf, File) {
            let path = base.join(format!("{PREFIX}{name}"));
            let lock = make(base, name, &path).unwrap();
            (path, lock)
        }

        #[test]
        fn a_directory_is_private() {
            let base = tempfile::tempdir().unwrap();
            let (path, _lock) = make_in(base.path(), "a");
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o700);
        }

        #[test]
        fn sweeping_removes_the_directories_of_dead_hosts_and_no_others() {
            let base = tempfile::tempdir().unwrap();
            let (alive, _lock) = make_in(base.path(), "alive");
            let (dead, lock) = make_in(base.path(), "dead");
            drop(lock);
            fs::write(dead.join(SOCKET), "").unwrap();
            let other = base.path().join("something-else");
            fs::create_dir(&other).unwrap();
            let making = base.path().join(format!("{PREFIX_IN_MAKING}now"));
            fs::create_dir(&making).unwrap();
            sweep(base.path());
            assert!(alive.exists() && other.exists() && making.exists());
            assert!(!dead.exists());
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::{io, path::PathBuf};

    use super::{Place, random_name};

    /// The name of a pipe, which is in no directory and goes away with its host.
    #[derive(Debug)]
    pub(in crate::host) struct Directory(PathBuf);

    impl Place for Directory {
        fn create() -> io::Result<Self> {
            Ok(Self(PathBuf::from(format!("plugin-core-{}", random_name()?))))
        }

        fn socket(&self) -> PathBuf {
            self.0.clone()
        }
    }
}
