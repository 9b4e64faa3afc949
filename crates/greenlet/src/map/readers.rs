//! [`ItemStream`]: the results of a running map; [`Map`] and [`Indexed`], its readers.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::ItemError;
use crate::Failure;

/// The next result of a map, with the index of its item; `None` at the end.
pub type NextItem<T> = Option<(usize, Result<T, Failure>)>;

/// The results of a running map, each with the index of its item in the input. For containers: a
/// container implements it for its stream, and gets the readers of this module.
///
/// ```
/// use std::collections::VecDeque;
/// use std::task::{Context, Poll};
///
/// use spinney_greenlet::map::{ItemStream, Map, NextItem, TryImap, TryMap};
///
/// /// The results of a map that has finished.
/// struct Done<T>(VecDeque<(usize, T)>);
///
/// impl<T> ItemStream for Done<T> {
///     type Output = T;
///
///     fn poll_indexed(&mut self, _cx: &mut Context<'_>) -> Poll<NextItem<T>> {
///         Poll::Ready(self.0.pop_front().map(|(index, value)| (index, Ok(value))))
///     }
///
///     fn poll_stop(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
///         self.0.clear();
///         Poll::Ready(())
///     }
///
///     fn rest(&mut self) {}
///
///     fn retries(&self) -> usize {
///         0
///     }
///
///     fn detach(self) {}
///
///     fn leave(self) {}
/// }
///
/// spinney_hub::block_on(async {
///     let list = Map::new(Done([(0, "zero"), (1, "one")].into()));
///     assert_eq!(list.await.unwrap(), ["zero", "one"]);
///
///     let mut parsed = TryImap::new(Done([(0, "7".parse::<u8>()), (1, "x".parse())].into()));
///     assert_eq!(parsed.next().await.unwrap().unwrap(), 7);
///     let error = parsed.next().await.unwrap().unwrap_err();
///     assert_eq!(error.to_string(), "item 1 failed: invalid digit found in string");
///
///     let done = || TryImap::new(Done([(1, Err("no luck")), (0, Ok(7))].into()));
///     assert_eq!(TryMap::new(done()).await.unwrap_err().index(), 1);
///     assert_eq!(TryMap::new(done()).collect_all().await.len(), 2);
///     assert_eq!(TryMap::new(done()).first_success().await.unwrap(), 7);
/// });
/// ```
#[doc(alias = "async_stream")]
pub trait ItemStream {
    /// The type that the function of the map returns.
    type Output;

    /// Takes the next result; `None` at the end, and at every call after that.
    fn poll_indexed(&mut self, cx: &mut Context<'_>) -> Poll<NextItem<Self::Output>>;

    /// Stops the map: takes no further items, ends running items if they can be ended, and is ready
    /// when everything that the map started has finished.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Called when a pending read is dropped.
    fn rest(&mut self);

    /// How many times items were tried again so far; see [`Retry`](super::Retry).
    fn retries(&self) -> usize;

    /// Detaches the map: it runs to the end of its input without a reader.
    fn detach(self);

    /// Called when the reader of a [list](Map) leaves after a failure.
    fn leave(self);
}

/// Converts a result to the item type of a stream: a failure carries the index of its item.
///
/// # Errors
///
/// The failure of the item, with its index.
pub fn item_result<T>((index, result): (usize, Result<T, Failure>)) -> Result<T, ItemError> {
    result.map_err(|failure| ItemError::new(index, failure))
}

/// One read of an [`ItemStream`], in progress: a future of the next result, with the index of its
/// item. Dropping it loses nothing; it calls [`ItemStream::rest`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Read<'a, S: ItemStream>(&'a mut S);

impl<'a, S: ItemStream> Read<'a, S> {
    /// Reads the next result of `stream`.
    pub fn of(stream: &'a mut S) -> Self {
        Self(stream)
    }
}

impl<S: ItemStream> Future for Read<'_, S> {
    type Output = NextItem<S::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_indexed(cx)
    }
}

impl<S: ItemStream> Drop for Read<'_, S> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl<S: ItemStream + fmt::Debug> fmt::Debug for Read<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Read").field(&self.0).finish()
    }
}

/// The results of a running map, each with the index of its item in the input: a stream. Dropping
/// it drops the underlying stream.
#[must_use = "dropping a stream ends its map: read it"]
pub struct Indexed<S> {
    imap: S,
}

impl<S: ItemStream> Indexed<S> {
    /// The results of `imap`, each with the index of its item.
    pub fn new(imap: S) -> Self {
        Self { imap }
    }

    /// Waits for the next result, with the index of its item; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[expect(clippy::should_implement_trait, reason = "streams use this name")]
    pub fn next(&mut self) -> impl Future<Output = NextItem<S::Output>> {
        Read::of(&mut self.imap)
    }
}

impl<S: ItemStream> Stream for Indexed<S> {
    type Item = (usize, Result<S::Output, Failure>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.imap.poll_indexed(cx)
    }
}

/// No field is structurally pinned.
impl<S> Unpin for Indexed<S> {}

impl<S: fmt::Debug> fmt::Debug for Indexed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexed").field("imap", &self.imap).finish()
    }
}

/// All results of a running map: a future of a list. Dropping it unfinished drops the underlying
/// stream.
///
/// Of several failures it returns that of the first item in input order, once all items before it
/// have finished.
#[must_use = "dropping a map ends it: await it"]
pub struct Map<T, S> {
    /// `None` once it has finished.
    stream: Option<S>,
    list: Vec<T>,
}

impl<T, S: ItemStream<Output = T>> Map<T, S> {
    /// Collects all results of `stream`, which yields them in input order.
    pub fn new(stream: S) -> Self {
        Self { stream: Some(stream), list: Vec::new() }
    }
}

/// # Panics
///
/// Panics if it is polled again after it has finished.
impl<T, S: ItemStream<Output = T>> Future for Map<T, S> {
    type Output = Result<Vec<T>, ItemError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let stream = this.stream.as_mut().expect("a map is polled until it is done");
            match ready!(stream.poll_indexed(cx)).map(item_result) {
                Some(Ok(value)) => this.list.push(value),
                Some(Err(failure)) => {
                    this.stream.take().into_iter().for_each(S::leave);
                    return Poll::Ready(Err(failure));
                }
                None => {
                    this.stream = None;
                    return Poll::Ready(Ok(std::mem::take(&mut this.list)));
                }
            }
        }
    }
}

/// No field is structurally pinned.
impl<T, S> Unpin for Map<T, S> {}

impl<T, S: fmt::Debug> fmt::Debug for Map<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("read", &self.list.len()).field("rest", &self.stream).finish()
    }
}
