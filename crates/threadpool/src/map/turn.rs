//! [`MapJob`]: the shared state of the threads of a map, and the turns of each thread.

use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use futures_lite::future;
use spinney_greenlet::map::{Again, Decision};
use spinney_greenlet::{
    Announcement, Failure, GreenletExit, Inherited, ItemGreenlets, SpawnContext, pair_items,
};
use spinney_hub::{Hub, drop_contained, require_threads, sleep};

use super::results::Results;
use crate::ThreadPoolClosed;
use crate::job::{Call, on_hub, run_to_end};
use crate::queue::Work;
use crate::result::wait_until;
use crate::workers::Workers;

pub(crate) struct MapJob<I: Iterator, F, T> {
    /// `Some` until this is dropped.
    func: Option<F>,
    input: CachePadded<Feed<I>>,
    results: Results<T>,
    items: Items<I::Item, T>,
    /// The hub of the caller, which is current in the items.
    hub: Option<Hub>,
    /// The greenlet that called the map: the parent of the items.
    context: SpawnContext,
    workers: Arc<Workers>,
}

/// How the items of a map are run.
pub(crate) struct Items<A, T> {
    pub(crate) again: Option<Again<A, T>>,
    /// The locals with which each item starts.
    pub(crate) locals: Option<Inherited>,
}

/// The input, in a cache line of its own, against contention between threads that read the rest and
/// threads that take items.
struct Feed<I: Iterator> {
    items: Mutex<Input<I>>,
    /// The index of the next item, for readers without the lock, which is held while the input
    /// produces an item.
    next: AtomicUsize,
}

/// The remaining items. One is taken ahead, so that the end of the input is known when it is
/// reached.
struct Input<I: Iterator> {
    /// `None` once the input is exhausted.
    items: Option<I>,
    ahead: Option<I::Item>,
}

/// The reader's view of a map.
pub(crate) trait Source<T>: Send + Sync {
    fn results(&self) -> &Results<T>;

    /// Runs one item on this thread, if one may run; returns whether it did.
    fn assist(&self) -> bool;

    /// Puts the map into the queue of its pool, `threads` times.
    fn put(self: Arc<Self>, threads: usize);
}

impl<I, F, T> MapJob<I, F, T>
where
    I: Iterator<Item: Send + 'static> + Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    /// Starts a map that was called on the line `at`.
    pub(crate) fn start(
        func: F,
        input: I,
        items: Items<I::Item, T>,
        results: Results<T>,
        workers: &Arc<Workers>,
        at: &'static Location<'static>,
    ) -> Arc<dyn Source<T>> {
        require_threads("a thread pool");
        let job = Arc::new(Self {
            func: Some(func),
            input: CachePadded::new(Feed {
                items: Mutex::new(Input { items: Some(input), ahead: None }),
                next: AtomicUsize::new(0),
            }),
            results,
            items,
            hub: Hub::try_current(),
            context: SpawnContext::here(at),
            workers: Arc::clone(workers),
        });
        let look = || {
            let input = &mut *job.input();
            input.ahead = input.items.as_mut().and_then(Iterator::next);
            input.ahead.is_some()
        };
        let has_items = catch_unwind(AssertUnwindSafe(look));
        if !matches!(has_items, Ok(true)) {
            job.end_input(has_items.err().map(Failure::panicked));
        } else if !job.results.begin(Arc::downgrade(&job) as _) {
            job.break_off(GreenletExit::because(ThreadPoolClosed), 0);
        }
        let threads = job.results.take_on();
        Arc::clone(&job).put(threads);
        job
    }
}

impl<I: Iterator, F: Fn(I::Item) -> T, T> MapJob<I, F, T> {
    /// Runs items as long as any may run, or only the opened one if `for_one`; returns `true` if
    /// there may be more, but other entries wait for this thread.
    fn run_items(&self, greenlets: &mut ItemGreenlets, for_one: bool) -> bool {
        if !for_one && !self.results.open() {
            return false;
        }
        let mut at = None;
        loop {
            // Around many items, because it costs as much as one.
            let turn =
                catch_unwind(AssertUnwindSafe(|| self.take_turn(greenlets, for_one, &mut at)));
            let failure = match turn {
                Ok(others_wait) => return others_wait,
                Err(payload) => Failure::panicked(payload),
            };
            match at.take() {
                Some(index) => {
                    if let Some(others_wait) = self.leave(index, Err(failure), greenlets, for_one) {
                        return others_wait;
                    }
                }
                None => self.end_input(Some(failure)),
            }
        }
    }

    /// Runs items, the first of which was opened. A panic of an item, whose index is then in `at`,
    /// or of the input propagates.
    fn take_turn(
        &self,
        greenlets: &mut ItemGreenlets,
        for_one: bool,
        at: &mut Option<usize>,
    ) -> bool {
        loop {
            let Some((index, item)) = self.next_item() else {
                self.results.leave(usize::from(!for_one));
                return false;
            };
            *at = Some(index);
            let result = self.run_item(index, item, greenlets);
            *at = None;
            if let Some(others_wait) = self.leave(index, result, greenlets, for_one) {
                return others_wait;
            }
        }
    }

    /// Takes the next item from the input, for an item that was opened.
    fn next_item(&self) -> Option<(usize, I::Item)> {
        let mut input = self.input();
        let Input { items, ahead } = &mut *input;
        // Called first: if it panics, the item that was taken ahead is still there.
        let next = items.as_mut().and_then(Iterator::next);
        let is_last = next.is_none();
        let item = mem::replace(ahead, next)?;
        // Written under this lock only.
        let index = self.input.next.load(Relaxed);
        self.input.next.store(index + 1, Relaxed);
        let over = if is_last { items.take() } else { None };
        drop(input);
        if is_last {
            self.drop_input(over);
        }
        Some((index, item))
    }

    /// Ends the input, with `failure` if it has panicked.
    #[cold]
    fn end_input(&self, failure: Option<Failure>) {
        let mut input = self.input();
        let over = input.items.take();
        let index = self.next_index() + usize::from(input.ahead.is_some());
        drop(input);
        if let Some(failure) = failure {
            self.results.break_off(index, failure, 0);
        }
        self.drop_input(over);
    }

    /// Drops the input under no lock, after its end.
    #[cold]
    fn drop_input(&self, input: Option<I>) {
        drop_contained(input);
        self.results.exhaust();
    }

    /// Puts the result of an item. Returns whether other entries wait for this thread, if it goes
    /// on without an item.
    #[inline]
    fn leave(
        &self,
        index: usize,
        mut result: Result<T, Failure>,
        greenlets: &mut ItemGreenlets,
        for_one: bool,
    ) -> Option<bool> {
        greenlets.finish(&mut result, |_, _| ());
        let stops = for_one || self.workers.is_wanted_beside(|| self.results.queued_turns());
        let opened = self.results.deliver(index, result, !stops);
        if opened { None } else { Some(stops && !for_one) }
    }

    /// Runs an item as the current greenlet of this thread. A panic of the item propagates.
    fn run_item(
        &self,
        index: usize,
        item: I::Item,
        greenlets: &mut ItemGreenlets,
    ) -> Result<T, Failure> {
        let container = || Some(Arc::clone(&self.workers) as _);
        let about = || Announcement { container: container(), item: None, may_block: true };
        greenlets.start(index, about, |_, _| ());
        if let Some(locals) = &self.items.locals {
            locals.apply();
        }
        self.results.start_clock(index);
        match &self.items.again {
            None => Ok(self.func()(item)),
            Some(again) => self.try_item(again, index, item, greenlets),
        }
    }

    fn func(&self) -> &F {
        self.func.as_ref().expect("the function is there until this is dropped")
    }

    /// Runs an item until it succeeds, or there are no more tries. A predicate that panics fails it.
    fn try_item(
        &self,
        again: &Again<I::Item, T>,
        index: usize,
        item: I::Item,
        greenlets: &ItemGreenlets,
    ) -> Result<T, Failure> {
        let mut schedule = again.begin(index);
        while schedule.left() > 0 {
            let item = again.clone_item(&item);
            let result = catch_unwind(AssertUnwindSafe(|| self.func()(item)));
            let result = result.map_err(Failure::panicked);
            let may_go_on = || !greenlets.is_killed() && self.results.is_in_time(index);
            let pause = match again.decide(&result) {
                Decision::GiveUp => None,
                decision => schedule.next_delay(decision).filter(|_| may_go_on()),
            };
            let Some(pause) = pause else { return result };
            self.results.note_retry(index, &result, pause);
            if !self.rest(pause) {
                return result;
            }
            self.results.note_next_try(index);
            self.results.start_clock(index);
        }
        Ok(self.func()(item))
    }

    /// Blocks this thread until the next try. Returns `false` if the pool is killed meanwhile.
    fn rest(&self, pause: Duration) -> bool {
        let killed = &self.workers.killed;
        if pause.is_zero() || killed.is_set() {
            return !killed.is_set();
        }
        let killed = async {
            killed.wait().await;
            false
        };
        let rested = async {
            sleep(pause).await;
            true
        };
        let mut either = pin!(future::or(killed, rested));
        wait_until(&mut either, None).unwrap_or_default()
    }

    /// [Runs items](Self::run_items) on this thread, each as a greenlet of its own.
    fn as_greenlets(&self, for_one: bool) -> bool {
        let mut others_wait = false;
        let ended = &mut others_wait;
        let run =
            |mut greenlets| Call::of(move || *ended = self.run_items(&mut greenlets, for_one));
        let (task, _) = pair_items(None, self.context, run, |_| ());
        run_to_end(task);
        others_wait
    }

    /// Ends the map before its next item. `threads` threads have left.
    fn break_off(&self, exit: GreenletExit, threads: usize) {
        self.results.break_off(self.next_index(), Failure::Killed(exit), threads);
    }

    fn next_index(&self) -> usize {
        self.input.next.load(Relaxed)
    }

    fn input(&self) -> MutexGuard<'_, Input<I>> {
        self.input.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I, F, T> Work for MapJob<I, F, T>
where
    I: Iterator<Item: Send + 'static> + Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    fn enter(&self, key: u64) {
        self.results.enter_turn(key);
    }

    fn run(self: Arc<Self>, workers: &Arc<Workers>, key: u64) {
        let others_wait =
            self.results.begin_turn(key) && on_hub(self.hub.as_ref(), || self.as_greenlets(false));
        if others_wait {
            workers.requeue(self);
        } else {
            drop(self);
            workers.end_turn();
        }
    }

    fn resize(self: Arc<Self>, capacity: usize) {
        let threads = self.results.resize(capacity);
        self.put(threads);
    }

    fn end(&self, workers: &Workers, exit: GreenletExit, _was_admitted: bool) {
        self.break_off(exit, 1);
        workers.end_turn();
    }
}

impl<I, F, T> Source<T> for MapJob<I, F, T>
where
    I: Iterator<Item: Send + 'static> + Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    fn results(&self) -> &Results<T> {
        &self.results
    }

    fn assist(&self) -> bool {
        let opened = self.results.open_in_place();
        if opened {
            self.as_greenlets(true);
        }
        opened
    }

    fn put(self: Arc<Self>, threads: usize) {
        let workers = Arc::clone(&self.workers);
        workers.push_turns(&(self as Arc<dyn Work>), threads);
    }
}

/// Dropped with the last of the map's threads, where a panic of a destructor has no reader.
impl<I: Iterator, F, T> Drop for MapJob<I, F, T> {
    fn drop(&mut self) {
        let func = self.func.take();
        drop_contained(func);
        let input = self.input.items.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (items, ahead) = (input.items.take(), input.ahead.take());
        drop_contained(ahead);
        drop_contained(items);
    }
}
