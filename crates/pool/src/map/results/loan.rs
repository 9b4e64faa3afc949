//! [`Loan`]: the slot of a reader that waits, which its map may share.

use std::sync::Arc;

use crate::in_place::Holder;
use crate::slot::Permit;

/// The slot of a reader that is a member of the pool, and waits for the map.
#[derive(Debug, Default)]
pub(super) enum Loan {
    #[default]
    None,
    /// A worker may share it.
    Offered(Holder),
    /// A worker shares it, for one item; the reader goes on when that has finished.
    Out(Holder),
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
    pub(super) fn lender(&self) -> Option<&Holder> {
        if let Self::Out(holder) = self { Some(holder) } else { None }
    }

    /// Takes a share, if one is offered and the reader may lend it.
    pub(super) fn borrow(&mut self) -> Option<Arc<Permit>> {
        let Self::Offered(holder) = self else { return None };
        let holder = holder.clone();
        let share = holder.lend();
        *self = if share.is_some() { Self::Out(holder) } else { Self::None };
        share
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
            Self::Out(holder) if waits => *self = Self::Offered(holder),
            _ => {}
        }
    }
}
