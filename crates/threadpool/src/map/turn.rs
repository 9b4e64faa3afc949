//! [`MapJob`]: what the threads of a map share, and what each of them does in its turn.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use futures_lite::future;
use spinney_greenlet::map::Again;
use spinney_greenlet::{Birth, Failure, GreenletExit, Inherited, ItemGreenlets, pair_items};
use spinney_hub::{Hub, contain, require_threads, sleep};

use super::results::Results;
use crate::ThreadPoolClosed;
use crate::job::{Call, on_hub, run_to_end};
use crate::result::wait_until;
use crate::workers::{Work, Workers};

pub(crate) struct MapJob<I: Iterator, F, T> {
    /// There until this is dropped.
    func: Option<F>,
    input: CachePadded<Feed<I>>,
    results: Results<T>,
    items: Items<I::Item, T>,
    /// The hub of the caller, on which the items are.
    hub: Option<Hub>,
    /// Which greenlet called the map: the parent of the items.
    birth: Birth,
    workers: Arc<Workers>,
}

/// How the items of a map are run.
pub(crate) struct Items<A, T> {
    pub(crate) again: Option<Again<A>>,
    /// Whether what the function returned is an error, to be tried again.
    pub(crate) is_error: fn(&T) -> bool,
    /// The locals that each item starts with.
    pub(crate) locals: Option<Inherited>,
}

/// The input, in a line of the cache of its own: threads that read the rest do not meet those that take
/// items.
struct Feed<I: Iterator> {
    items: Mutex<Input<I>>,
    /// The index of the next item, for a look without the lock, which is held while the input is asked for
    /// an item.
    next: AtomicUsize,
}

/// The items that are left. One is taken ahead, so that the end of the input is known when it is reached.
struct Input<I: Iterator> {
    /// None once the input is over.
    items: Option<I>,
    ahead: Option<I::Item>,
    /// The panic of the input.
    failure: Option<Failure>,
}

impl<I: Iterator> Input<I> {
    /// Takes the next item ahead. Returns whether there is one.
    #[inline]
    fn look_ahead(&mut self) -> bool {
        let Self { items: Some(items), ahead, failure } = self else { return false };
        let look = || *ahead = items.next();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(look)) {
            *failure = Some(Failure::panicked(payload));
        }
        ahead.is_some()
    }
}

/// What the reader of a map knows of it.
pub(crate) trait Source<T>: Send + Sync {
    fn results(&self) -> &Results<T>;

    /// Runs one item on this thread, if one may be run; returns whether it did.
    fn assist(&self) -> bool;

    /// Puts the map into the queue of its pool, once for each of `threads`.
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
                items: Mutex::new(Input { items: Some(input), ahead: None, failure: None }),
                next: AtomicUsize::new(0),
            }),
            results,
            items,
            hub: Hub::try_current(),
            birth: Birth::here(at),
            workers: Arc::clone(workers),
        });
        let has_items = job.input().look_ahead();
        if !has_items {
            job.end_input();
        } else if !job.results.begin() {
            job.break_off(GreenletExit::because(ThreadPoolClosed), 0);
        }
        let threads = job.results.take_on();
        Arc::clone(&job).put(threads);
        job
    }
}

impl<I: Iterator, F: Fn(I::Item) -> T, T> MapJob<I, F, T> {
    /// Runs items for as long as there are any that may be run; true if there may be more, but others wait
    /// for this thread.
    fn run_items(&self, greenlets: &mut ItemGreenlets) -> bool {
        let mut opened = self.results.open();
        while opened {
            let Some((index, item)) = self.next_item(1) else { return false };
            let done = (index, self.run_item(index, item, greenlets));
            if self.workers.is_wanted_beside(|| self.results.queued_turns()) {
                self.results.deliver(done);
                return true;
            }
            opened = self.results.deliver_and_open(done);
        }
        false
    }

    /// Takes the next item from the input, for one that was opened. If there is none, `threads` threads
    /// leave the map.
    #[inline]
    fn next_item(&self, threads: usize) -> Option<(usize, I::Item)> {
        let mut input = self.input();
        let Some(item) = input.ahead.take() else {
            drop(input);
            self.results.leave(threads);
            return None;
        };
        // It is written under this lock alone.
        let index = self.input.next.load(Relaxed);
        self.input.next.store(index + 1, Relaxed);
        let is_over = !input.look_ahead();
        drop(input);
        if is_over {
            self.end_input();
        }
        Some((index, item))
    }

    /// The input is over. It is dropped under no lock.
    #[cold]
    fn end_input(&self) {
        let mut input = self.input();
        let (items, failure) = (input.items.take(), input.failure.take());
        drop(input);
        contain(|| drop(items));
        match failure {
            Some(failure) => self.results.break_off(self.next_index(), failure, 0),
            None => self.results.exhaust(),
        }
    }

    /// Runs an item as the current greenlet of this thread.
    #[inline]
    fn run_item(
        &self,
        index: usize,
        item: I::Item,
        greenlets: &mut ItemGreenlets,
    ) -> Result<T, Failure> {
        greenlets.start(|_, _| ());
        if let Some(locals) = &self.items.locals {
            locals.apply();
        }
        self.results.start_clock(index);
        let result = match &self.items.again {
            None => self.call(item),
            Some(again) => {
                let tries = || self.try_item(again, index, item, greenlets);
                catch_unwind(AssertUnwindSafe(tries))
                    .unwrap_or_else(|payload| Err(Failure::panicked(payload)))
            }
        };
        greenlets.finish(result, |_, _| ())
    }

    fn call(&self, item: I::Item) -> Result<T, Failure> {
        let func = self.func.as_ref().expect("it is there until this is dropped");
        catch_unwind(AssertUnwindSafe(|| func(item))).map_err(Failure::panicked)
    }

    /// Runs an item until it succeeds, or there are no more tries.
    fn try_item(
        &self,
        again: &Again<I::Item>,
        index: usize,
        item: I::Item,
        greenlets: &ItemGreenlets,
    ) -> Result<T, Failure> {
        for tried in 1..=again.times() {
            let result = self.call(again.clone_item(&item));
            let failed = result.as_ref().map_or(true, self.items.is_error);
            let may_go_on = || !greenlets.is_killed() && self.results.is_in_time(index);
            if !failed || !may_go_on() || !self.rest(again.pause(index, tried)) {
                return result;
            }
            self.results.retries.fetch_add(1, Relaxed);
            self.results.start_clock(index);
        }
        self.call(item)
    }

    /// Blocks this thread for the time before a further try. Returns false if the pool is killed meanwhile.
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

    /// Runs `items` on this thread, each as a greenlet of its own.
    fn as_greenlets<R>(&self, items: impl FnOnce(&mut ItemGreenlets) -> R) -> Option<R> {
        let mut done = None;
        let slot = &mut done;
        let run = |mut greenlets| Call::of(move || *slot = Some(items(&mut greenlets)));
        let (task, _) = pair_items(None, self.birth, run, |_| ());
        run_to_end(task);
        done
    }

    /// The map ends before its next item. `threads` threads have left.
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
        let others_wait = self.results.begin_turn(key)
            && on_hub(self.hub.as_ref(), || self.as_greenlets(|items| self.run_items(items)))
                .unwrap_or_default();
        if others_wait {
            workers.requeue(self);
        } else {
            drop(self);
            workers.end_turn();
        }
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
        if !self.results.open_in_place() {
            return false;
        }
        self.as_greenlets(|greenlets| {
            if let Some((index, item)) = self.next_item(0) {
                self.results.deliver((index, self.run_item(index, item, greenlets)));
            }
        });
        true
    }

    fn put(self: Arc<Self>, threads: usize) {
        let workers = Arc::clone(&self.workers);
        workers.push_turns(&(self as Arc<dyn Work>), threads);
    }
}

/// It is dropped with the last of its threads, where a panic of a destructor has no reader.
impl<I: Iterator, F, T> Drop for MapJob<I, F, T> {
    fn drop(&mut self) {
        let func = self.func.take();
        contain(|| drop(func));
        let input = self.input.items.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (items, ahead) = (input.items.take(), input.ahead.take());
        contain(|| drop(ahead));
        contain(|| drop(items));
    }
}
