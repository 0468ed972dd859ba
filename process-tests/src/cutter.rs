//! A man in the middle that cuts the connection between a host and its plugin at random bytes.
//!
//! A host starts the cutter in the plugin's place; the cutter starts the plugin and lets it dial a socket of its own, passes
//! everything on in pieces of random length, and hangs up on both now and then.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;

/// How to cut.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the random numbers begin with.
    pub seed: u64,
    /// How many bytes pass in one direction between cuts, on average.
    pub distance: u64,
    /// After how many cuts to let everything pass.
    pub cuts: u64,
    /// Where the number of cuts so far is written to.
    pub count: PathBuf,
}

/// The greeting of a new session cannot be resumed, so this many bytes of the first connection pass in any case.
const GREETING: u64 = 8192;

/// Runs `plugin` behind a cutter, in a plugin's place; gives how it ended.
///
/// # Errors
/// When there is no host, or the plugin cannot be started.
pub fn run(plan: Plan, plugin: &mut Command) -> io::Result<ExitStatus> {
    let host = env::var_os("PLUGIN_CORE_SOCKET").ok_or(io::ErrorKind::NotFound)?;
    let directory = env::temp_dir().join(format!("cutter-{}-{:x}", std::process::id(), plan.seed));
    fs::create_dir_all(&directory)?;
    let socket = directory.join("s");
    let listener = UnixListener::bind(&socket)?;
    thread::spawn(move || accept(&listener, Path::new(&host), &plan));
    let status = plugin.env("PLUGIN_CORE_SOCKET", &socket).status();
    fs::remove_dir_all(&directory)?;
    status
}

fn accept(listener: &UnixListener, host: &Path, plan: &Plan) {
    let cuts = Arc::new(AtomicU64::new(0));
    let mut random = Rng::with_seed(plan.seed);
    let mut spared = GREETING;
    while let Ok((plugin, _)) = listener.accept() {
        // A host that is gone does not answer the plugin either.
        let Ok(host) = UnixStream::connect(host) else { continue };
        let mut pump = |from: &UnixStream, to: &UnixStream| {
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            let mut random = random.fork();
            let (cuts, plan) = (Arc::clone(&cuts), plan.clone());
            let left = spared + random.u64(0..=2 * plan.distance);
            thread::spawn(move || pump(from, to, left, &mut random, &cuts, &plan));
            io::Result::Ok(())
        };
        if pump(&plugin, &host).and_then(|()| pump(&host, &plugin)).is_err() {
            continue;
        }
        spared = 0;
    }
}

/// Passes `left` bytes on, then cuts both directions.
fn pump(mut from: UnixStream, mut to: UnixStream, mut left: u64, random: &mut Rng, cuts: &AtomicU64, plan: &Plan) {
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let is_over = cuts.load(Ordering::Relaxed) >= plan.cuts;
        let most = if is_over { buffer.len() } else { random.usize(1..=buffer.len().min(4096)) };
        let most = if is_over { most } else { most.min(usize::try_from(left).unwrap_or(usize::MAX)) };
        if most == 0 {
            break;
        }
        match from.read(&mut buffer[..most]) {
            Ok(count) if count > 0 && to.write_all(&buffer[..count]).is_ok() => {
                left = left.saturating_sub(count as u64);
            }
            _ => return hang_up(&from, &to),
        }
        if random.u8(0..100) == 0 {
            thread::sleep(Duration::from_micros(random.u64(0..500)));
        }
    }
    // The other direction may have cut at the same moment; that is one cut then.
    if hang_up_first(&from, &to) {
        let count = cuts.fetch_add(1, Ordering::Relaxed) + 1;
        // Read by whoever wants to know; a lost number does no harm.
        let _ = fs::write(&plan.count, count.to_string());
    }
}

fn hang_up(from: &UnixStream, to: &UnixStream) {
    hang_up_first(from, to);
}

/// Ends both directions; whether they were still open.
fn hang_up_first(from: &UnixStream, to: &UnixStream) -> bool {
    let was_open = from.shutdown(Shutdown::Both).is_ok();
    to.shutdown(Shutdown::Both).is_ok() && was_open
}
