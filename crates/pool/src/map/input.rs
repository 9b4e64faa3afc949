//! [`Input`]: the items of a map, one of which is taken ahead.
//!
//! The next item is taken before a slot is acquired. So an empty input needs no slot, and the end
//! of the input is known when it is reached. Iterators and streams share one path: an iterator is
//! never pending.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use spinney_greenlet::Failure;
use spinney_hub::drop_contained;

use super::source::Source;

/// The remaining items.
pub(super) struct Input<S: Source> {
    /// `None` once the input is exhausted.
    items: Option<Box<S>>,
    /// The next item.
    ahead: Option<S::Item>,
    /// The index of the next item.
    index: usize,
    /// Why there is no next item, until [`missing`](Self::missing) takes it.
    missing: Missing<S>,
}

/// Why there is no next item.
pub(super) enum Missing<S> {
    /// There is a next item, or the reason was taken before.
    Taken,
    /// The input is pending.
    Pending,
    /// The input is exhausted. The caller drops it under no lock. If the input panicked, the panic is
    /// the failure of one more item.
    Over(Box<S>, Option<(usize, Failure)>),
}

impl<S: Source> Input<S> {
    pub(super) fn new(items: S) -> Self {
        let items = Some(Box::new(items));
        Self { items, ahead: None, index: 0, missing: Missing::Taken }
    }

    /// Whether there is a next item. It is taken ahead, unless the input is pending.
    pub(super) fn look_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ahead.is_none() {
            self.pull(cx);
        }
        self.has_ahead()
    }

    /// The next item, unless the input is pending. The item after it is taken ahead.
    #[inline]
    pub(super) fn next(&mut self, cx: &mut Context<'_>) -> Option<(usize, S::Item)> {
        if self.ahead.is_none() {
            self.pull(cx);
        }
        let item = self.ahead.take()?;
        let index = self.index;
        self.index += 1;
        self.pull(cx);
        Some((index, item))
    }

    #[inline]
    fn pull(&mut self, cx: &mut Context<'_>) {
        let Some(items) = &mut self.items else { return };
        match catch_unwind(AssertUnwindSafe(|| items.poll_next(cx))) {
            Ok(Poll::Ready(Some(item))) => self.ahead = Some(item),
            Ok(Poll::Pending) => self.missing = Missing::Pending,
            Ok(Poll::Ready(None)) => self.end(None),
            Err(payload) => self.end(Some(Failure::panicked(payload))),
        }
    }

    #[cold]
    fn end(&mut self, failure: Option<Failure>) {
        let failure = failure.map(|failure| (self.index, failure));
        if let Some(items) = self.items.take() {
            self.missing = Missing::Over(items, failure);
        }
    }

    /// Whether the next item was taken ahead.
    #[inline]
    pub(super) fn has_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// Takes the reason why there is no next item.
    pub(super) fn missing(&mut self) -> Missing<S> {
        std::mem::replace(&mut self.missing, Missing::Taken)
    }

    /// The index of the next item; `None` if there is none.
    pub(super) fn next_index(&self) -> Option<usize> {
        (self.ahead.is_some() || self.items.is_some()).then_some(self.index)
    }

    /// Drops the remaining items and the input itself, even if a destructor panics.
    pub(super) fn discard(self) {
        drop_contained(self.ahead);
        drop_contained(self.items);
        drop_contained(self.missing);
    }
}

/// The input of a map that has no more items.
impl<S: Source> Default for Input<S> {
    fn default() -> Self {
        Self { items: None, ahead: None, index: 0, missing: Missing::Taken }
    }
}
