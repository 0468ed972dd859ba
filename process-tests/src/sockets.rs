//! Where tests put sockets.

use std::{
    env,
    path::{Path, PathBuf},
};

/// How long a directory may be in which a test makes one of its own, with sockets in it: paths of sockets are short.
const LONGEST: usize = 48;

/// Where tests make directories for sockets: that for temporary files, unless it is too long for it.
///
/// ```
/// let directory = tempfile::tempdir_in(process_tests::socket_base()).unwrap();
/// assert!(directory.path().as_os_str().len() < 70);
/// ```
pub fn socket_base() -> PathBuf {
    let base = env::temp_dir();
    // On Windows sockets are in no directory.
    let is_too_long = cfg!(unix) && base.as_os_str().len() > LONGEST;
    if is_too_long { Path::new("/tmp").to_owned() } else { base }
}
