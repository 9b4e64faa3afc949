//! [`Source`]: the input of a map, an iterator or a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

/// The input of a map: every [`IntoIterator`], and [`from_stream`] of a stream. The trait is
/// sealed.
#[diagnostic::on_unimplemented(
    message = "a map cannot run over `{Self}`",
    label = "neither an iterator nor a stream in `from_stream(..)`",
    note = "a map takes anything that `for` takes, or `from_stream(stream)`"
)]
#[expect(private_bounds, reason = "a private bound seals the trait")]
pub trait IntoSource: Input {
    /// The argument of the map's function.
    type Item;
    /// The source of the items.
    type Source: Source<Item = Self::Item>;

    /// Converts the input to its source.
    fn into_source(self) -> Self::Source;
}

impl<I: IntoIterator> IntoSource for I {
    type Item = I::Item;
    type Source = I::IntoIter;

    fn into_source(self) -> I::IntoIter {
        self.into_iter()
    }
}

trait Input {}

impl<I: IntoIterator> Input for I {}
impl<S: Stream> Input for FromStream<S> {}

/// Items, one by one: every [`Iterator`], and [`FromStream`]. The trait is sealed.
#[expect(private_bounds, reason = "a private bound seals the trait")]
pub trait Source: Input {
    /// The argument of the map's function.
    type Item;

    /// Whether the next item may be pending: it is then taken before a slot is acquired, so that no
    /// slot is held meanwhile.
    const WAITS: bool;

    /// The next item; `None` at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;
}

impl<I: Iterator> Source for I {
    type Item = I::Item;

    const WAITS: bool = false;

    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.next())
    }
}

/// Makes `stream` the input of a map, which takes one item ahead of the slots.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod map { pub use spinney_pool::map::from_stream; }
/// # }
/// use spinney::map::from_stream;
/// use spinney::{Pool, block_on};
///
/// block_on(async {
///     let pool = Pool::new(2);
///     let numbers = pool.imap(|n| async move { n + 1 }, 0..3); // any stream
///     let squares = pool.map(|n| async move { n.unwrap() * 10 }, from_stream(numbers)).await;
///     assert_eq!(squares.unwrap(), [10, 20, 30]);
/// });
/// ```
#[doc(alias = "async_stream")]
pub fn from_stream<S: Stream>(stream: S) -> FromStream<S> {
    FromStream { stream: Box::pin(stream) }
}

/// A stream as the input of a map; see [`from_stream`]. Dropping it drops the stream.
pub struct FromStream<S> {
    stream: Pin<Box<S>>,
}

impl<S: Stream> IntoSource for FromStream<S> {
    type Item = S::Item;
    type Source = Self;

    fn into_source(self) -> Self {
        self
    }
}

impl<S: Stream> Source for FromStream<S> {
    type Item = S::Item;

    const WAITS: bool = true;

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.stream.as_mut().poll_next(cx)
    }
}

impl<S> fmt::Debug for FromStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromStream").finish_non_exhaustive()
    }
}
