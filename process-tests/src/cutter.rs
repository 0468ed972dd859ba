//! A man in the middle that cuts the connection between a host and its plugin at random bytes.
//!
//! A host starts the cutter in the plugin's place; the cutter starts the plugin and lets it dial a socket of its own, passes
//! everything on in pieces of random length, with a delay now and then, and hangs up on both after a random number of bytes
//! in either direction. The seed decides where each connection is cut, and how its bytes are split and delayed; how many
//! calls those bytes carry is up to the scheduler. Or it stands before a plugin that waits for hosts.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
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
    /// How many bytes pass in one direction between cuts, on average; every byte is as likely to be the last as any other.
    pub distance: u64,
    /// After how many cuts to let everything pass.
    pub cuts: u64,
    /// Where each cut is noted, for [`cuts`] to count.
    pub notes: PathBuf,
}

/// The greeting of a new session cannot be resumed, so this many bytes of the first connection pass in any case.
const GREETING: u64 = 8192;

/// The largest piece that is passed on at once.
const LARGEST_PIECE: usize = 64 * 1024;

impl Plan {
    /// What a program that runs [`main`] takes as its arguments, before the plugin's program and arguments.
    pub fn to_arguments(&self) -> Vec<OsString> {
        let numbers = [self.seed, self.distance, self.cuts].map(|number| number.to_string().into());
        numbers.into_iter().chain([self.notes.clone().into()]).collect()
    }

    fn from_arguments(arguments: &mut impl Iterator<Item = OsString>) -> Option<Self> {
        let mut number = || arguments.next()?.to_str()?.parse().ok();
        let (seed, distance, cuts) = (number()?, number()?, number()?);
        Some(Self { seed, distance, cuts, notes: arguments.next()?.into() })
    }
}

/// A program that stands in for the plugin that its arguments name: `SEED DISTANCE CUTS NOTES PLUGIN [ARGUMENT ..]`.
///
/// # Errors
/// When the arguments are others, and as [`run`].
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let usage = || io::Error::other("usage: SEED DISTANCE CUTS NOTES PLUGIN [ARGUMENT ..]");
    let plan = Plan::from_arguments(&mut arguments).ok_or_else(usage)?;
    let mut plugin = Command::new(arguments.next().ok_or_else(usage)?);
    let status = run(plan, plugin.args(arguments))?;
    #[allow(clippy::exit, reason = "it stands in for the plugin, its exit status included")]
    std::process::exit(status.code().unwrap_or(1))
}

/// How many cuts `notes` tells of.
pub fn cuts(notes: &Path) -> u64 {
    fs::metadata(notes).map_or(0, |metadata| metadata.len())
}

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
    let notes = Notes::open(&plan.notes)?;
    thread::spawn(move || accept(&listener, Path::new(&host), &plan, &notes));
    let status = plugin.env("PLUGIN_CORE_SOCKET", &socket).status();
    fs::remove_dir_all(&directory)?;
    status
}

/// Listens at `address` before a plugin that waits for hosts at `plugin`, as long as this process lives.
///
/// # Errors
/// When the address is taken.
pub fn stand_before(plugin: PathBuf, address: &Path, plan: Plan) -> io::Result<()> {
    let notes = Notes::open(&plan.notes)?;
    let listener = UnixListener::bind(address)?;
    thread::spawn(move || accept(&listener, &plugin, &plan, &notes));
    Ok(())
}

/// Joins whoever dials `listener` with who listens at `address`.
fn accept(listener: &UnixListener, address: &Path, plan: &Plan, notes: &Arc<Notes>) {
    let mut random = Rng::with_seed(plan.seed);
    let mut spared = GREETING;
    while let Ok((dialler, _)) = listener.accept() {
        // Who is gone does not answer who dials either.
        let Ok(listening) = UnixStream::connect(address) else { continue };
        let connection = Arc::new(Connection { dialler, listening, is_over: AtomicBool::new(false) });
        for is_inward in [true, false] {
            let mut faults = Faults::new(random.fork(), plan, spared);
            let (connection, notes, most) = (Arc::clone(&connection), Arc::clone(notes), plan.cuts);
            thread::spawn(move || connection.pass(is_inward, &mut faults, &notes, most));
        }
        spared = 0;
    }
}

/// What happens to the bytes of one direction of one connection.
struct Faults {
    random: Rng,
    /// How many pass before the cut.
    left: u64,
}

impl Faults {
    fn new(mut random: Rng, plan: &Plan, spared: u64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a random number of bytes, never negative"
        )]
        let left = (plan.distance as f64 * -random.f64().max(f64::MIN_POSITIVE).ln()) as u64;
        Self { random, left: spared + left }
    }

    /// How many bytes the next piece has at most, as often about 1 as about 10, 100 or any other magnitude; 0 is the cut.
    fn piece(&mut self) -> usize {
        let magnitude = 1 << self.random.u32(0..=LARGEST_PIECE.ilog2());
        self.random.usize(1..=magnitude).min(usize::try_from(self.left).unwrap_or(usize::MAX))
    }

    /// Takes note of a piece that has passed, and holds up the next: mostly not at all.
    fn passed(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
        let longest = match self.random.u32(0..1000) {
            0 => 5000,
            1..=9 => 500,
            _ => return,
        };
        thread::sleep(Duration::from_micros(self.random.u64(0..longest)));
    }
}

/// The two halves of what plugin and host take for one connection.
struct Connection {
    dialler: UnixStream,
    listening: UnixStream,
    is_over: AtomicBool,
}

impl Connection {
    /// Passes on what goes in one direction until its bytes are used up, then cuts both; but no more than `most` times in all.
    fn pass(&self, is_inward: bool, faults: &mut Faults, notes: &Notes, most: u64) {
        let (mut from, mut to) =
            if is_inward { (&self.dialler, &self.listening) } else { (&self.listening, &self.dialler) };
        let mut buffer = vec![0; LARGEST_PIECE];
        loop {
            let is_over = notes.cuts.load(Ordering::Relaxed) >= most;
            let piece = if is_over { LARGEST_PIECE } else { faults.piece() };
            if piece == 0 {
                break;
            }
            match from.read(&mut buffer[..piece]) {
                Ok(count) if count > 0 && to.write_all(&buffer[..count]).is_ok() => faults.passed(count),
                _ => {
                    self.hang_up();
                    return;
                }
            }
        }
        // The other direction may have come to its end at the same moment; that is one cut then.
        if self.hang_up() {
            notes.cut(is_inward);
        }
    }

    /// Ends both directions; whether they were still open.
    fn hang_up(&self) -> bool {
        for half in [&self.dialler, &self.listening] {
            // It may have been ended by the side that it belongs to.
            let _ = half.shutdown(Shutdown::Both);
        }
        !self.is_over.swap(true, Ordering::Relaxed)
    }
}

/// What is told of the cuts.
struct Notes {
    file: File,
    cuts: AtomicU64,
}

impl Notes {
    fn open(path: &Path) -> io::Result<Arc<Self>> {
        let file = File::options().append(true).create(true).open(path)?;
        Ok(Arc::new(Self { file, cuts: AtomicU64::new(0) }))
    }

    /// Notes a cut of what went towards who listens, or the other way.
    fn cut(&self, is_inward: bool) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
        // Read by whoever wants to know; a lost note does no harm.
        let _ = (&self.file).write_all(if is_inward { b">" } else { b"<" });
    }
}
