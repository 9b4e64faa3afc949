//! Each item that a task runs is a greenlet of its own.

use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use futures_lite::future::or;
use spinney_greenlet::{
    Announcement, Failure, GreenletExit, Handle, InPlace, Inherited, ItemGreenlets, Owner,
    SpawnContext, State, Task, catch_exit, greenlet_local, named, pair, pair_items, shield,
};
use spinney_sync::{Event, RLock};
use spinney_test_support::{ByHand, Dropped, OnDrop, panics_on_drop};

type Body = Pin<Box<dyn Future<Output = u32>>>;
/// The results of all items, including those that were cut off.
type Results = Rc<RefCell<Vec<Result<u32, Failure>>>>;

fn body(future: impl Future<Output = u32> + 'static) -> Body {
    Box::pin(future)
}

/// Item `n`, which only calls `act`.
fn act(n: u32, act: impl FnOnce() + 'static) -> Body {
    body(async move {
        act();
        n
    })
}

/// The current greenlet.
fn me() -> Handle {
    Handle::current().unwrap()
}

/// The current item's handle, as a container stores it, and how often it was replaced.
#[derive(Clone, Default)]
struct Entry(Arc<Mutex<(Option<Handle>, usize)>>);

impl Entry {
    /// A handle, as callers outside get it.
    fn get(&self) -> Handle {
        self.look(Handle::clone)
    }

    fn look<T>(&self, look: impl FnOnce(&Handle) -> T) -> T {
        look(self.0.lock().unwrap().0.as_ref().unwrap())
    }

    fn moves(&self) -> usize {
        self.0.lock().unwrap().1
    }

    fn move_to(&self, old: &Handle, new: Handle) {
        assert!(old.is_ready() && !new.is_ready(), "the previous item has not finished");
        assert!(self.look(|entry| entry == old), "the handle is not the entry's");
        let mut entry = self.0.lock().unwrap();
        *entry = (Some(new), entry.1 + 1);
    }
}

/// A container's worker: runs items one after the other, and calls `between` before each.
struct Worker {
    items: ItemGreenlets,
    entry: Entry,
    results: Results,
    at_item: bool,
}

impl Worker {
    async fn run(mut self, bodies: Vec<Body>, between: impl Fn(usize)) {
        for (n, body) in bodies.into_iter().enumerate() {
            between(n);
            self.items.start(0, Announcement::default, |old, new| self.entry.move_to(old, new));
            self.at_item = true;
            let value = body.await;
            self.at_item = false;
            self.finish(Ok(value));
        }
    }

    fn finish(&mut self, mut result: Result<u32, Failure>) {
        self.items.finish(&mut result, |old, new| self.entry.move_to(old, new));
        self.results.borrow_mut().push(result);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.at_item {
            self.results.borrow_mut().push(Err(self.items.cut_off(Ok(()))));
        }
    }
}

type WorkerTask = Task<Pin<Box<dyn Future<Output = ()>>>>;

/// A task that runs `bodies`, its entry, and its results.
fn task_with(bodies: Vec<Body>, between: impl Fn(usize) + 'static) -> (WorkerTask, Entry, Results) {
    let (entry, results) = (Entry::default(), Results::default());
    let (here, there) = (entry.clone(), Rc::clone(&results));
    let make = move |items| {
        let worker = Worker { items, entry: here, results: there, at_item: false };
        Box::pin(worker.run(bodies, between)) as _
    };
    let (task, first) = pair_items(Some(7), SpawnContext::here(Location::caller()), make, |_| ());
    *entry.0.lock().unwrap() = (Some(first), 0);
    (task, entry, results)
}

fn task(bodies: Vec<Body>) -> (ByHand<WorkerTask>, Entry, Results) {
    let (task, entry, results) = task_with(bodies, |_| ());
    (ByHand::of(task), entry, results)
}

/// Runs `bodies` to the end of the task in one poll.
#[track_caller]
fn run(bodies: Vec<Body>) -> (Entry, Results) {
    let (mut task, entry, results) = task(bodies);
    assert!(task.poll().is_ready());
    (entry, results)
}

fn values(results: &Results) -> Vec<u32> {
    results.borrow().iter().map(|result| *result.as_ref().unwrap()).collect()
}

fn failure(results: &Results, n: usize) -> Failure {
    results.borrow()[n].as_ref().unwrap_err().clone()
}

greenlet_local! {
    static USER: &'static str = "anonymous";
    static KEPT: Mutex<Option<Box<dyn Send>>> = Mutex::new(None);
}

/// Keeps `value` until the end of the current greenlet.
fn keep(value: impl Send + 'static) {
    KEPT.with(|kept| *kept.lock().unwrap() = Some(Box::new(value)));
}

#[test]
fn items_have_ids_and_share_parent_line_and_place() {
    let (parent, caller) = pair(async { run_and_describe() }, ());
    assert!(ByHand::of(parent).poll().is_ready());
    let id = caller.id();
    let handles = caller.try_get().unwrap().unwrap();
    assert!(handles[0].id() < handles[1].id() && handles[1].id() < handles[2].id());
    for handle in &handles {
        assert_eq!((handle.parent(), handle.place()), (Some(id), Some(7)));
        assert_eq!(handle.spawned_at(), handles[0].spawned_at());
        assert!(handle.is_successful());
    }
}

fn run_and_describe() -> Vec<Handle> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let note = |n| {
        let seen = Rc::clone(&seen);
        act(n, move || seen.borrow_mut().push(me()))
    };
    let (_, results) = run((0..3).map(note).collect());
    assert_eq!(values(&results), [0, 1, 2]);
    seen.take()
}

#[test]
fn local_of_an_item_is_not_seen_by_the_next() {
    let bodies = (0..3).map(|n| {
        act(n, move || {
            assert_eq!(USER.get(), "anonymous");
            USER.set("alice");
        })
    });
    assert_eq!(values(&run(bodies.collect()).1), [0, 1, 2]);
}

#[test]
fn unasked_item_leaves_its_block_to_the_next() {
    let bodies = vec![act(0, || Inherited::default().apply()), body(ready(1))];
    let (mut worker, entry, results) = task(bodies);
    let first = entry.look(|first| (first.state(), first.place(), first.parent()));
    assert_eq!(first, (State::Scheduled, Some(7), None));
    assert!(worker.poll().is_ready());
    assert_eq!((values(&results), entry.moves()), (vec![0, 1], 0));
}

#[test]
fn asked_item_has_a_block_of_its_own() {
    let asks: [fn(); 10] = [
        || drop(Handle::current()),
        || _ = Owner::current(),
        || _ = SpawnContext::here(Location::caller()),
        || drop(pair(ready(()), ())),
        || USER.set("alice"),
        || _ = USER.get(),
        || assert!(ByHand::of(named("a name", ready(()))).poll().is_ready()),
        || assert!(ByHand::of(catch_exit(ready(()))).poll().is_ready()),
        || assert!(ByHand::of(shield(ready(()))).poll().is_ready()),
        || drop(ByHand::waiting(GreenletExit::new().resume::<()>())),
    ];
    for (n, ask) in asks.into_iter().enumerate() {
        let (entry, results) = run(vec![act(0, ask), act(1, || ())]);
        assert_eq!((values(&results), entry.moves()), (vec![0, 1], 1), "{n}");
    }
}

#[test]
fn item_asked_for_elsewhere_has_a_block_of_its_own() {
    let asks: [fn(&Handle); 8] = [
        |entry| drop(entry.clone()),
        |entry| _ = entry.id(),
        |entry| entry.kill_now(),
        |entry| entry.abort(),
        |entry| assert!(!entry.cancel(), "an item that has begun was cancelled"),
        |entry| _ = entry.link(|_| ()),
        |entry| entry.guard(1, ()).unwrap(),
        |entry| drop(entry.join()),
    ];
    for (n, ask) in asks.into_iter().enumerate() {
        let own = Rc::new(RefCell::new(None::<Entry>));
        let entry = Rc::clone(&own);
        let bodies = vec![act(0, move || entry.take().unwrap().look(ask)), act(1, || ())];
        let (mut worker, entry, results) = task(bodies);
        *own.borrow_mut() = Some(entry.clone());
        assert!(worker.poll().is_ready());
        assert_eq!((values(&results), entry.moves()), (vec![0, 1], 1), "{n}");
    }
}

#[test]
fn link_of_an_item_is_called_outside_any_greenlet() {
    let called = Arc::new(Mutex::new(Vec::new()));
    let (call, seen) = (Arc::clone(&called), Arc::clone(&called));
    let link = move || {
        _ = me().link(move |item| {
            assert!(item.is_successful() && Handle::current().is_none());
            call.lock().unwrap().push(item.id());
        });
    };
    let (entry, results) = run(vec![
        act(0, link),
        act(1, move || {
            assert_eq!(
                seen.lock().unwrap().len(),
                1,
                "the next item started before the link was called"
            );
        }),
    ]);
    assert_eq!((values(&results), entry.moves()), (vec![0, 1], 1));
    assert_eq!(called.lock().unwrap().len(), 1);
}

#[test]
fn item_has_moved_on_before_its_waiters_are_woken() {
    let (mut worker, entry, _results) = task(vec![act(0, || ()), body(pending())]);
    let first = entry.get();
    let (there, seen) = (entry.clone(), Arc::new(Mutex::new(None)));
    let place = Arc::clone(&seen);
    first.link(move |first| {
        *place.lock().unwrap() = Some(there.look(|entry| entry != first));
    });
    let mut join = ByHand::waiting(first.join());
    assert!(worker.poll().is_pending());
    assert_eq!(seen.lock().unwrap().take(), Some(true));
    assert!(join.wakes() == 1 && join.poll().is_ready() && first.is_successful());
}

#[test]
fn kill_or_abort_of_a_finished_item_is_a_noop() {
    for end in [Handle::kill_now, Handle::abort] {
        let open = Rc::new(Event::new());
        let wait = Rc::clone(&open);
        let second = body(async move {
            wait.wait().await;
            1
        });
        let (mut worker, entry, results) = task(vec![act(0, || ()), second]);
        let first = entry.get();
        assert!(worker.poll().is_pending());
        end(&first);
        assert_eq!(worker.wakes(), 0);
        assert!(worker.poll().is_pending());
        open.set();
        assert!(worker.poll().is_ready() && first.is_successful());
        assert_eq!(values(&results), [0, 1]);
    }
}

#[test]
fn unseen_kill_of_an_item_spares_the_next() {
    for end in [Handle::kill_now, Handle::abort] {
        let (entry, results) = run(vec![act(0, move || end(&me())), act(1, || ())]);
        assert_eq!((values(&results), entry.moves()), (vec![0, 1], 1));
    }
    let resumed = body(or(GreenletExit::new().resume(), ready(0)));
    let (mut worker, _, results) = task(vec![resumed, body(pending())]);
    assert!(worker.poll().is_pending());
    assert_eq!(values(&results), [0]);
}

#[test]
fn kill_or_abort_of_an_item_cuts_it_off_and_ends_the_task() {
    type End = (fn(&Handle), fn(&Failure) -> bool);
    let ends: [End; 2] = [
        (|item| item.kill_now_with(GreenletExit::because("a whim")), Failure::is_killed),
        (Handle::abort, Failure::is_aborted),
    ];
    for (end, is_it) in ends {
        let dropped = Dropped::default();
        let guard = dropped.guard();
        let second = body(async move {
            let _guard = guard;
            pending().await
        });
        let (mut worker, entry, results) = task(vec![act(0, || ()), second, act(2, || ())]);
        let first = entry.get();
        assert!(worker.poll().is_pending());
        let second = entry.get();
        end(&second);
        assert_eq!(worker.wakes(), 1);
        assert!(worker.poll().is_ready());
        assert!(dropped.count() == 1 && results.borrow().len() == 2);
        let cut_off = failure(&results, 1);
        assert!(is_it(&cut_off) && cut_off.task() == Some(&second));
        assert_eq!(cut_off.to_string(), second.failure().unwrap().to_string());
        assert!(first.is_successful());
    }
}

#[test]
fn kill_before_the_first_poll_cuts_the_first_item_off() {
    let (mut worker, entry, results) = task(vec![act(0, || ())]);
    let first = entry.get();
    first.kill_now();
    assert!(first.is_ready() && worker.poll().is_ready());
    assert!(results.borrow().is_empty(), "a killed item ran");
}

#[test]
fn item_of_a_dropped_task_was_killed_by_its_hub() {
    let (mut worker, entry, results) = task(vec![body(pending())]);
    assert!(worker.poll().is_pending());
    let item = entry.get();
    drop(worker);
    let failed = failure(&results, 0).to_string();
    assert!(failed.ends_with("was killed: its hub was shut down"), "{failed}");
    assert_eq!(item.failure().unwrap().to_string(), failed);
}

#[test]
fn item_in_place_of_a_dropped_wait_was_killed() {
    let (worker, entry, results) = task_with(vec![act(0, || drop(me())), body(pending())], |_| ());
    let first = entry.look(|first| InPlace::new(worker, first));
    let mut first = ByHand::waiting(first);
    let item = entry.get();
    assert!(first.poll().is_pending());
    drop(first);
    let failed = failure(&results, 1).to_string();
    assert!(failed.ends_with("was killed"), "{failed}");
    assert_eq!(item.failure().unwrap().to_string(), failed);
}

#[test]
fn kill_of_the_parent_goes_to_the_current_item_in_place() {
    let caught = Rc::new(Cell::new(0));
    let catches = |n| {
        let caught = Rc::clone(&caught);
        body(async move {
            let exit = catch_exit(pending::<()>()).await.unwrap_err();
            assert_eq!(exit.to_string(), "killed: a whim");
            caught.set(caught.get() + 1);
            n
        })
    };
    let (worker, entry, results) =
        task_with(vec![act(0, || drop(me())), catches(1), catches(2)], |_| ());
    let in_place = entry.look(|first| InPlace::new(worker, first));
    let (parent, handle) = pair(in_place, ());
    let mut parent = ByHand::waiting(parent);
    handle.kill_now_with(GreenletExit::because("a whim"));
    let mut wakes = parent.wakes();
    while parent.poll().is_pending() {
        assert!(parent.wakes() > wakes, "a wake-up is lost");
        wakes = parent.wakes();
    }
    assert_eq!((caught.get(), values(&results)), (2, vec![0, 1, 2]));
    assert!(
        handle.failure().unwrap().is_killed(),
        "the parent did not see the kill after its wait"
    );
}

#[test]
fn destructor_of_a_local_runs_in_the_item() {
    let ids = Arc::new(Mutex::new((0, 0)));
    let place = Arc::clone(&ids);
    let first = act(0, move || {
        place.lock().unwrap().0 = me().id();
        keep(OnDrop::new(move || place.lock().unwrap().1 = me().id()));
    });
    let (_, results) = run(vec![first, act(1, || ())]);
    let (item, dropped_in) = *ids.lock().unwrap();
    assert_eq!((values(&results), item), (vec![0, 1], dropped_in));
}

#[test]
fn local_that_panics_when_it_is_dropped_fails_its_item() {
    let (entry, results) = run(vec![act(0, || keep(panics_on_drop())), act(1, || ())]);
    let failed = failure(&results, 0);
    assert!(failed.is_panic() && entry.moves() == 1);
    assert!(failed.task().unwrap().failure().unwrap().is_panic());
    assert_eq!(*results.borrow()[1].as_ref().unwrap(), 1);
    let (mut worker, entry, results) = task(vec![body(async {
        keep(panics_on_drop());
        pending().await
    })]);
    assert!(worker.poll().is_pending());
    let item = entry.get();
    item.kill_now();
    assert!(worker.poll().is_ready());
    assert!(failure(&results, 0).is_panic() && item.failure().unwrap().is_panic());
}

#[test]
fn failure_of_an_item_names_its_greenlet() {
    let make = |mut items: ItemGreenlets| async move {
        let entry = Rc::new(RefCell::new(None));
        let mut result = Err::<(), _>(Failure::panicked(Box::new("no luck")));
        items.finish(&mut result, |old, _| *entry.borrow_mut() = Some(old.clone()));
        let item = entry.take().unwrap();
        let failed = result.clone().unwrap_err();
        assert_eq!(failed.task(), Some(&item));
        assert_eq!(item.failure().unwrap().to_string(), failed.to_string());
        items.finish(&mut result, |_, _| ());
        assert_ne!(result.unwrap_err().task(), Some(&item));
    };
    let (task, _) = pair_items(None, SpawnContext::here(Location::caller()), make, |_| ());
    assert!(ByHand::of(task).poll().is_ready());
}

#[test]
fn pending_kill_is_the_failure_of_a_killed_item() {
    let make = |mut items: ItemGreenlets| async move {
        me().kill_now_with(GreenletExit::because("a whim"));
        let late = Failure::Killed(GreenletExit::because("time ran out"));
        let mut result = Err::<(), _>(late);
        items.finish(&mut result, |_, _| ());
        let failed = result.unwrap_err();
        assert!(failed.to_string().ends_with("was killed: a whim"), "{failed}");
    };
    let (task, last) = pair_items(None, SpawnContext::here(Location::caller()), make, |_| ());
    assert!(ByHand::of(task).poll().is_ready());
    assert!(last.failure().unwrap().is_killed());
}

#[test]
fn input_that_asks_for_its_greenlet_is_not_the_item() {
    let inputs: [fn(); 2] = [|| me().kill_now(), || USER.set("the input")];
    for input in inputs {
        let read = |n| {
            body(async move {
                assert_eq!((USER.get(), me().exit().is_none()), ("anonymous", true));
                n
            })
        };
        let (worker, _, results) = task_with(vec![read(0), read(1)], move |_| input());
        assert!(ByHand::of(worker).poll().is_ready());
        assert_eq!(values(&results), [0, 1]);
    }
}

#[test]
fn handle_asked_for_between_items_is_the_next_items() {
    let own = Rc::new(RefCell::new(Vec::new()));
    let note = |n| {
        let own = Rc::clone(&own);
        act(n, move || own.borrow_mut().push(me()))
    };
    let (drawn, place) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(None::<Entry>)));
    let (draw, from) = (Rc::clone(&drawn), Rc::clone(&place));
    let between = move |_| draw.borrow_mut().push(from.borrow().as_ref().unwrap().get());
    let (worker, entry, _) = task_with(vec![note(0), note(1)], between);
    *place.borrow_mut() = Some(entry);
    assert!(ByHand::of(worker).poll().is_ready());
    assert_eq!(*own.borrow(), *drawn.borrow());
}

#[test]
fn kill_between_items_is_seen_by_the_next_item() {
    let place = Rc::new(RefCell::new(None::<Entry>));
    let from = Rc::clone(&place);
    let between = move |n| {
        if n == 1 {
            from.borrow().as_ref().unwrap().get().kill_now();
        }
    };
    let (worker, entry, results) = task_with(vec![act(0, || ()), body(pending())], between);
    *place.borrow_mut() = Some(entry);
    assert!(ByHand::of(worker).poll().is_ready());
    assert_eq!(*results.borrow()[0].as_ref().unwrap(), 0);
    assert!(failure(&results, 1).is_killed());
}

#[test]
fn kill_wakes_the_task_of_an_item_that_waits_after_another() {
    let open = Rc::new(Event::new());
    let wait = Rc::clone(&open);
    let first = body(async move {
        wait.wait().await;
        0
    });
    let (mut worker, entry, _results) = task(vec![first, body(pending())]);
    drop(entry.get());
    assert!(worker.poll().is_pending());
    open.set();
    let before = worker.wakes();
    assert!(worker.poll_again().is_pending());
    entry.get().kill_now();
    assert_eq!(worker.wakes(), before + 1, "the waker was stored with the first item only");
    assert!(worker.poll().is_ready());
}

#[test]
fn lock_of_an_item_excludes_the_next_item() {
    let lock = Rc::new(RLock::new());
    let (first, second) = (Rc::clone(&lock), Rc::clone(&lock));
    let owned = act(0, move || {
        let guard = first.try_acquire(Owner::current()).unwrap();
        std::mem::forget(guard);
    });
    let (_, results) = run(vec![
        owned,
        act(1, move || {
            assert!(
                second.try_acquire(Owner::current()).is_none(),
                "another greenlet's lock was taken"
            );
        }),
    ]);
    assert_eq!(values(&results), [0, 1]);
}

#[test]
fn inherited_locals_are_given_to_each_item() {
    let caller = async {
        USER.set("the caller's");
        let inherited = Inherited::capture();
        USER.set("another");
        let read = |n| {
            let inherited = inherited.clone();
            act(n, move || {
                inherited.apply();
                assert_eq!(USER.get(), "the caller's");
                USER.set("an item's");
            })
        };
        values(&run((0..2).map(read).collect()).1)
    };
    let (task, greenlet) = pair(caller, ());
    assert!(ByHand::of(task).poll().is_ready());
    assert_eq!(greenlet.try_get().unwrap().unwrap(), [0, 1]);
}

#[test]
fn guard_of_the_task_is_dropped_when_the_last_item_has_finished() {
    let dropped = Dropped::default();
    let make = |mut items: ItemGreenlets| async move {
        drop(Handle::current());
        items.finish(&mut Ok(()), |_, _| ());
        pending::<()>().await;
    };
    let guard = dropped.guard();
    let (task, first) = pair_items(None, SpawnContext::here(Location::caller()), make, |_| guard);
    let task = ByHand::waiting(task);
    assert!(first.is_successful() && dropped.count() == 0);
    drop(task);
    assert_eq!(dropped.count(), 1);
}
