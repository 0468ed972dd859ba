//! The private place of a host's socket: a directory that only its user can enter.
//!
//! A host that is killed cannot remove its directory. So each holds its own locked (`flock`), which the operating system
//! unlocks with the process, and every new host sweeps away those that are not. (A process id in the name would not do: ids
//! are reused.) A lock file in it would be two more files to make before the first plugin can start, and to be taken away. A
//! directory without a socket may be in the making, and is left alone for a while, locked or not.
//!
//! Others sweep too, and not all of them respect locks: what they take away from a host that lives, it restores at the same
//! path, since that is where its plugins dial.

#[cfg(unix)]
pub(super) use unix::Directory;
#[cfg(windows)]
pub(super) use windows::Directory;

use std::{io, path::PathBuf};

/// Where a host listens, once it has somewhere to.
pub(super) trait Place: Sized {
    fn create() -> io::Result<Self>;
    fn socket(&self) -> PathBuf;

    /// Makes again what somebody has taken away, apart from the socket.
    fn restore(&mut self) -> io::Result<()>;
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
        fs::{self, DirBuilder, File, Metadata},
        io,
        os::unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, MetadataExt},
        },
        path::{Path, PathBuf},
        time::{Duration, SystemTime},
    };

    use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

    use super::{Place, random_name};

    const PREFIX: &str = "plugin-core.";
    const SOCKET: &str = "s";

    /// What `sun_path` holds on macOS, the shortest of the supported systems, with its terminating zero.
    const MAX_SOCKET_PATH: usize = 104;

    /// After this long a directory without a socket belongs to a host that died making it, if it is not locked.
    const ABANDONED: Duration = Duration::from_secs(3600);

    #[derive(Debug)]
    pub(in crate::host) struct Directory {
        path: PathBuf,
        /// The directory itself, held locked as long as the host lives.
        locked: File,
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
                match make(&path) {
                    Ok(locked) => return Ok(Self { path, locked }),
                    Err(error) => last = io::Error::new(error.kind(), format!("{}: {error}", base.display())),
                }
            }
            Err(last)
        }

        fn socket(&self) -> PathBuf {
            self.path.join(SOCKET)
        }

        fn restore(&mut self) -> io::Result<()> {
            match fs::symlink_metadata(&self.path) {
                Ok(found) => {
                    check_private(&found)?;
                    if !self.is_locked(&found) {
                        self.locked = lock(&self.path)?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.locked = make(&self.path)?,
                Err(error) => return Err(error),
            }
            Ok(())
        }
    }

    impl Directory {
        /// Removes what dead hosts left behind beside the place of `socket`.
        pub(in crate::host) fn sweep(socket: &Path) {
            if let Some(base) = socket.parent().and_then(Path::parent) {
                sweep(base);
            }
        }

        /// Whether the directory that was found is the one that is held.
        fn is_locked(&self, found: &Metadata) -> bool {
            let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
            self.locked.metadata().is_ok_and(|held| identity(&held) == identity(found))
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            // Something else may have come to that path, and it may lead anywhere.
            if fs::symlink_metadata(&self.path).is_ok_and(|found| check_private(&found).is_ok()) {
                remove(&self.path);
            }
        }
    }

    /// Checks that nobody else can put anything into what was found at the path of a directory. Links are not followed.
    fn check_private(found: &Metadata) -> io::Result<()> {
        let why = if !found.is_dir() {
            "something else has taken the directory's place"
        } else if !is_mine(found) {
            "another user has made a directory in its place"
        } else if found.mode() & 0o022 != 0 {
            "others can write to the directory"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }

    fn is_mine(found: &Metadata) -> bool {
        found.uid() == rustix::process::geteuid().as_raw()
    }

    /// Where to try, the best first. A long `TMPDIR` is why there is a last resort.
    fn bases() -> Vec<PathBuf> {
        let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        runtime.into_iter().chain([env::temp_dir(), PathBuf::from("/tmp")]).collect()
    }

    /// Makes a directory and locks it, before there is a socket in it: nobody sweeps it until then.
    fn make(path: &Path) -> io::Result<File> {
        DirBuilder::new().mode(0o700).create(path)?;
        lock(path).inspect_err(|_| remove(path))
    }

    /// Locks a directory until what this gives is dropped; fails at once if somebody else has.
    fn lock(directory: &Path) -> io::Result<File> {
        let options = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = File::from(open(directory, options, Mode::empty())?);
        flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
        Ok(directory)
    }

    /// Removes what dead hosts left behind in `base`.
    fn sweep(base: &Path) {
        let Ok(entries) = fs::read_dir(base) else { return };
        for entry in entries.flatten() {
            // By name first: there may be thousands of others.
            if !entry.file_name().as_bytes().starts_with(PREFIX.as_bytes()) {
                continue;
            }
            let is_ours = |found: &Metadata| found.is_dir() && is_mine(found);
            if entry.metadata().is_ok_and(|found| is_ours(&found) && is_abandoned(&found, &entry.path())) {
                remove(&entry.path());
            }
        }
    }

    /// Whether its host is dead. Without a socket it may be in the making, and is not even looked at so closely that its lock is
    /// taken for a moment.
    fn is_abandoned(found: &Metadata, path: &Path) -> bool {
        let has_socket = || fs::symlink_metadata(path.join(SOCKET)).is_ok();
        (found.modified().is_ok_and(is_long_ago) || has_socket()) && lock(path).is_ok()
    }

    fn is_long_ago(time: SystemTime) -> bool {
        time.elapsed().is_ok_and(|age| age > ABANDONED)
    }

    /// Removes what can be there. What is gone already is fine, and what cannot be removed stays.
    fn remove(path: &Path) {
        let _ = fs::remove_file(path.join(SOCKET));
        let _ = fs::remove_dir(path);
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::fs::PermissionsExt;

        use super::*;

        fn make_in(base: &Path, name: &str) -> (PathBuf, File) {
            let path = base.join(format!("{PREFIX}{name}"));
            let locked = make(&path).unwrap();
            (path, locked)
        }

        #[test]
        fn a_directory_is_private() {
            let base = tempfile::tempdir().unwrap();
            let (path, _locked) = make_in(base.path(), "a");
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o700);
        }

        #[test]
        fn sweeping_removes_the_directories_of_dead_hosts_and_no_others() {
            let base = tempfile::tempdir().unwrap();
            let (alive, _locked) = make_in(base.path(), "alive");
            fs::write(alive.join(SOCKET), "").unwrap();
            let (dead, locked) = make_in(base.path(), "dead");
            drop(locked);
            fs::write(dead.join(SOCKET), "").unwrap();
            let other = base.path().join("something-else");
            fs::create_dir(&other).unwrap();
            let making = base.path().join(format!("{PREFIX}now"));
            fs::create_dir(&making).unwrap();
            sweep(base.path());
            assert!(alive.exists() && other.exists() && making.exists());
            assert!(!dead.exists());
        }

        #[test]
        fn sweeping_removes_what_has_been_in_the_making_for_long_and_nothing_younger() {
            let base = tempfile::tempdir().unwrap();
            let [old, young] = ["old", "young"].map(|name| base.path().join(format!("{PREFIX}{name}")));
            for directory in [&old, &young] {
                fs::create_dir(directory).unwrap();
            }
            let then = SystemTime::now() - ABANDONED - Duration::from_secs(60);
            File::open(&old).unwrap().set_modified(then).unwrap();
            sweep(base.path());
            assert!(young.exists());
            assert!(!old.exists());
        }

        /// A directory that a host holds, as others find it.
        fn held(base: &Path) -> Directory {
            let (path, locked) = make_in(base, "held");
            Directory { path, locked }
        }

        /// Whether a new host leaves the directory alone.
        fn survives_sweeping(directory: &Directory) -> bool {
            fs::write(directory.path.join(SOCKET), "").unwrap();
            sweep(directory.path.parent().unwrap());
            directory.path.exists()
        }

        #[test]
        fn what_is_taken_away_from_a_host_that_lives_is_restored() {
            let base = tempfile::tempdir().unwrap();
            let mut directory = held(base.path());
            directory.restore().unwrap();
            assert!(survives_sweeping(&directory), "it is as it was");
            fs::remove_dir_all(&directory.path).unwrap();
            directory.restore().unwrap();
            assert_eq!(fs::metadata(&directory.path).unwrap().mode() & 0o777, 0o700);
            assert!(survives_sweeping(&directory), "the directory is there again, and locked");
            fs::rename(&directory.path, base.path().join("moved")).unwrap();
            fs::create_dir(&directory.path).unwrap();
            fs::set_permissions(&directory.path, fs::Permissions::from_mode(0o700)).unwrap();
            directory.restore().unwrap();
            assert!(survives_sweeping(&directory), "another one in its place is locked, too");
        }

        /// Why the directory is not restored after `replace` has done something to its path.
        fn refused(replace: impl FnOnce(&Path)) -> String {
            let base = tempfile::tempdir().unwrap();
            let mut directory = held(base.path());
            fs::remove_dir_all(&directory.path).unwrap();
            replace(&directory.path);
            let error = directory.restore().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            error.to_string()
        }

        #[test]
        fn a_directory_of_others_is_not_accepted_in_its_place() {
            let make = |path: &Path, mode| {
                fs::create_dir(path).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            };
            assert!(refused(|path| make(path, 0o777)).contains("others can write"));
            assert!(refused(|path| make(path, 0o720)).contains("others can write"));
            let elsewhere = tempfile::tempdir().unwrap();
            let link = |path: &Path| std::os::unix::fs::symlink(elsewhere.path(), path).unwrap();
            assert!(refused(link).contains("something else"));
            if rustix::process::geteuid().is_root() {
                let foreign = |path: &Path| {
                    make(path, 0o700);
                    std::os::unix::fs::chown(path, Some(65_534), None).unwrap();
                };
                assert!(refused(foreign).contains("another user"));
            }
        }

        #[test]
        fn what_has_come_to_the_path_of_a_directory_is_not_removed_with_it() {
            let base = tempfile::tempdir().unwrap();
            let elsewhere = tempfile::tempdir().unwrap();
            fs::write(elsewhere.path().join(SOCKET), "precious").unwrap();
            let directory = held(base.path());
            fs::remove_dir_all(&directory.path).unwrap();
            std::os::unix::fs::symlink(elsewhere.path(), &directory.path).unwrap();
            drop(directory);
            assert!(elsewhere.path().join(SOCKET).exists());
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

        /// Nobody can take a pipe away.
        fn restore(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
