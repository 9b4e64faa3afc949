//! The promises of the observer hook: it sees each greenlet's whole life, once, in order. The
//! observer is the whole process's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use spinney::task::{Observer, ObserverSet, Spawned, Watch, set_observer, spawn_on};
use spinney::{Failure, Handle, LocalHub, Pool, ThreadPool, block_on, sleep, spawn, yield_now};
use spinney_sync::Wait;
use spinney_tests::on_every_hub;
use spinney_tests::tools::blow_up;

/// What happened to a greenlet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Spawned { kind: Option<&'static str>, item: Option<usize> },
    Began,
    Paused(Option<u32>),
    Woken,
    Ended(&'static str),
}

use Seen::{Began, Ended, Paused, Woken};

static SEEN: Mutex<BTreeMap<u64, Vec<Seen>>> = Mutex::new(BTreeMap::new());

fn seen() -> MutexGuard<'static, BTreeMap<u64, Vec<Seen>>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was seen of a greenlet, without wake-ups, which may be spurious.
fn life(id: u64) -> Vec<Seen> {
    let seen = seen().get(&id).cloned().unwrap_or_default();
    seen.into_iter().filter(|seen| *seen != Woken).collect()
}

struct Notes;

/// Of the greenlet with this id; 0 between two items.
struct Note(AtomicU64);

impl Note {
    fn of(spawned: Spawned<'_>) -> Self {
        let note = Self(AtomicU64::new(0));
        note.begin(spawned);
        note
    }

    fn begin(&self, spawned: Spawned<'_>) {
        self.0.store(spawned.greenlet.id(), Relaxed);
        let kind = spawned.container.map(|container| container.kind());
        self.add(Seen::Spawned { kind, item: spawned.item });
    }

    fn add(&self, event: Seen) {
        seen().entry(self.0.load(Relaxed)).or_default().push(event);
    }

    /// The polls until the next item are those of no greenlet.
    fn pause(&self, wait: Option<Wait>) {
        self.add(Paused(wait.map(|wait| wait.at().line())));
        let id = self.0.load(Relaxed);
        if life(id).iter().any(is_end) {
            self.0.store(0, Relaxed);
        }
    }
}

/// A waker of the poll of a greenlet that is watched.
struct NoteWakes(Arc<Note>, Waker);

impl Wake for NoteWakes {
    fn wake(self: Arc<Self>) {
        self.0.add(Woken);
        self.1.wake_by_ref();
    }
}

thread_local! {
    /// Set: greenlets that are created on this thread are not asked for, and their lives are one.
    static UNASKED: RefCell<Option<Arc<Mutex<Vec<Unasked>>>>> = const { RefCell::new(None) };
}

/// What happened to greenlets that the observer does not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unasked {
    Spawned(Option<usize>),
    Next(usize),
    Ended,
}

struct UnaskedNote(Arc<Mutex<Vec<Unasked>>>);

impl UnaskedNote {
    fn add(&self, event: Unasked) {
        self.0.lock().unwrap().push(event);
    }
}

impl Watch for UnaskedNote {
    fn next_item(&self, index: usize) {
        self.add(Unasked::Next(index));
    }

    fn next_greenlet(self: Arc<Self>, spawned: Spawned<'_>) {
        self.add(Unasked::Spawned(spawned.item));
    }

    fn ended(&self, _: Option<&Failure>) {
        self.add(Unasked::Ended);
    }
}

impl Observer for Notes {
    fn spawned(&self, spawned: Spawned<'_>) -> Arc<dyn Watch> {
        if let Some(lives) = UNASKED.with_borrow(Clone::clone) {
            let note = UnaskedNote(lives);
            note.add(Unasked::Spawned(spawned.item));
            return Arc::new(note);
        }
        Arc::new(Note::of(spawned))
    }
}

impl Watch for Note {
    fn poll_began(self: Arc<Self>, waker: &Waker) -> Waker {
        self.add(Began);
        Waker::from(Arc::new(NoteWakes(self, waker.clone())))
    }

    fn poll_paused(&self, wait: Option<Wait>) {
        self.pause(wait);
    }

    fn poll_finished(&self) {
        self.pause(None);
    }

    fn next_greenlet(self: Arc<Self>, spawned: Spawned<'_>) {
        // The poll goes on as a poll of the next item.
        self.add(Paused(None));
        self.begin(spawned);
        self.add(Began);
    }

    fn ended(&self, failure: Option<&Failure>) {
        self.add(Ended(match failure {
            None => "success",
            Some(Failure::Killed(_)) => "killed",
            Some(Failure::Aborted(_)) => "aborted",
            Some(Failure::Panicked(_)) => "panicked",
        }));
    }
}

/// Observes the process from now on.
fn observe() {
    static SET: LazyLock<Result<(), ObserverSet>> = LazyLock::new(|| set_observer(Notes));
    assert_eq!(*SET, Ok(()));
}

fn spawned(kind: Option<&'static str>, item: Option<usize>) -> Seen {
    Seen::Spawned { kind, item }
}

/// Waits until the poll in which the greenlet ended has finished.
async fn settled(id: u64) -> Vec<Seen> {
    while !matches!(life(id).last(), Some(Paused(None))) || !life(id).iter().any(is_end) {
        yield_now().await;
    }
    life(id)
}

fn is_end(seen: &Seen) -> bool {
    matches!(seen, Ended(_))
}

on_every_hub! {
    async fn life_of_a_greenlet_is_seen_in_order(hub) {
        observe();
        let line = line!() + 1;
        let greenlet = spawn_on(hub, async { sleep(Duration::from_millis(1)).await });
        let id = greenlet.id();
        greenlet.await.unwrap();
        let polls = [Began, Paused(Some(line)), Began, Ended("success"), Paused(None)];
        let expected = [vec![spawned(None, None)], polls.to_vec()].concat();
        assert_eq!(settled(id).await, expected);
        assert!(seen()[&id].contains(&Woken));
    }

    async fn wait_is_not_that_of_an_earlier_poll(hub) {
        observe();
        let greenlet = spawn_on(hub, async {
            sleep(Duration::from_millis(1)).await;
            pending::<()>().await;
        });
        while life(greenlet.id()).len() < 5 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(life(greenlet.id())[3..], [Began, Paused(None)]);
        greenlet.kill().await;
    }

    async fn ends_of_all_kinds_are_seen_once(hub) {
        observe();
        let panics = spawn_on(hub, async { blow_up("no luck") });
        let killed = spawn_on(hub, pending::<()>());
        let unstarted = spawn_on(hub, pending::<()>());
        let aborted = spawn_on(hub, pending::<()>());
        unstarted.kill_now();
        while life(killed.id()).len() < 2 || life(aborted.id()).len() < 2 {
            yield_now().await;
        }
        killed.kill_now();
        aborted.abort();
        let ids = [panics.id(), killed.id(), unstarted.id(), aborted.id()];
        for greenlet in [panics, killed, unstarted, aborted] {
            greenlet.await.unwrap_err();
        }
        for (id, end) in ids.into_iter().zip(["panicked", "killed", "killed", "aborted"]) {
            let life = settled(id).await;
            let ends: Vec<_> = life.iter().filter(|seen| is_end(seen)).collect();
            assert_eq!(ends, [&Ended(end)], "{life:?}");
        }
    }

    async fn each_item_of_a_map_is_seen_with_its_index(hub) {
        observe();
        let pool = Pool::on(hub, 2);
        let ids = pool.map(|n: usize| async move {
            if n % 2 == 0 {
                yield_now().await;
            }
            Handle::current().unwrap().id()
        }, 0..10).await.unwrap();
        for (n, id) in ids.into_iter().enumerate() {
            let pause = if n % 2 == 0 { vec![Began, Paused(None)] } else { vec![] };
            let end = vec![Began, Ended("success"), Paused(None)];
            let expected = [vec![spawned(Some("pool"), Some(n))], pause, end].concat();
            assert_eq!(settled(id).await, expected, "item {n}");
        }
    }

    async fn child_in_place_is_polled_within_its_parents_poll(hub) {
        observe();
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let order = pool.apply(async move {
            let child = inside.apply(async {
                yield_now().await;
                Handle::current().unwrap().id()
            });
            (Handle::current().unwrap().id(), child.await.unwrap())
        }).await.unwrap();
        let (parent, child) = (settled(order.0).await, settled(order.1).await);
        let polls = [Began, Paused(None), Began, Ended("success"), Paused(None)];
        assert_eq!(child[1..], polls);
        assert_eq!(parent.iter().filter(|seen| **seen == Began).count(), 2);
    }
}

#[test]
fn closures_and_items_on_threads_are_seen() {
    observe();
    let pool = ThreadPool::new(1);
    let id = || Handle::current().unwrap().id();
    block_on(async {
        let closure = pool.apply(id).await.unwrap();
        let items = pool.map(move |_| id(), 0..3).await.unwrap();
        let items = items.into_iter().enumerate().map(|(n, id)| (id, Some(n)));
        for (id, item) in items.chain([(closure, None)]) {
            let whole = [spawned(Some("thread pool"), item), Began, Ended("success"), Paused(None)];
            assert_eq!(settled(id).await, whole);
        }
    });
}

#[test]
fn items_that_nothing_asks_for_share_a_watch() {
    use Unasked::{Ended, Next, Spawned};
    observe();
    let lives = Arc::default();
    UNASKED.set(Some(Arc::clone(&lives)));
    let hub = LocalHub::new();
    let item = |n: usize| async move {
        if n == 2 {
            // Asks for the greenlet of this item.
            Handle::current();
        }
    };
    hub.block_on(async { Pool::on(&hub, 1).map(item, 0..5).await.unwrap() });
    UNASKED.set(None);
    let whole = [Spawned(Some(0)), Next(1), Next(2), Ended, Spawned(Some(3)), Next(4), Ended];
    assert_eq!(*lives.lock().unwrap(), whole);
}

#[test]
fn wake_from_another_thread_is_seen() {
    observe();
    let mut is_woken = false;
    let waits = poll_fn(move |cx| {
        if std::mem::replace(&mut is_woken, true) {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        thread::spawn(move || waker.wake());
        Poll::Pending
    });
    let greenlet = spawn(waits);
    let id = greenlet.id();
    block_on(greenlet).unwrap();
    assert!(seen()[&id].contains(&Woken));
}

#[test]
fn second_observer_is_refused() {
    observe();
    assert_eq!(set_observer(Notes), Err(ObserverSet));
}
