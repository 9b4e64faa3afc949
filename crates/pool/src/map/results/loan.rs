//! [`Loan`]: the slot of a reader that waits, which its map may share.

use std::sync::Arc;
use std::task::Waker;

use spinney_greenlet::Handle;

use crate::in_place::Holder;
use crate::slot::Share;

/// The slot of a reader that is a member of the pool, and waits for the map.
#[derive(Debug, Default)]
pub(super) enum Loan {
    #[default]
    None,
    /// A worker may share it.
    Offered(Lender),
    /// A worker shares it, for one item; the reader goes on when that has finished.
    Out(Lender),
}

/// The holder of the slot, and the greenlet that waits within its poll.
#[derive(Clone, Debug)]
pub(crate) struct Lender {
    holder: Holder,
    reader: u64,
}

impl Lender {
    pub(crate) fn new(holder: Holder, reader: &Handle) -> Self {
        Self { holder, reader: reader.id() }
    }

    /// The worker that shared the slot has left.
    pub(super) fn end_loan(&self) {
        self.holder.end_loan(self.reader);
    }
}

impl Loan {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether a worker may share the slot.
    pub(super) fn is_offered(&self) -> bool {
        matches!(self, Self::Offered(_))
    }

    /// The reader whose slot a worker shares.
    pub(super) fn lender(&self) -> Option<&Lender> {
        if let Self::Out(lender) = self { Some(lender) } else { None }
    }

    /// Takes a share, if one is offered and the reader lends none elsewhere; otherwise `waker` is
    /// woken when it does not any more.
    pub(super) fn borrow(&mut self, waker: &Waker) -> Option<Arc<Share>> {
        let Self::Offered(lender) = self else { return None };
        let lender = lender.clone();
        let share = lender.holder.lend(lender.reader, waker)?;
        *self = Self::Out(lender);
        Some(share)
    }

    /// The reader does not wait any more: its slot is not to be had, unless a worker shares it.
    pub(super) fn withdraw(&mut self) {
        if self.is_offered() {
            *self = Self::None;
        }
    }

    /// The worker that shared it has left; it is offered again if the reader still `waits`.
    pub(super) fn give_back(&mut self, waits: bool) {
        match std::mem::take(self) {
            Self::Out(lender) if waits => *self = Self::Offered(lender),
            _ => {}
        }
    }
}
