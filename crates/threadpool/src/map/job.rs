//! [`MapJob`]: what the threads of a map share, and what each of them does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use spinney_greenlet::{Failure, GreenletExit};
use spinney_hub::{Hub, contain};

use super::results::Results;
use crate::call::run_as_greenlet;
use crate::work::Work;
use crate::workers::Workers;

pub(crate) struct MapJob<I, F, T> {
    /// There until it is dropped.
    func: Option<F>,
    input: Mutex<Input<I>>,
    results: Results<T>,
    /// The hub of the caller, on which the items are.
    hub: Option<Hub>,
}

struct Input<I> {
    /// None when it is exhausted.
    items: Option<I>,
    /// The index of the next item.
    next: usize,
}

/// What the reader of a map knows of it.
pub(crate) trait Source<T>: Send + Sync {
    fn results(&self) -> &Results<T>;

    /// Runs one item on this thread, if one may be run; says whether it did.
    fn assist(&self) -> bool;

    /// For the pool's queue.
    fn as_work(self: Arc<Self>) -> Arc<dyn Work>;
}

impl<I, F, T> MapJob<I, F, T> {
    pub(crate) fn new(func: F, items: I, results: Results<T>) -> Self {
        let input = Mutex::new(Input { items: Some(items), next: 0 });
        Self { func: Some(func), input, results, hub: Hub::try_current() }
    }
}

impl<I: Iterator, F: Fn(I::Item) -> T, T> MapJob<I, F, T> {
    /// Takes the next item from the input, for one that was opened, and runs it. If there is none,
    /// the results are told; if the input panics, that is the last result.
    fn run_item(&self) -> Option<(usize, Result<T, Failure>)> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let pulled = catch_unwind(AssertUnwindSafe(|| input.items.as_mut()?.next()));
        let index = input.next;
        input.next += 1;
        if let Ok(Some(item)) = pulled {
            drop(input);
            let func = self.func.as_ref().expect("it is there until the job is dropped");
            let result = catch_unwind(AssertUnwindSafe(|| func(item)));
            return Some((index, result.map_err(Failure::panicked)));
        }
        let spent = input.items.take();
        drop(input);
        contain(|| drop(spent));
        match pulled {
            Ok(_) => self.results.close_input(),
            Err(payload) => {
                self.results.exhaust();
                self.results.deliver(index, Err(Failure::panicked(payload)));
            }
        }
        None
    }

    /// Runs items for as long as there are any that may be run; true if there may be more, but
    /// others wait for this thread.
    fn run_items(&self, workers: &Workers) -> bool {
        let mut opened = self.results.open();
        while opened {
            let Some((index, result)) = self.run_item() else {
                self.results.leave();
                return false;
            };
            if workers.is_wanted() {
                self.results.deliver(index, result);
                return true;
            }
            opened = self.results.deliver_and_open(index, result);
        }
        false
    }
}

impl<I, F, T> Work for MapJob<I, F, T>
where
    I: Iterator + Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    fn run(self: Arc<Self>, workers: &Arc<Workers>) {
        let mut others_wait = false;
        let mut run = || run_as_greenlet(|| others_wait = self.run_items(workers));
        match &self.hub {
            Some(hub) => hub.enter(run),
            None => run(),
        }
        if others_wait {
            workers.requeue(self);
        } else {
            drop(self);
            workers.unfinished.finish(false);
        }
    }

    fn refuse(&self, workers: &Workers, exit: GreenletExit) -> bool {
        self.results.break_off(Failure::Killed(exit));
        workers.unfinished.finish(false);
        true
    }

    fn is_void(&self) -> bool {
        false
    }
}

impl<I, F, T> Source<T> for MapJob<I, F, T>
where
    I: Iterator + Send + 'static,
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
        if let Some((index, result)) = self.run_item() {
            self.results.deliver(index, result);
        }
        true
    }

    fn as_work(self: Arc<Self>) -> Arc<dyn Work> {
        self
    }
}

/// A job goes with the last of its threads, where a destructor that panics has nobody to tell.
impl<I, F, T> Drop for MapJob<I, F, T> {
    fn drop(&mut self) {
        let func = self.func.take();
        contain(|| drop(func));
        let items = self.input.get_mut().unwrap_or_else(PoisonError::into_inner).items.take();
        contain(|| drop(items));
    }
}
