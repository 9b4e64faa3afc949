//! [`Loan`]: the slot of a reader that waits, which its map may share.

use std::sync::{Arc, Weak};

use crate::slot::Permit;

/// The slot of a reader that is a member of the pool, and waits for the map.
#[derive(Debug, Default)]
pub(super) enum Loan {
    #[default]
    None,
    /// A worker may share it.
    Offered(Weak<Permit>),
    /// A worker shares it, for one item; the reader goes on when that has finished.
    Out(Weak<Permit>),
}

impl Loan {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn is_out(&self) -> bool {
        matches!(self, Self::Out(_))
    }

    /// Whether a worker may share the slot.
    pub(super) fn is_offered(&self) -> bool {
        matches!(self, Self::Offered(_))
    }

    /// Takes a share, if one is offered and the reader still holds the slot.
    pub(super) fn borrow(&mut self) -> Option<Arc<Permit>> {
        let Self::Offered(slot) = self else { return None };
        let share = slot.upgrade();
        *self = share.as_ref().map_or(Self::None, |share| Self::Out(Arc::downgrade(share)));
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
            Self::Out(slot) if waits => *self = Self::Offered(slot),
            _ => {}
        }
    }
}
