//! [`TryMap`]: all results of a map whose tasks return a `Result`, collected by a policy.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::try_imap::{ItemResult, TryImap};
use super::{ItemError, ItemStream, TaskError};

/// A running map of tasks that return a `Result`: a future of all values in order, or of the first
/// error. After an error no further item starts, and the others are killed.
///
/// When it completes, everything that it started has finished: also a killed item with its cleanup
/// in a [`shield`](crate::shield), and a closure on a thread, which cannot be killed.
/// [`within`](spinney_hub::Within::within) limits a wait that may not end. Dropping the map
/// unfinished drops its [stream](TryImap), without waiting. [`ItemStream`] has an example.
///
/// Other policies are methods: [`collect_all`](Self::collect_all),
/// [`first_success`](Self::first_success).
#[must_use = "dropping a map kills it: await it"]
pub struct TryMap<T, E, S> {
    stream: Until<S>,
    /// The values so far, at the index of their items.
    values: Vec<Option<T>>,
    /// The error that ends the map.
    error: Option<ItemError<TaskError<E>>>,
}

impl<T, E, S: ItemStream<Output = Result<T, E>>> TryMap<T, E, S> {
    /// Collects all results of `stream`.
    pub fn new(stream: TryImap<S>) -> Self {
        Self { stream: Until(Some(stream)), values: Vec::new(), error: None }
    }

    /// Lets all items finish instead, and returns the result of each, in order.
    pub fn collect_all(self) -> CollectAll<T, E, S> {
        CollectAll { stream: self.stream, list: Vec::new() }
    }

    /// Returns the first value instead, after killing the other items and waiting until they have
    /// finished; or, if no item returns a value, all errors in order.
    pub fn first_success(self) -> FirstSuccess<T, E, S> {
        FirstSuccess { stream: self.stream, errors: Vec::new(), value: None }
    }
}

/// # Panics
///
/// Panics if it is polled again after it has finished.
impl<T, E, S: ItemStream<Output = Result<T, E>>> Future for TryMap<T, E, S> {
    type Output = Result<Vec<T>, ItemError<TaskError<E>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { stream, values, error } = &mut *self;
        let put_value = |index, result| match result {
            Ok(value) => {
                put(values, index, value);
                None
            }
            Err(error) => Some(error),
        };
        Poll::Ready(match ready!(stream.poll_until(cx, error, put_value)) {
            Some(error) => Err(error),
            None => Ok(in_order(values)),
        })
    }
}

/// The future of [`TryMap::collect_all`]. Dropping it unfinished kills what is running.
#[must_use = "dropping a map kills it: await it"]
pub struct CollectAll<T, E, S> {
    stream: Until<S>,
    list: Vec<Option<ItemResult<T, E>>>,
}

/// # Panics
///
/// Panics if it is polled again after it has finished.
impl<T, E, S: ItemStream<Output = Result<T, E>>> Future for CollectAll<T, E, S> {
    type Output = Vec<Result<T, ItemError<TaskError<E>>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { stream, list } = &mut *self;
        let put_result = |index, result| {
            put(list, index, result);
            None::<()>
        };
        ready!(stream.poll_until(cx, &mut None, put_result));
        Poll::Ready(in_order(list))
    }
}

/// The future of [`TryMap::first_success`]. Dropping it unfinished kills what is running.
#[must_use = "dropping a map kills it: await it"]
pub struct FirstSuccess<T, E, S> {
    stream: Until<S>,
    errors: Vec<Option<ItemError<TaskError<E>>>>,
    /// The value that ends the map.
    value: Option<T>,
}

/// # Panics
///
/// Panics if it is polled again after it has finished.
impl<T, E, S: ItemStream<Output = Result<T, E>>> Future for FirstSuccess<T, E, S> {
    type Output = Result<T, Vec<ItemError<TaskError<E>>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { stream, errors, value } = &mut *self;
        let put_error = |index, result| match result {
            Ok(value) => Some(value),
            Err(error) => {
                put(errors, index, error);
                None
            }
        };
        Poll::Ready(match ready!(stream.poll_until(cx, value, put_error)) {
            Some(value) => Ok(value),
            None => Err(in_order(errors)),
        })
    }
}

/// The results of a map, read to the end or until one of them decides. `None` once the map has
/// finished.
struct Until<S>(Option<TryImap<S>>);

impl<S> Until<S> {
    /// Passes each result to `decide`. The first value that `decide` returns is stored in `decided`
    /// and kills the other items; it is returned when they have finished. `None` at the end of the
    /// map.
    fn poll_until<T, E, D>(
        &mut self,
        cx: &mut Context<'_>,
        decided: &mut Option<D>,
        mut decide: impl FnMut(usize, ItemResult<T, E>) -> Option<D>,
    ) -> Poll<Option<D>>
    where
        S: ItemStream<Output = Result<T, E>>,
    {
        let stream = self.0.as_mut().expect("a map is not polled after it has finished");
        while decided.is_none() {
            match ready!(stream.poll_indexed(cx)) {
                Some((index, result)) => *decided = decide(index, result),
                None => break,
            }
        }
        if decided.is_some() {
            ready!(stream.poll_stop(cx));
        }
        self.0 = None;
        Poll::Ready(decided.take())
    }
}

fn put<V>(places: &mut Vec<Option<V>>, index: usize, value: V) {
    if places.len() <= index {
        places.resize_with(index + 1, || None);
    }
    places[index] = Some(value);
}

fn in_order<V>(places: &mut Vec<Option<V>>) -> Vec<V> {
    std::mem::take(places).into_iter().flatten().collect()
}

/// No field is structurally pinned.
impl<T, E, S> Unpin for TryMap<T, E, S> {}
impl<T, E, S> Unpin for CollectAll<T, E, S> {}
impl<T, E, S> Unpin for FirstSuccess<T, E, S> {}

impl<T, E, S: fmt::Debug> fmt::Debug for TryMap<T, E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryMap").field(&self.stream.0).finish()
    }
}

impl<T, E, S: fmt::Debug> fmt::Debug for CollectAll<T, E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CollectAll").field(&self.stream.0).finish()
    }
}

impl<T, E, S: fmt::Debug> fmt::Debug for FirstSuccess<T, E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FirstSuccess").field(&self.stream.0).finish()
    }
}
