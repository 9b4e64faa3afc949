//! [`TryImap`]: the results of a map whose tasks return a `Result`.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::{ItemError, ItemStream, Read, TaskError};
use crate::Failure;

/// The result of one item: its value, or the error with the item's index and the reason.
pub(super) type ItemResult<T, E> = Result<T, ItemError<TaskError<E>>>;

/// The results of a running map whose tasks return a `Result`, one by one: a stream. Each item is
/// one `Result`, for the task's own error and for its failure.
///
/// After an error the stream goes on. Dropping it takes no further items, and ends running items if
/// they can be ended; [`detach`](Self::detach) lets the map run on. [`ItemStream`] has an example.
#[must_use = "dropping a stream kills its map: read it, or call `detach()`"]
pub struct TryImap<S> {
    imap: S,
}

impl<S, T, E> TryImap<S>
where
    S: ItemStream<Output = Result<T, E>>,
{
    /// Wraps the results of `imap`.
    pub fn new(imap: S) -> Self {
        Self { imap }
    }

    /// How many times items were tried again so far; see [`Retry`](super::Retry).
    pub fn retries(&self) -> usize {
        self.imap.retries()
    }

    /// Detaches the map: it runs to the end of its input without a reader, and drops values and
    /// errors. It keeps its pool alive until then.
    pub fn detach(self) {
        self.imap.detach();
    }

    /// Waits for the next result; `None` at the end. The same as `StreamExt::next`, without the
    /// trait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[expect(clippy::should_implement_trait, reason = "streams use this name")]
    pub fn next(&mut self) -> impl Future<Output = Option<ItemResult<T, E>>> {
        let mut read = Read::of(&mut self.imap);
        poll_fn(move |cx| Pin::new(&mut read).poll(cx).map(|next| next.map(item_result)))
    }

    pub(super) fn poll_indexed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(usize, ItemResult<T, E>)>> {
        let next = ready!(self.imap.poll_indexed(cx));
        Poll::Ready(next.map(|(index, result)| (index, item_result((index, result)))))
    }

    /// Kills what is running, and waits until everything that the map started has finished.
    pub(super) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.imap.poll_stop(cx)
    }
}

impl<S, T, E> Stream for TryImap<S>
where
    S: ItemStream<Output = Result<T, E>>,
{
    type Item = ItemResult<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(ready!(self.poll_indexed(cx)).map(|(_, result)| result))
    }
}

fn item_result<T, E>((index, result): (usize, Result<Result<T, E>, Failure>)) -> ItemResult<T, E> {
    let result = match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(TaskError::Returned(error)),
        Err(failure) => Err(TaskError::Failed(failure)),
    };
    result.map_err(|error| ItemError::new(index, error))
}

/// No field is structurally pinned.
impl<S> Unpin for TryImap<S> {}

impl<S: fmt::Debug> fmt::Debug for TryImap<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryImap").field(&self.imap).finish()
    }
}
