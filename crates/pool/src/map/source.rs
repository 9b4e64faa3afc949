//! [`Source`]: where a map takes its items from: an iterator, or a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

/// What a map can run over: every [`IntoIterator`], and [`from_stream`] of a stream. There is
/// nothing else, and nothing else can be made.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a map can run over",
    label = "neither an iterator nor a stream in `from_stream(..)`",
    note = "a map takes anything that `for` takes, or `from_stream(stream)`"
)]
#[expect(private_bounds, reason = "that is what keeps others from being made")]
pub trait IntoSource: Input {
    /// What the map's function is called with.
    type Item;
    /// Where the items come from.
    type Source: Source<Item = Self::Item>;

    /// The items, to be taken one by one.
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

/// Items, one by one: every [`Iterator`], and [`FromStream`]. There is nothing else, and nothing
/// else can be made.
#[expect(private_bounds, reason = "that is what keeps others from being made")]
pub trait Source: Input {
    /// What the map's function is called with.
    type Item;

    /// Whether one may have to wait for the next item: then it is taken before there is a slot for
    /// it, so that none is held meanwhile.
    const WAITS: bool;

    /// The next item; None at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;
}

impl<I: Iterator> Source for I {
    type Item = I::Item;

    const WAITS: bool = false;

    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.next())
    }
}

/// Lets a map run over `stream`, one item ahead of the slots.
///
/// ```
/// use futures_lite::stream;
/// use spinney_pool::{Pool, map::from_stream};
///
/// spinney_hub::block_on(async {
///     let numbers = from_stream(stream::iter(1..=3));
///     let squares = Pool::new(2).map(|n| async move { n * n }, numbers).await;
///     assert_eq!(squares.unwrap(), [1, 4, 9]);
/// });
/// ```
pub fn from_stream<S: Stream>(stream: S) -> FromStream<S> {
    FromStream { stream: Box::pin(stream) }
}

/// A stream that a map can run over; see [`from_stream`]. Dropping it drops the stream.
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
