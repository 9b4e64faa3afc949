//! [`Job`]: what a map's feeder and workers share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use spinney_greenlet::Failure;
use spinney_hub::contain;

use super::results::Results;
use super::source::Source;
use super::terms::Terms;

pub(crate) struct Job<S: Source, F, T, X> {
    /// There until it is dropped.
    func: Option<F>,
    /// None if there is no more to an item than to run it.
    pub(crate) terms: Option<Terms<S::Item, T>>,
    pub(crate) results: Arc<Results<T, X>>,
    input: Mutex<Input<S>>,
}

struct Input<S> {
    /// None when it is exhausted.
    items: Option<S>,
    /// The index of the next item.
    next: usize,
}

impl<S: Source, F, T, X> Job<S, F, T, X> {
    pub(crate) fn new(
        func: F,
        items: S,
        terms: Option<Terms<S::Item, T>>,
        results: Arc<Results<T, X>>,
    ) -> Self {
        let input = Mutex::new(Input { items: Some(items), next: 0 });
        Self { func: Some(func), terms, results, input }
    }

    /// The function that makes a future of an item.
    pub(crate) fn func(&self) -> &F {
        self.func.as_ref().expect("it is there until the job is dropped")
    }

    /// Takes the next item from the input. If there is none, or the input panics, it is over; the
    /// panic is then an item's result.
    pub(crate) fn poll_pull(&self, cx: &mut Context<'_>) -> Poll<Pulled<S::Item>> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let pulled = catch_unwind(AssertUnwindSafe(|| match &mut input.items {
            Some(items) => items.poll_next(cx),
            None => Poll::Ready(None),
        }));
        let index = input.next;
        Poll::Ready(match pulled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Some(item))) => {
                input.next += 1;
                Pulled::Item(index, item)
            }
            Ok(Poll::Ready(None)) => {
                drop_items(input);
                Pulled::End
            }
            Err(payload) => {
                drop_items(input);
                Pulled::Failed(index, Failure::panicked(payload))
            }
        })
    }

    /// Takes the next item from an input that does not wait, for one that was opened. If there is
    /// none, the results are told.
    pub(crate) fn pull(&self, cx: &mut Context<'_>) -> Option<(usize, S::Item)> {
        let failed = match self.poll_pull(cx) {
            Poll::Ready(Pulled::Item(index, item)) => return Some((index, item)),
            Poll::Ready(Pulled::Failed(index, failure)) => Some((index, failure)),
            Poll::Ready(Pulled::End) | Poll::Pending => None,
        };
        self.end_input(failed);
        None
    }

    #[cold]
    fn end_input(&self, failed: Option<(usize, Failure)>) {
        let Some((index, failure)) = failed else { return self.results.close_input() };
        self.results.exhaust();
        self.results.deliver(index, Err(failure));
    }

    /// Ends the map after what is running, with this as the result of the next item.
    pub(crate) fn refuse(&self, failure: Failure) {
        let next = {
            let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
            if input.items.is_none() {
                return;
            }
            input.next += 1;
            input.next - 1
        };
        self.results.refuse(next, failure);
    }
}

#[cold]
fn drop_items<S>(mut input: MutexGuard<'_, Input<S>>) {
    let spent = input.items.take();
    drop(input);
    contain(|| drop(spent));
}

/// What came out of the input, each with its index.
pub(crate) enum Pulled<A> {
    Item(usize, A),
    Failed(usize, Failure),
    End,
}

/// A job goes with the last of its tasks, where a destructor that panics has nobody to tell.
impl<S: Source, F, T, X> Drop for Job<S, F, T, X> {
    fn drop(&mut self) {
        let func = self.func.take();
        contain(|| drop(func));
        let items = self.input.get_mut().unwrap_or_else(PoisonError::into_inner).items.take();
        contain(|| drop(items));
    }
}
