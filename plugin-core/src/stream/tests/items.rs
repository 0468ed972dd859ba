//! Streams of items.

use std::io::Read as _;

use proptest::prelude::*;

use super::*;

#[test]
fn every_way_to_make_a_stream_goes_with_every_way_to_read_it_here_and_elsewhere() {
    promptly(|| {
        let count = 20_000;
        let expected: Vec<_> = (0..count).collect();
        let check = |items: Vec<Result<u32>>| assert!(items.into_iter().map(Result::unwrap).eq(expected.clone()));
        for stream in all(count) {
            check(stream.into_iter().collect());
        }
        for stream in all(count) {
            check(polled(stream));
        }
        for stream in &all(count) {
            check(sent(stream).into_iter().collect());
        }
        for stream in &all(count) {
            check(polled(sent(stream)));
        }
        let bytes: Vec<_> = (0..100).map(|length| vec![200_u8; 10 * length]).collect();
        let received: Result<Vec<_>> = sent(&Stream::from(bytes.clone())).into_iter().collect();
        assert_eq!(received.unwrap(), bytes);
        // Relayed twice.
        for stream in &all(count) {
            check(sent(&sent(&sent(stream))).into_iter().collect());
        }
    });
}

#[test]
fn nothing_is_produced_before_it_is_read_for_and_no_more_than_a_window_ahead() {
    promptly(|| {
        let produced = Arc::<AtomicUsize>::default();
        let counting = Arc::clone(&produced);
        let items = std::iter::repeat_with(move || {
            counting.fetch_add(1, Ordering::SeqCst);
            Ok(serde_bytes::ByteBuf::from(vec![0; 1000]))
        });
        let (wire, mut stream) = sent_by(&Stream::iter(items), Arc::new(Threads));
        let rests = || wire.pump.get().is_some_and(|pump| pump.rests());
        assert!(rests() && produced.load(Ordering::SeqCst) == 0);
        let most = WINDOW as usize / 1000 + 1;
        let mut read = 0;
        for count in [1, 10, 3000] {
            (&mut stream).into_iter().take(count).for_each(|item| assert_eq!(item.unwrap().len(), 1000));
            read += count;
            until(rests);
            let ahead = produced.load(Ordering::SeqCst) - read;
            // Half a window is asked for at once.
            assert!(ahead <= most && ahead >= most / 2 - 70, "{ahead} of {most}");
        }
    });
}

#[test]
fn an_item_longer_than_the_window_arrives() {
    promptly(|| {
        let item = |length: usize| serde_bytes::ByteBuf::from(vec![7_u8; length]);
        let lengths = [3 << 20, 1, WINDOW as usize, 0, WINDOW as usize / 2 + 1, MAX_ITEM - 5];
        let stream = sent(&Stream::iter(lengths.map(|length| Ok(item(length)))));
        for (received, length) in stream.into_iter().zip(lengths) {
            assert!(received.unwrap() == item(length));
        }
    });
}

#[test]
fn an_item_longer_than_a_message_ends_the_stream_and_says_so() {
    let item = |length: usize| Ok(serde_bytes::ByteBuf::from(vec![7_u8; length]));
    let stream = sent(&Stream::iter([item(3), item(MAX_ITEM - 4), item(3)]));
    let items: Vec<_> = promptly(|| stream.into_iter().collect());
    assert_eq!(items.len(), 2);
    assert!(matches!(items[1], Err(Error::TooLarge { limit: MAX_ITEM, .. })), "{:?}", items[1]);
}

#[test]
fn an_error_is_the_last_item() {
    let failing = || (0..5).map(|item| if item == 3 { Err(Error::custom("three")) } else { Ok(item) });
    let check = |items: Vec<Result<i32>>, is_remote: bool| {
        assert!(items[..3].iter().map(|item| item.as_ref().unwrap()).eq(&[0, 1, 2]));
        let error = items[3].as_ref().unwrap_err();
        assert_eq!((error.to_string(), items.len()), ("three".into(), 4));
        assert_eq!(matches!(error, Error::Remote { kind, .. } if kind == "custom"), is_remote);
    };
    promptly(move || {
        check(Stream::iter(failing()).into_iter().collect(), false);
        check(hesitant(failing()).into_iter().collect(), false);
        check(sent(&Stream::iter(failing())).into_iter().collect(), true);
        check(sent(&sent(&hesitant(failing()))).into_iter().collect(), true);
        let (sender, stream) = Stream::channel();
        (0..3).for_each(|item| sender.send(item).unwrap());
        sender.fail(Error::custom("three"));
        check(sent(&stream).into_iter().collect(), true);
    });
}

#[test]
fn a_panic_is_the_last_item() {
    promptly(|| {
        let panicking = || (0..5).map(|item| if item == 3 { panic!("at {item}") } else { Ok(item) });
        for stream in [Stream::iter(panicking()), hesitant(panicking())] {
            let items: Vec<_> = sent(&stream).into_iter().collect();
            assert_eq!(items.len(), 4);
            let Err(Error::Panicked { plugin, message, location, .. }) = &items[3] else { panic!("{:?}", items[3]) };
            assert_eq!((&**plugin, &**message), (PEER, "at 3"));
            assert!(location.as_ref().unwrap().contains("items.rs:"));
        }
        let (sender, stream) = Stream::channel();
        let _ = thread::spawn(move || {
            sender.send(7).unwrap();
            panic!("with the sender");
        })
        .join();
        let items: Vec<_> = sent(&stream).into_iter().collect();
        assert!(matches!(&items[..], [Ok(7), Err(Error::Remote { kind, .. })] if kind == "panicked"), "{items:?}");
    });
}

#[test]
fn dropping_the_reader_drops_the_source() {
    promptly(|| {
        let dropped = Arc::<AtomicUsize>::default();
        let endless = || {
            let guard = Guard(Arc::clone(&dropped));
            (0..).map(move |item: u32| {
                let _ = &guard;
                Ok(item)
            })
        };
        let mut count = 0;
        // Not begun, begun, far ahead; on a thread and as a task.
        for read in [0, 1, 500_000] {
            for stream in [Stream::iter(endless()), hesitant(endless())] {
                let mut received = sent(&stream);
                assert_eq!((&mut received).into_iter().take(read).count(), read);
                assert_eq!(dropped.load(Ordering::SeqCst), count);
                drop(received);
                count += 1;
                until(|| dropped.load(Ordering::SeqCst) == count);
            }
        }
    });
}

#[test]
fn a_sender_learns_that_nobody_reads() {
    promptly(|| {
        for is_sent in [false, true] {
            let (sender, mut stream) = Stream::channel();
            if is_sent {
                stream = sent(&stream);
            }
            sender.send(1).unwrap();
            assert!(matches!((&mut stream).into_iter().next(), Some(Ok(1))));
            let waiting = thread::spawn(move || {
                let outcome = (0..).find_map(|item| sender.send(item).err());
                (outcome, sender.is_unread())
            });
            drop(stream);
            let (outcome, is_unread) = waiting.join().unwrap();
            assert!(matches!(outcome, Some(Error::Unread)) && is_unread, "{outcome:?}");
        }
    });
}

#[test]
fn reading_within_a_limit_loses_nothing() {
    promptly(|| {
        for is_sent in [false, true] {
            let (sender, mut stream) = Stream::channel();
            if is_sent {
                stream = sent(&stream);
            }
            let began = Instant::now();
            let late = within(Duration::from_millis(30), || stream.read());
            assert!(matches!(late, Some(Err(Error::Timeout { .. }))), "{late:?}");
            assert!(began.elapsed() >= Duration::from_millis(30));
            sender.send(5).unwrap();
            assert!(matches!(stream.read(), Some(Ok(5))));
            drop(sender);
            assert!(stream.read().is_none());
        }
    });
}

/// Runs a future to its end, on this thread.
fn block_on<R>(future: impl Future<Output = R>) -> R {
    let mut future = std::pin::pin!(future);
    blocking::wait(None, |context| future.as_mut().poll(context)).unwrap()
}

#[test]
fn a_task_is_woken_when_its_time_is_over() {
    promptly(|| {
        let limit = Duration::from_millis(20);
        let (sender, mut stream) = Stream::channel();
        for round in 0..3 {
            let next = std::future::poll_fn(|context| stream.poll_read(context));
            let late = block_on(crate::within_async(limit, next));
            assert!(matches!(late, Some(Err(Error::Timeout { .. }))), "{late:?}");
            sender.send(round).unwrap();
            assert!(matches!(stream.read(), Some(Ok(found)) if found == round));
        }
        let outcome = block_on(crate::within_async(limit, async {
            for item in 0..100 {
                sender.send_async(item).await?;
            }
            Ok::<_, Error>(())
        }));
        assert!(matches!(outcome, Err(Error::Timeout { .. })), "{outcome:?}");
        assert_eq!((&mut stream).into_iter().take(32).map(Result::unwrap).sum::<i32>(), 31 * 16);
    });
}

#[test]
fn sending_within_a_limit_ends_with_it() {
    let (sender, _stream) = Stream::channel();
    let outcome = within(Duration::from_millis(30), || (0..100).try_for_each(|item| sender.send(item)));
    assert!(matches!(outcome, Err(Error::Timeout { .. })), "{outcome:?}");
    assert!(outcome.unwrap_err().to_string().contains("this process"));
}

#[test]
fn what_comes_slowly_is_not_held_back() {
    promptly(|| {
        // The first comes at once, others behind them by the flusher; none of them with a full frame.
        for burst in [1, 2, 10, 100] {
            let (allow, allowed) = mpsc::channel::<()>();
            let mut left = 0;
            let items = (0..).map(move |item: u32| {
                if left == 0 {
                    left = burst;
                    allowed.recv().unwrap();
                }
                left -= 1;
                Ok(item)
            });
            let mut stream = sent(&Stream::iter(items));
            for round in 0..20 {
                allow.send(()).unwrap();
                let read: Vec<_> = (&mut stream).into_iter().take(burst as usize).map(Result::unwrap).collect();
                assert!(read.into_iter().eq(round * burst..(round + 1) * burst));
            }
        }
    });
}

#[test]
fn what_comes_quickly_is_gathered() {
    promptly(|| {
        for stream in [Stream::iter((0..1_000_000).map(Ok)), Stream::wrap(Ready(1_000_000))] {
            let (wire, received) = sent_by(&stream, Arc::new(Threads));
            assert_eq!(received.into_iter().count(), 1_000_000);
            // 9 MB, so 130 at least; in a debug build some more, since they are not so quick.
            let frames = wire.frames.load(Ordering::Relaxed);
            assert!(frames < 20_000, "{frames}");
        }
    });
}

/// As many items, each there at once.
struct Ready(u32);

impl futures_core::Stream for Ready {
    type Item = Result<u32>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<u32>>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        Poll::Ready(Some(Ok(left)))
    }
}

#[test]
fn the_flusher_comes_again_where_there_is_no_room() {
    promptly(|| {
        let (allow, allowed) = mpsc::channel::<u32>();
        let (wire, mut stream) = sent_by(&Stream::iter(allowed.into_iter().map(Ok)), Arc::new(Threads));
        allow.send(0).unwrap();
        assert!(matches!(stream.read(), Some(Ok(0))));
        lock(&wire.state).is_full = true;
        // The first of them may still be sent by the pump itself.
        (1..4).for_each(|item| allow.send(item).unwrap());
        let late = within(Duration::from_millis(50), || (&mut stream).into_iter().take(3).collect::<Result<Vec<_>>>());
        assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
        lock(&wire.state).is_full = false;
        assert!(matches!(stream.into_iter().find(|item| !matches!(item, Ok(item) if *item < 3)), Some(Ok(3))));
    });
}

/// One thread for all jobs.
struct OneThread(mpsc::Sender<Box<dyn FnOnce() + Send>>);

impl Pool for OneThread {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        let _ = self.0.send(job);
    }
}

/// Takes whatever comes.
struct Anywhere;

impl Outlet for Anywhere {
    fn send(&self, _: Cut) -> Result<(), Unsendable> {
        Ok(())
    }

    fn try_send(&self, _: Buffer) -> Result<(), Buffer> {
        Ok(())
    }

    fn send_async(&self, _: Cut) -> Pin<Box<dyn Future<Output = Result<(), Unsendable>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }

    fn max_item(&self) -> usize {
        MAX_ITEM
    }

    fn end(&self, _: Vec<u8>) {}
}

#[test]
fn a_source_that_is_always_ready_lets_others_run() {
    promptly(|| {
        let (run, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let pool = Arc::new(OneThread(run));
        let thread = thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        let produce = Items::new(Stream::wrap(Ready(u32::MAX)).take_source().unwrap());
        let pump = Pump::new(Box::new(produce), Box::new(Anywhere), Arc::clone(&pool) as Arc<dyn Pool>);
        pump.demanded(1 << 31).unwrap();
        let (other, has_run) = mpsc::channel();
        pool.run(Box::new(move || other.send(()).unwrap()));
        has_run.recv().unwrap();
        assert!(!pump.rests(), "all has been sent before");
        pump.release();
        drop((pool, pump));
        thread.join().unwrap();
    });
}

/// An item that looks at its stream when it is dropped.
struct Looks(Arc<OnceLock<crate::StreamSender<Looks>>>);

impl Drop for Looks {
    fn drop(&mut self) {
        assert!(self.0.get().is_none_or(crate::StreamSender::is_unread));
    }
}

#[test]
fn an_item_that_nobody_reads_is_dropped_without_a_lock() {
    promptly(|| {
        let (sender, stream) = Stream::channel();
        let place = Arc::<OnceLock<_>>::default();
        assert!(place.set(sender).is_ok());
        drop(stream);
        let sender = place.get().unwrap();
        assert!(matches!(sender.send(Looks(Arc::clone(&place))), Err(Error::Unread)));
        let sent = blocking::wait(None, |context| {
            Box::pin(sender.send_async(Looks(Arc::clone(&place)))).as_mut().poll(context)
        });
        assert!(matches!(sent, Ok(Err(Error::Unread))));
    });
}

#[test]
fn a_pool_at_its_end_ends_the_stream() {
    promptly(|| {
        for stream in [Stream::iter((0..10).map(Ok)), hesitant((0..10).map(Ok))] {
            let (_, mut received) = sent_by(&stream, Arc::new(NoThreads));
            let outcome = received.read();
            assert!(matches!(outcome, Some(Err(Error::Disconnected { .. }))), "{outcome:?}");
            assert!(received.read().is_none());
        }
    });
}

#[test]
fn an_outlet_at_its_end_drops_the_source() {
    promptly(|| {
        let dropped = Arc::<AtomicUsize>::default();
        let guard = Guard(Arc::clone(&dropped));
        let items = (0..).map(move |item: u32| {
            let _ = &guard;
            Ok(item)
        });
        let (wire, mut received) = sent_by(&Stream::iter(items), Arc::new(Threads));
        lock(&wire.state).is_cut = true;
        received.read();
        until(|| dropped.load(Ordering::SeqCst) == 1);
    });
}

#[test]
fn a_stream_is_sent_once() {
    let mut stream = Stream::iter((0..10).map(Ok));
    drop(stream.take_source().unwrap());
    assert!(stream.take_source().is_err());
    assert!(stream.read().unwrap().unwrap_err().to_string().contains("sent already"));
    assert!(stream.read().is_none());
    let mut bytes = ByteStream::read_from(&b"hello"[..]);
    drop(bytes.take_source().unwrap());
    assert!(bytes.take_source().is_err());
    assert!(bytes.read(&mut [0]).unwrap_err().to_string().contains("sent already"));
    assert_eq!(bytes.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_stream_that_has_been_read_in_part_is_sent_from_there() {
    promptly(|| {
        for mut stream in all(100) {
            assert_eq!((&mut stream).into_iter().take(10).map(Result::unwrap).sum::<u32>(), 45);
            assert!(sent(&stream).into_iter().map(Result::unwrap).eq(10..100));
        }
        let mut bytes = ByteStream::read_from(&b"hello, world"[..]);
        bytes.read_exact(&mut [0; 7]).unwrap();
        let mut rest = String::new();
        sent_bytes(&bytes).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "world");
    });
}

#[test]
fn an_ending_fits_a_frame() {
    let long = "ö".repeat(100_000);
    let error = Error::Remote { kind: long.clone(), message: long.clone(), chain: vec![long; 100] };
    let payload = Ending::Error(error).encode();
    assert!(payload.len() <= crate::protocol::frame::MAX_PAYLOAD);
    let error = Ending::read(&payload, PEER, MAX_ITEM).unwrap();
    assert!(error.to_string().starts_with("öööö"));
    assert!(matches!(Ending::read(&[1], PEER, MAX_ITEM), Some(Error::BadAnswer { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever stops reading, wherever: what was read is right.
    #[test]
    fn any_items_read_in_any_way_arrive_in_order(
        lengths in proptest::collection::vec(prop_oneof![0_usize..100, 0_usize..200_000], 0..60),
        read in 0_usize..80,
        is_polled: bool,
        is_iterator: bool,
    ) {
        let items: Vec<_> = lengths.iter().map(|length| serde_bytes::ByteBuf::from(vec![1_u8; *length])).collect();
        let given = items.clone().into_iter().map(Ok);
        let mut stream = sent(&if is_iterator { Stream::iter(given) } else { hesitant(given) });
        let received = promptly(move || {
            let next = |_| if is_polled {
                blocking::wait(None, |context| stream.poll_read(context)).unwrap()
            } else {
                stream.read()
            };
            (0..read).map_while(next).collect::<Result<Vec<_>>>()
        });
        prop_assert!(received.unwrap() == items[..read.min(items.len())]);
    }
}
