//! [`Job`]: what a map's feeder and workers share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use spinney_greenlet::Failure;

use super::results::Results;

pub(crate) struct Job<I, F, T, X> {
    pub(crate) func: F,
    pub(crate) results: Arc<Results<T, X>>,
    input: Mutex<Input<I>>,
}

struct Input<I> {
    /// None when it is exhausted.
    items: Option<I>,
    /// The index of the next item.
    next: usize,
}

impl<I: Iterator, F, T, X> Job<I, F, T, X> {
    pub(crate) fn new(func: F, items: I, results: Arc<Results<T, X>>) -> Self {
        Self { func, results, input: Mutex::new(Input { items: Some(items), next: 0 }) }
    }

    /// Takes the next item from the input, for one that was opened. If there is none, the results
    /// are told; if the input panics, that is the last result.
    pub(crate) fn pull(&self) -> Option<(usize, I::Item)> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let pulled = catch_unwind(AssertUnwindSafe(|| {
            let item = input.items.as_mut()?.next();
            if item.is_none() {
                input.items = None;
            }
            item
        }));
        let index = input.next;
        match pulled {
            Ok(Some(item)) => {
                input.next += 1;
                return Some((index, item));
            }
            Ok(None) => {
                drop(input);
                self.results.close_input();
            }
            Err(payload) => {
                input.items = None;
                input.next += 1;
                drop(input);
                self.results.exhaust();
                self.results.deliver(index, Err(Failure::panicked(payload)));
            }
        }
        None
    }
}
