//! Both ends of a session over links that are cut at random bytes: whatever is sent arrives once, and in order.

use std::sync::mpsc::{Receiver, Sender, channel};

use fastrand::Rng;

use super::*;
use crate::{
    protocol::frame::MAX_PAYLOAD,
    transport::{
        TICK,
        faulty::{self, FaultyLink},
        memory,
    },
};

/// How many threads of a side call, and how often each.
const CALLERS: u32 = 4;
const CALLS: u32 = 50;

/// How many messages a side sends that want no answer.
const TOLD: u32 = 300;

/// What a request's target says of it.
const CALL: u32 = 0;
const TELL: u32 = 1;

/// How many bytes pass between cuts, about.
const DISTANCE: usize = 30_000;

/// Who reads a side's links.
#[cfg_attr(not(unix), expect(dead_code, reason = "only links that Unix can wait for are read in turn"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// A thread that does nothing else.
    Alone,
    /// Callers in turn; in between, whoever is told that nobody does, as in a host.
    Watching,
    /// Callers in turn; in between a thread that stays, unless it is held up, as in a plugin.
    Leading,
}

/// What a thread that is not a caller's is to see to.
type Task = Box<dyn FnOnce() + Send>;

/// Hands on what arrives, and says when the link is gone.
struct Desk {
    reader: Reader,
    arrivals: Sender<Message>,
    losses: Sender<bool>,
    /// Those of a thread that reads, and of one that writes.
    reads: Sender<Task>,
    writes: Sender<Task>,
}

impl Desk {
    fn read(&self, connection: &Arc<Connection>) {
        let connection = Arc::clone(connection);
        let task: Task = match self.reader {
            Reader::Alone => unreachable!("callers leave its links alone"),
            Reader::Watching => Box::new(move || read_while_unread(&connection)),
            Reader::Leading => Box::new(move || lead(&connection)),
        };
        // Fails only where the thread has ended by a panic of its own.
        let _ = self.reads.send(task);
    }
}

/// Reads whenever nobody else does, and bytes have come.
fn read_while_unread(connection: &Arc<Connection>) {
    while let Some((link, generation)) = connection.present_link() {
        let Presence::Unread { .. } = connection.presence(generation) else { return };
        // Where that fails, reading does, too.
        let _ = link.pollable().unwrap().wait(true, false, TICK);
        connection.read_what_is_there(generation, Attendance::Watched);
    }
}

/// Reads for good, but now and then is held up, and another reads.
fn lead(connection: &Arc<Connection>) {
    let mut random = Rng::new();
    while let Some(mut reading) = connection.take_reading() {
        while connection.read_on(&mut reading, None) != Progress::Over {
            let Some(handler) = connection.lend(reading) else { break };
            if random.u8(0..4) == 0 && connection.recall(handler) == Recalled::Free {
                break; // Nobody else wants it.
            }
            match connection.reclaim(handler) {
                Some(reclaimed) => reading = reclaimed,
                None => return connection.write_rest(),
            }
        }
    }
}

fn see_to(tasks: &Receiver<Task>) {
    for task in tasks {
        task();
    }
}

impl Handler for Desk {
    fn reads(&self) -> bool {
        self.reader != Reader::Alone
    }

    fn linked(&self, connection: &Arc<Connection>) -> io::Result<()> {
        self.read(connection);
        Ok(())
    }

    fn unread(&self, connection: &Arc<Connection>) {
        self.read(connection);
    }

    fn stalled(&self, connection: &Arc<Connection>) {
        let connection = Arc::clone(connection);
        let _ = self.writes.send(Box::new(move || connection.write_rest()));
    }

    fn request(&self, _: &Arc<Connection>, request: Message) {
        self.arrivals.send(request).unwrap();
    }

    fn lost(&self, _: &Arc<Connection>, _: String) {
        // Who brings new links may have gone home already.
        let _ = self.losses.send(true);
    }

    fn closed(&self, _: &End) {}
}

/// One side of a session, and what arrives there.
fn connect(reader: Reader, link: FaultyLink, losses: &Sender<bool>) -> (Arc<Connection>, Receiver<Message>) {
    let (sender, arrivals) = channel();
    let ((reads, to_read), (writes, to_write)) = (channel(), channel());
    thread::spawn(move || see_to(&to_read));
    thread::spawn(move || see_to(&to_write));
    let desk = Desk { reader, arrivals: sender, losses: losses.clone(), reads, writes };
    let options = Options { max_message: usize::MAX, yields: false, ticks: false };
    let connection = Connection::start(Box::new(link), Deframer::new(), Arc::new(desk), options).unwrap();
    (connection, arrivals)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// What call or message `number` carries: mostly little, now and then more than a frame may.
fn payload(random: &mut Rng, number: u32) -> Vec<u8> {
    let length = if random.u8(0..20) == 0 { random.usize(0..3 * MAX_PAYLOAD) } else { random.usize(0..200) };
    let mut payload = vec![0; length];
    random.fill(&mut payload);
    [number.to_le_bytes().as_slice(), &payload].concat()
}

fn number(message: &Message) -> u32 {
    u32::from_le_bytes(message.payload[..4].try_into().unwrap())
}

/// Calls, and checks the answers.
fn call(connection: &Arc<Connection>, mut random: Rng, caller: u32) {
    for number in 0..CALLS {
        let payload = payload(&mut random, caller * CALLS + number);
        let request = Message { target: CALL, payload: payload.clone().into(), ..Message::control(Kind::Request, 0) };
        let answer = connection.call(request, Some(soon())).unwrap();
        assert!(answer.payload.iter().eq(payload.iter().rev()), "another's answer");
    }
}

fn tell(connection: &Arc<Connection>, mut random: Rng) {
    for number in 0..TOLD {
        let payload = payload(&mut random, number);
        let message =
            Message { target: TELL, payload: payload.into(), ..Message::control(Kind::Request, u32::MAX - number) };
        send(connection, message);
    }
}

/// Sends, and sees to it that all of it is written.
fn send(connection: &Arc<Connection>, message: Message) {
    if connection.send(message, Some(soon())).unwrap() == Sent::Partly {
        connection.write_rest();
    }
}

/// Answers the calls; checks that everything arrives once, and what is short in order.
fn answer(connection: &Arc<Connection>, arrivals: &Receiver<Message>) {
    let (mut called, mut told) = (Vec::new(), Vec::new());
    let mut last_short = None;
    while called.len() < (CALLERS * CALLS) as usize || told.len() < TOLD as usize {
        let message = arrivals.recv().unwrap();
        let number = number(&message);
        if message.target == CALL {
            called.push(number);
            let answer: Vec<u8> = message.payload.iter().rev().copied().collect();
            send(connection, Message::answer(Kind::Value, message.call, answer));
            continue;
        }
        told.push(number);
        if message.payload.len() <= MAX_PAYLOAD {
            assert!(last_short < Some(number), "{number} came behind {last_short:?}");
            last_short = Some(number);
        }
    }
    for numbers in [&mut called, &mut told] {
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..u32::try_from(numbers.len()).unwrap()), "{numbers:?}");
    }
}

/// Everything that one side does.
fn take_part(connection: &Arc<Connection>, arrivals: Receiver<Message>, random: &mut Rng) -> Receiver<Message> {
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let random = random.fork();
            scope.spawn(move || call(connection, random, caller));
        }
        let random = random.fork();
        scope.spawn(move || tell(connection, random));
        answer(connection, &arrivals);
    });
    // The answer to this comes behind everything that the other side had sent before.
    connection.call(Message::control(Kind::Ping, 0), Some(soon())).unwrap();
    arrivals
}

/// A pair of links that such readers can read.
fn pair(readers: [Reader; 2], random: &mut Rng) -> [FaultyLink; 2] {
    #[cfg(unix)]
    if readers != [Reader::Alone; 2] {
        return faulty::pair(crate::transport::local::pair().unwrap(), random, DISTANCE);
    }
    let _ = readers;
    faulty::pair(memory::pair(), random, DISTANCE)
}

/// Brings the two sides together again whenever a link is gone; gives how often.
fn join_again(readers: [Reader; 2], sides: [&Arc<Connection>; 2], losses: &Receiver<bool>, random: &mut Rng) -> usize {
    let mut joined = 0;
    while losses.recv().unwrap() {
        let resumptions = sides.map(|side| side.begin_resume());
        for (side, link) in pair(readers, random).into_iter().enumerate() {
            let received = resumptions[1 - side].received();
            sides[side].resume(resumptions[side], Box::new(link), Deframer::new(), received).unwrap();
        }
        joined += 1;
    }
    joined
}

/// Everything that happens in one session; gives how often its link was replaced.
fn session(readers: [Reader; 2], seed: u64) -> usize {
    let mut random = Rng::with_seed(seed);
    let (losses, lost) = channel();
    let [left, right] = pair(readers, &mut random);
    let (left, to_left) = connect(readers[0], left, &losses);
    let (right, to_right) = connect(readers[1], right, &losses);
    let [mut first, mut second, mut third] = [(); 3].map(|()| random.fork());
    let (joined, rest) = thread::scope(|scope| {
        let (left, right) = (&left, &right);
        let joining = scope.spawn(move || join_again(readers, [left, right], &lost, &mut first));
        let other = scope.spawn(move || take_part(left, to_left, &mut second));
        let rest = [take_part(right, to_right, &mut third), other.join().unwrap()];
        losses.send(false).unwrap();
        (joining.join().unwrap(), rest)
    });
    for side in [left, right] {
        side.close(Cause::Local("the test is over"));
    }
    assert!(rest.iter().all(|arrivals| arrivals.try_recv().is_err()), "something arrived twice");
    joined
}

/// Runs sessions between sides that read so.
fn check(readers: [Reader; 2]) {
    for seed in 0..8 {
        let (done, over) = channel();
        thread::spawn(move || done.send(session(readers, seed)));
        let joined =
            over.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("seed {seed} fails or hangs"));
        assert!(joined >= 20, "only {joined} cuts with seed {seed}");
    }
}

#[test]
fn whatever_is_cut_everything_arrives_once_and_in_order() {
    check([Reader::Alone, Reader::Alone]);
}

#[cfg(unix)]
#[test]
fn it_does_between_a_host_and_a_plugin_whose_callers_read_in_turn() {
    check([Reader::Watching, Reader::Leading]);
}

#[cfg(unix)]
#[test]
fn it_does_between_sides_of_which_only_one_reads_in_turn() {
    check([Reader::Watching, Reader::Alone]);
    check([Reader::Alone, Reader::Leading]);
}
