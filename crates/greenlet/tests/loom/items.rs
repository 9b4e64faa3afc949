//! Items of one task that are asked for, killed and followed while they end and the next ones start.

use std::future::{pending, ready};
use std::panic::Location;
use std::sync::{self, Arc};
use std::task::{self, Wake, Waker};

use loom::sync::Mutex;
use loom::thread;
use spinney_greenlet::{Birth, Failure, Handle, ItemGreenlets, Task, pair_items};

use spinney_hub::{Clock, Context};

use crate::end::Here;
use crate::{Count, model, pause, spawn};

/// The member list of a container: the handle of the current item.
#[derive(Clone)]
struct Entry(Arc<Mutex<Option<Handle>>>);

impl Entry {
    /// A handle, as callers get it.
    fn get(&self) -> Handle {
        self.0.lock().unwrap().clone().unwrap()
    }

    fn move_to(&self, new: Handle) {
        let old = self.0.lock().unwrap().replace(new);
        drop(old);
    }
}

/// What one item was: its handle, if the item asked for it, and how it ended.
type Item = (Option<Handle>, Option<Failure>);

/// The worker of a container.
struct Worker {
    items: ItemGreenlets,
    entry: Entry,
    done: Done,
    /// The item that it is at, with its handle if it asked for that.
    at: Option<Option<Handle>>,
}

impl Worker {
    /// Runs `body` as an item, which asks for its own greenlet or does not.
    async fn item(&mut self, asks: bool, body: impl Future<Output = ()>) {
        self.items.start(|_, new| self.entry.move_to(new));
        self.at = Some(if asks { Handle::current() } else { None });
        body.await;
        let at = self.at.take().unwrap();
        let finished = self.items.finish(Ok(()), |_, new| self.entry.move_to(new));
        self.done.lock().unwrap().push((at, finished.err()));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(at) = self.at.take() {
            let failure = self.items.cut_off(Ok(()));
            self.done.lock().unwrap().push((at, Some(failure)));
        }
    }
}

/// Looked at when the task has ended: not a part of the model.
type Done = Arc<sync::Mutex<Vec<Item>>>;

/// A task of two items: one that ends at once, and `last`. `between` runs between them.
fn two_items(
    asks: bool,
    between: fn(),
    last: impl Future<Output = ()>,
) -> (Task<impl Future<Output = ()>>, Entry, Done) {
    let (entry, done) = (Entry(Arc::default()), Done::default());
    let (there, results) = (entry.clone(), Arc::clone(&done));
    let make = move |items| async move {
        let mut worker = Worker { items, entry: there, done: results, at: None };
        worker.item(asks, ready(())).await;
        between();
        worker.item(asks, last).await;
    };
    let (task, first) = pair_items(None, Birth::here(Location::caller()), make, |_| ());
    entry.move_to(first);
    (task, entry, done)
}

/// Kills the current item while the task is polled. The kill hits its own item and no other, and it
/// is not lost while that awaits.
fn kill_meanwhile(asks: bool, between: fn()) {
    let (task, entry, done) = two_items(asks, between, pending());
    let wakes = Count::new();
    let waker = Waker::from(Arc::new(Wakes(wakes.clone())));
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
        assert!(polled.is_pending() && wakes.get() == 0, "it hits another item");
        hit = entry.get();
        hit.kill_now();
    }
    if polled.is_pending() {
        assert!(wakes.get() > 0, "the kill is lost");
        polled = task.as_mut().poll(&mut task::Context::from_waker(Waker::noop()));
    }
    assert!(polled.is_ready() && hit.failure().unwrap().is_killed());
    let done = done.lock().unwrap();
    for (item, failure) in &*done {
        assert!(failure.as_ref().is_none_or(|failure| failure.task() == Some(&hit)));
        assert!(item.as_ref().is_none_or(|item| (*item == hit) == failure.is_some()));
    }
    // A kill before the first poll is an end before the first item; another is the last one's.
    assert!([0, 2].contains(&done.len()));
    let own = done.iter().filter_map(|(item, _)| item.as_ref());
    have_unique_ids(&own.chain([&first, &hit]).collect::<Vec<_>>());
}

struct Wakes(Count);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.add();
    }
}

/// Each greenlet has one id, and each id one greenlet.
fn have_unique_ids(handles: &[&Handle]) {
    for (one, other) in handles.iter().flat_map(|one| handles.iter().map(move |two| (one, two))) {
        assert_eq!(one == other, one.id() == other.id());
    }
}

#[test]
fn kill_hits_the_item_whose_handle_it_is() {
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
fn item_asked_for_inside_and_outside_at_once_has_one_id() {
    model(|| {
        let (task, entry, done) = two_items(true, || (), ready(()));
        let runs = spawn(task);
        let handle = entry.get();
        runs.join().unwrap();
        let done = done.lock().unwrap();
        let all: Vec<_> =
            done.iter().filter_map(|(item, _)| item.as_ref()).chain([&handle]).collect();
        have_unique_ids(&all);
        assert_ne!(all[0], all[1], "two items are two greenlets");
    });
}
