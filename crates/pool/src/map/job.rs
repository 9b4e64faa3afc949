//! [`Job`]: what a map's feeder and workers share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use spinney_greenlet::Failure;
use spinney_hub::contain;

use super::results::Results;

pub(crate) struct Job<I, F, T, X> {
    /// There until it is dropped.
    func: Option<F>,
    pub(crate) results: Arc<Results<T, X>>,
    input: Mutex<Input<I>>,
}

struct Input<I> {
    /// None when it is exhausted.
    items: Option<I>,
    /// The index of the next item.
    next: usize,
}

impl<I, F, T, X> Job<I, F, T, X> {
    pub(crate) fn new(func: F, items: I, results: Arc<Results<T, X>>) -> Self {
        let input = Mutex::new(Input { items: Some(items), next: 0 });
        Self { func: Some(func), results, input }
    }

    /// The function that makes a future of an item.
    pub(crate) fn func(&self) -> &F {
        self.func.as_ref().expect("it is there until the job is dropped")
    }
}

impl<I: Iterator, F, T, X> Job<I, F, T, X> {
    /// Takes the next item from the input, for one that was opened. If there is none, the results
    /// are told; if the input panics, that is the last result.
    pub(crate) fn pull(&self) -> Option<(usize, I::Item)> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let pulled = catch_unwind(AssertUnwindSafe(|| input.items.as_mut()?.next()));
        let index = input.next;
        input.next += 1;
        if let Ok(Some(item)) = pulled {
            return Some((index, item));
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
}

/// A job goes with the last of its tasks, where a destructor that panics has nobody to tell.
impl<I, F, T, X> Drop for Job<I, F, T, X> {
    fn drop(&mut self) {
        let func = self.func.take();
        contain(|| drop(func));
        let items = self.input.get_mut().unwrap_or_else(PoisonError::into_inner).items.take();
        contain(|| drop(items));
    }
}
