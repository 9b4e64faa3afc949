//! Items of one task that are asked for, killed and linked while they finish and the next ones
//! start.

use std::future::{pending, ready};
use std::panic::Location;
use std::sync::{self, Arc};
use std::task::{self, Wake, Waker};

use loom::sync::Mutex;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::thread;
use spinney_greenlet::{
    Announcement, Failure, Handle, ItemGreenlets, SpawnContext, Task, pair_items,
};
use spinney_hub::{Clock, Context};

use crate::end::Here;
use crate::{Count, model, pause, spawn};

/// The member list of a container: the handle of the current item.
#[derive(Clone)]
struct Entry {
    current: Arc<Mutex<Option<Handle>>>,
    /// A caller has a handle.
    given: Arc<AtomicBool>,
}

impl Entry {
    fn new() -> Self {
        Self { current: Arc::default(), given: Arc::new(AtomicBool::new(false)) }
    }

    /// A handle, as a caller gets it.
    fn get(&self) -> Handle {
        let current = self.current.lock().unwrap().clone().unwrap();
        self.given.store(true, Release);
        current
    }

    fn move_to(&self, new: Handle) {
        let old = self.current.lock().unwrap().replace(new);
        drop(old);
    }
}

/// A finished item.
struct Item {
    /// `Some` if it asked for itself.
    own: Option<Known>,
    /// A caller had a handle before it finished.
    given: bool,
    failure: Option<Failure>,
}

/// A greenlet, and the id that it had when it was asked for.
type Known = (Handle, u64);

fn known(handle: Handle) -> Known {
    let id = handle.id();
    (handle, id)
}

/// The worker of a container.
struct Worker {
    items: ItemGreenlets,
    entry: Entry,
    done: Done,
    at: Option<Item>,
}

impl Worker {
    /// Runs `body` as an item, which asks for its own greenlet if `asks`.
    async fn item(&mut self, asks: bool, body: impl Future<Output = ()>) {
        self.items.start(0, Announcement::default, |_, new| self.entry.move_to(new));
        let own = if asks { Handle::current().map(known) } else { None };
        let item = self.at.insert(Item { own, given: false, failure: None });
        body.await;
        item.given = self.entry.given.load(Acquire);
        let mut finished = Ok(());
        self.items.finish(&mut finished, |_, new| self.entry.move_to(new));
        self.note(finished.err());
    }

    fn note(&mut self, failure: Option<Failure>) {
        let item = self.at.take().unwrap();
        self.done.lock().unwrap().push(Item { failure, ..item });
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.at.is_some() {
            let failure = self.items.cut_off(Ok(()));
            self.note(Some(failure));
        }
    }
}

/// Read after the task has finished: not a part of the model.
type Done = Arc<sync::Mutex<Vec<Item>>>;

/// A task of two items: the first finishes immediately, the second is `last`. `between` runs
/// between them.
fn two_items(
    asks: bool,
    between: fn(),
    last: impl Future<Output = ()>,
) -> (Task<impl Future<Output = ()>>, Entry, Done) {
    let (entry, done) = (Entry::new(), Done::default());
    let (there, results) = (entry.clone(), Arc::clone(&done));
    let make = move |items| async move {
        let mut worker = Worker { items, entry: there, done: results, at: None };
        worker.item(asks, ready(())).await;
        between();
        worker.item(asks, last).await;
    };
    let (task, first) = pair_items(None, SpawnContext::here(Location::caller()), make, |_| ());
    entry.move_to(first);
    (task, entry, done)
}

/// Kills the current item while the task is polled. The kill must hit its own item and no other,
/// and must not be lost while the item waits.
fn kill_meanwhile(asks: bool, between: fn()) {
    let (task, entry, done) = two_items(asks, between, pending());
    let woken = Count::new();
    let waker = Waker::from(Arc::new(Wakes(woken.clone())));
    let mut task = Box::pin(task);
    let runs = thread::spawn(move || {
        let polled = task.as_mut().poll(&mut task::Context::from_waker(&waker));
        (task, polled)
    });
    let first = entry.get();
    first.kill_now();
    let (mut task, mut polled) = runs.join().unwrap();
    let mut hit = first.clone();
    if first.is_successful() {
        assert!(polled.is_pending() && woken.get() == 0, "the kill hit another item");
        hit = entry.get();
        hit.kill_now();
    }
    if polled.is_pending() {
        assert!(woken.get() > 0, "the kill was lost");
        polled = task.as_mut().poll(&mut task::Context::from_waker(Waker::noop()));
    }
    assert!(polled.is_ready() && hit.failure().unwrap().is_killed());
    let done = done.lock().unwrap();
    for Item { own, failure, .. } in &*done {
        assert!(failure.as_ref().is_none_or(|failure| failure.task() == Some(&hit)));
        assert!(own.as_ref().is_none_or(|(own, _)| (*own == hit) == failure.is_some()));
    }
    let first_was_given = done.first().is_some_and(|item| item.given);
    assert!(first.is_successful() || !first_was_given, "the kill hit the next item");
    // A kill before the first poll ends the task before the first item; a later kill ends it in the
    // last.
    assert!([0, 2].contains(&done.len()));
    have_unique_ids(&done, [known(first), known(hit)]);
}

struct Wakes(Count);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.add();
    }
}

/// Asserts that each greenlet has one id at all times, and each id one greenlet.
fn have_unique_ids(done: &[Item], others: impl IntoIterator<Item = Known>) {
    let own = done.iter().filter_map(|item| item.own.clone());
    let all: Vec<Known> = own.chain(others).collect();
    for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
        assert_eq!(one.0 == other.0, one.1 == other.1);
    }
}

#[test]
fn kill_hits_the_item_of_its_handle() {
    model(|| kill_meanwhile(false, || ()));
}

#[test]
fn kill_hits_the_item_that_asks_for_itself() {
    model(|| kill_meanwhile(true, || ()));
}

#[test]
fn kill_beside_an_input_that_asks_hits_the_item_behind_it() {
    model(|| kill_meanwhile(false, || drop(Handle::current())));
}

#[test]
fn link_of_the_current_item_is_called_once() {
    model(|| {
        let _entered = Context::new(Clock::default(), Arc::new(Here)).enter();
        let called = Count::new();
        let (task, entry, _) = two_items(false, || (), pause());
        let runs = spawn(task);
        let (item, count) = (entry.get(), called.clone());
        _ = item.link(move |item| {
            assert!(item.is_successful());
            count.add();
        });
        runs.join().unwrap();
        assert!(called.get() == 1 && item.is_successful());
    });
}

#[test]
fn item_asked_for_by_two_threads_has_one_id() {
    model(|| {
        let (task, entry, done) = two_items(true, || (), ready(()));
        let runs = spawn(task);
        let handle = known(entry.get());
        runs.join().unwrap();
        let done = done.lock().unwrap();
        have_unique_ids(&done, [handle]);
        let item = |n: usize| &done[n].own.as_ref().unwrap().0;
        assert_ne!(item(0), item(1), "two items share a greenlet");
    });
}
