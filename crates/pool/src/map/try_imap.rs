//! [`TryImap`]: the results of a map whose tasks return a `Result`.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use spinney_greenlet::Failure;
use spinney_hub::Executor;

use super::imap::Imap;
use super::{ItemError, TaskError};

/// The result of one item: its value, or the error that says which item failed and why.
pub(super) type ItemResult<T, E> = Result<T, ItemError<TaskError<E>>>;

/// The results of a running map whose tasks return a `Result`, one by one: a stream, as an
/// [`Imap`], but with one `Result` for what the task returned and for what became of it.
///
/// An error is an item's like any other: the stream goes on. It keeps its pool alive. Dropping it
/// takes no further items, and kills those that are running; [`detach`](Self::detach) lets them
/// run.
///
/// ```
/// use spinney_pool::Pool;
///
/// async fn parse(text: &str) -> Result<u8, std::num::ParseIntError> {
///     assert!(!text.is_empty(), "nothing to parse");
///     text.parse()
/// }
///
/// spinney_hub::block_on(async {
///     let pool = Pool::new(2);
///     let mut parsed = pool.try_imap(parse, ["7", "x", ""]);
///     assert_eq!(parsed.next().await.unwrap().unwrap(), 7);
///     assert!(parsed.next().await.unwrap().unwrap_err().returned().is_some());
///     assert!(parsed.next().await.unwrap().unwrap_err().panicked().is_some());
///     assert!(parsed.next().await.is_none());
/// });
/// ```
#[must_use = "dropping a stream kills its map: read it, or say `detach()`"]
pub struct TryImap<T, E, X: Executor = spinney_hub::Hub> {
    imap: Imap<Result<T, E>, X>,
}

impl<T, E, X: Executor> TryImap<T, E, X> {
    pub(super) fn new(imap: Imap<Result<T, E>, X>) -> Self {
        Self { imap }
    }

    /// How often an item was tried again so far; see [`Retry`](super::Retry).
    pub fn retries(&self) -> usize {
        self.imap.retries()
    }

    /// Lets the map run on without a reader, as [`Imap::detach`] does; errors are dropped as values
    /// are.
    pub fn detach(self) {
        self.imap.detach();
    }

    /// Waits for the next result; None when there will be no more. What `StreamExt::next` does,
    /// without the trait.
    ///
    /// # Cancel safety
    ///
    /// As [`Imap::next`]: nothing is lost when it is dropped.
    #[expect(clippy::should_implement_trait, reason = "it is the name that streams have for it")]
    pub fn next(&mut self) -> impl Future<Output = Option<ItemResult<T, E>>> {
        let mut read = self.imap.next_indexed();
        poll_fn(move |cx| Pin::new(&mut read).poll(cx).map(|next| next.map(item_result)))
    }

    pub(super) fn poll_indexed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(usize, ItemResult<T, E>)>> {
        let next = ready!(self.imap.poll_indexed(cx));
        Poll::Ready(next.map(|(index, result)| (index, item_result((index, result)))))
    }

    /// Kills what is running, and waits until all that the map started has ended.
    pub(super) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.imap.poll_stop(cx)
    }
}

impl<T, E, X: Executor> Stream for TryImap<T, E, X> {
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

/// Nothing of it is pinned in place.
impl<T, E, X: Executor> Unpin for TryImap<T, E, X> {}

impl<T, E, X: Executor> fmt::Debug for TryImap<T, E, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryImap").field(&self.imap).finish()
    }
}
