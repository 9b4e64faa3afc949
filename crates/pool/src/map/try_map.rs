//! [`TryMap`]: a map of tasks that return a `Result`.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::imap::Imap;
use super::{ItemError, TaskError};

/// A running map of tasks that return a `Result`: a future of all values in order, or of the first
/// error that comes. Then the others are killed. Dropping it unfinished kills them, too.
///
/// Other policies go by name: [`collect_all`](Self::collect_all),
/// [`first_success`](Self::first_success).
#[must_use = "dropping a map kills it: await it"]
pub struct TryMap<T, E, X = spinney_hub::Hub> {
    outcomes: Outcomes<T, E, X>,
    /// The values so far, each in its place.
    values: Vec<Option<T>>,
}

/// What comes of one item.
type Outcome<T, E> = Result<T, ItemError<TaskError<E>>>;

impl<T, E, X> TryMap<T, E, X> {
    pub(crate) fn new(imap: Imap<Result<T, E>, X>) -> Self {
        Self { outcomes: Outcomes { imap: Some(imap) }, values: Vec::new() }
    }

    /// Instead: lets all of them end, and gives what each came to, in order.
    ///
    /// ```
    /// # spinney_hub::block_on(async {
    /// let pool = spinney_pool::Pool::new(2);
    /// let parsed = pool.try_map(|text: &str| async { text.parse::<u8>() }, ["1", "x"]);
    /// let all = parsed.collect_all().await;
    /// assert!(all[0].is_ok() && all[1].is_err());
    /// # });
    /// ```
    pub fn collect_all(self) -> CollectAll<T, E, X> {
        CollectAll { outcomes: self.outcomes, list: Vec::new() }
    }

    /// Instead: gives the first value that comes, and kills the others; or, if there is none, all
    /// errors in order.
    ///
    /// ```
    /// # spinney_hub::block_on(async {
    /// let pool = spinney_pool::Pool::new(2);
    /// let parsed = pool.try_map(|text: &str| async { text.parse::<u8>() }, ["x", "7"]);
    /// assert_eq!(parsed.first_success().await.unwrap(), 7);
    /// # });
    /// ```
    pub fn first_success(self) -> FirstSuccess<T, E, X> {
        FirstSuccess { outcomes: self.outcomes, errors: Vec::new() }
    }
}

/// # Panics
///
/// If it is polled again after it was done.
impl<T, E, X> Future for TryMap<T, E, X> {
    type Output = Result<Vec<T>, ItemError<TaskError<E>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some((index, outcome)) = ready!(this.outcomes.poll_next(cx)) {
            match outcome {
                Ok(value) => put(&mut this.values, index, value),
                Err(error) => {
                    this.outcomes.imap = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(in_order(&mut this.values)))
    }
}

/// The future of [`TryMap::collect_all`]. Dropping it unfinished kills what is running.
#[must_use = "dropping a map kills it: await it"]
pub struct CollectAll<T, E, X = spinney_hub::Hub> {
    outcomes: Outcomes<T, E, X>,
    list: Vec<Option<Outcome<T, E>>>,
}

/// # Panics
///
/// If it is polled again after it was done.
impl<T, E, X> Future for CollectAll<T, E, X> {
    type Output = Vec<Outcome<T, E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some((index, outcome)) = ready!(this.outcomes.poll_next(cx)) {
            put(&mut this.list, index, outcome);
        }
        Poll::Ready(in_order(&mut this.list))
    }
}

/// The future of [`TryMap::first_success`]. Dropping it unfinished kills what is running.
#[must_use = "dropping a map kills it: await it"]
pub struct FirstSuccess<T, E, X = spinney_hub::Hub> {
    outcomes: Outcomes<T, E, X>,
    errors: Vec<Option<ItemError<TaskError<E>>>>,
}

/// # Panics
///
/// If it is polled again after it was done.
impl<T, E, X> Future for FirstSuccess<T, E, X> {
    type Output = Result<T, Vec<ItemError<TaskError<E>>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some((index, outcome)) = ready!(this.outcomes.poll_next(cx)) {
            match outcome {
                Ok(value) => {
                    this.outcomes.imap = None;
                    return Poll::Ready(Ok(value));
                }
                Err(error) => put(&mut this.errors, index, error),
            }
        }
        Poll::Ready(Err(in_order(&mut this.errors)))
    }
}

/// What the items come to, as they end.
struct Outcomes<T, E, X> {
    /// None once it has ended.
    imap: Option<Imap<Result<T, E>, X>>,
}

impl<T, E, X> Outcomes<T, E, X> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Outcome<T, E>)>> {
        let imap = self.imap.as_mut().expect("a map is polled until it is done");
        let Some((index, result)) = ready!(imap.poll_indexed(cx)) else {
            self.imap = None;
            return Poll::Ready(None);
        };
        let outcome = match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(TaskError::Returned(error)),
            Err(failure) => Err(TaskError::Failed(failure)),
        };
        let outcome = outcome.map_err(|error| ItemError::new(index, error));
        Poll::Ready(Some((index, outcome)))
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

/// Nothing of them is pinned in place.
impl<T, E, X> Unpin for TryMap<T, E, X> {}
impl<T, E, X> Unpin for CollectAll<T, E, X> {}
impl<T, E, X> Unpin for FirstSuccess<T, E, X> {}

impl<T, E, X> fmt::Debug for TryMap<T, E, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryMap").field(&self.outcomes.imap).finish()
    }
}

impl<T, E, X> fmt::Debug for CollectAll<T, E, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CollectAll").field(&self.outcomes.imap).finish()
    }
}

impl<T, E, X> fmt::Debug for FirstSuccess<T, E, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FirstSuccess").field(&self.outcomes.imap).finish()
    }
}
