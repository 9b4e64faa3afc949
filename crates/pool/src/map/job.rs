//! [`Job`]: what a map's feeder and workers share.

use std::ops::DerefMut;
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

impl<S: Source, F, T, X> Job<S, F, T, X> {
    pub(crate) fn new(
        func: F,
        items: S,
        terms: Option<Terms<S::Item, T>>,
        results: Arc<Results<T, X>>,
    ) -> Self {
        let input = Mutex::new(Input { items: Some(Box::new(items)), next: 0 });
        Self { func: Some(func), terms, results, input }
    }

    /// The function that makes a future of an item.
    pub(crate) fn func(&self) -> &F {
        self.func.as_ref().expect("it is there until the job is dropped")
    }

    /// Takes the next item from the input. If there is none, or the input panics, it is over; the
    /// panic is then an item's result.
    pub(crate) fn poll_pull(&self, cx: &mut Context<'_>) -> Poll<Pulled<S::Item>> {
        poll_pull(self.lock(), cx)
    }

    /// Takes the next item from an input that does not wait, for one that was opened. If there is
    /// none, the results are told.
    pub(crate) fn pull(&self, cx: &mut Context<'_>) -> Option<(usize, S::Item)> {
        match self.poll_pull(cx) {
            Poll::Ready(Pulled::Item(index, item)) => Some((index, item)),
            none => {
                self.end_input(none);
                None
            }
        }
    }

    /// Tells the results that there was no item for the one that was opened last.
    #[cold]
    pub(crate) fn end_input(&self, pulled: Poll<Pulled<S::Item>>) {
        let Poll::Ready(Pulled::Failed(index, failure)) = pulled else {
            return self.results.close_input();
        };
        self.results.exhaust();
        self.results.deliver_refused((index, failure));
    }

    /// The input, for one that has it to itself until it puts that back.
    pub(crate) fn take_input(&self) -> Input<S> {
        std::mem::take(&mut *self.lock())
    }

    pub(crate) fn put_back(&self, input: Input<S>) {
        *self.lock() = input;
    }

    /// Ends the map after what is running, with this as the result of the next item.
    pub(crate) fn refuse(&self, failure: Failure) {
        let next = {
            let mut input = self.lock();
            if input.items.is_none() {
                return;
            }
            input.next += 1;
            input.next - 1
        };
        self.results.refuse(next, failure);
    }

    fn lock(&self) -> MutexGuard<'_, Input<S>> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Input<S> {
    /// None when it is exhausted.
    items: Option<Box<S>>,
    /// The index of the next item.
    next: usize,
}

/// What came out of the input, each with its index.
pub(crate) enum Pulled<A> {
    Item(usize, A),
    Failed(usize, Failure),
    End,
}

impl<S: Source> Input<S> {
    /// As [`Job::poll_pull`], for who has the input to itself.
    pub(crate) fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<Pulled<S::Item>> {
        poll_pull(self, cx)
    }
}

fn poll_pull<S: Source>(
    mut input: impl DerefMut<Target = Input<S>>,
    cx: &mut Context<'_>,
) -> Poll<Pulled<S::Item>> {
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

/// Drops what is left of the items, after the lock if there is one.
#[cold]
fn drop_items<S>(mut input: impl DerefMut<Target = Input<S>>) {
    let spent = input.items.take();
    drop(input);
    contain(|| drop(spent));
}

impl<S> Default for Input<S> {
    fn default() -> Self {
        Self { items: None, next: 0 }
    }
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
