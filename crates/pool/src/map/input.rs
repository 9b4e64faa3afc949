//! [`Input`]: the items of a map, of which one is taken ahead.
//!
//! The next item is there before a slot is waited for. So an empty input needs no slot, and the end
//! of the input is known when it is reached. Iterators and streams go the same way: an iterator is
//! never pending.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use spinney_greenlet::Failure;
use spinney_hub::contain;

use super::source::Source;

/// The items that are left.
pub(super) struct Input<S: Source> {
    /// None once the input is exhausted.
    items: Option<Box<S>>,
    /// The next item.
    ahead: Option<S::Item>,
    /// The index of the next item.
    index: usize,
}

/// Whether there is a next item.
pub(super) enum Ahead<S> {
    /// There is.
    Item,
    /// The input has to be waited for.
    Pending,
    /// There is none, which was said before.
    None,
    /// There is none. What is left of the input is to be dropped under no lock; if it panicked, that
    /// is the failure of one more item.
    Over(Box<S>, Option<(usize, Failure)>),
}

impl<S: Source> Input<S> {
    pub(super) fn new(items: S) -> Self {
        Self { items: Some(Box::new(items)), ahead: None, index: 0 }
    }

    /// Takes the next item ahead, unless it is there.
    pub(super) fn look_ahead(&mut self, cx: &mut Context<'_>) -> Ahead<S> {
        if self.ahead.is_some() {
            return Ahead::Item;
        }
        let Some(items) = &mut self.items else { return Ahead::None };
        match catch_unwind(AssertUnwindSafe(|| items.poll_next(cx))) {
            Ok(Poll::Ready(Some(item))) => {
                self.ahead = Some(item);
                Ahead::Item
            }
            Ok(Poll::Pending) => Ahead::Pending,
            Ok(Poll::Ready(None)) => self.end(None),
            Err(payload) => self.end(Some(Failure::panicked(payload))),
        }
    }

    #[cold]
    fn end(&mut self, failure: Option<Failure>) -> Ahead<S> {
        let failure = failure.map(|failure| (self.index, failure));
        self.items.take().map_or(Ahead::None, |items| Ahead::Over(items, failure))
    }

    /// The next item, if it was taken ahead.
    pub(super) fn take(&mut self) -> Option<(usize, S::Item)> {
        let item = self.ahead.take()?;
        self.index += 1;
        Some((self.index - 1, item))
    }

    /// The next item, if it need not be waited for, and whether there is another behind it.
    pub(super) fn next(&mut self, cx: &mut Context<'_>) -> (Option<(usize, S::Item)>, Ahead<S>) {
        match self.look_ahead(cx) {
            Ahead::Item => (self.take(), self.look_ahead(cx)),
            none => (None, none),
        }
    }

    /// The index of the next item; None if there is none.
    pub(super) fn next_index(&self) -> Option<usize> {
        (self.ahead.is_some() || self.items.is_some()).then_some(self.index)
    }

    /// Drops what is left, each item and the input itself, though a destructor may panic.
    pub(super) fn discard(self) {
        contain(|| drop(self.ahead));
        contain(|| drop(self.items));
    }
}

/// Of a map that has no items any more.
impl<S: Source> Default for Input<S> {
    fn default() -> Self {
        Self { items: None, ahead: None, index: 0 }
    }
}
