//! [`Loan`]: what becomes of a reader's slot while it waits.

use crate::roster::{Place, Wait};

/// The slot of a reader that is a member of the crew, and waits for the map.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loan {
    None,
    /// The feeder may take it.
    Offered(Wait),
    /// A worker has it, for one item; the reader gets on when it is back.
    Out(Wait),
    /// The worker that had it has left, and somebody else has it, whom the worker had lent it to.
    /// The reader is to look whether that one has left, too.
    PassedOn,
    /// As that, and the reader has looked, and will again when it is back.
    Awaited,
}

impl Loan {
    pub(super) fn is_out(self) -> bool {
        matches!(self, Self::Out(_) | Self::Awaited)
    }

    /// As its reader finds it, who looks whether one that was passed on `is_lent` still.
    pub(super) fn reviewed(self, is_lent: impl Fn() -> bool) -> Self {
        match self {
            Self::Out(_) => self,
            Self::PassedOn | Self::Awaited if is_lent() => Self::Awaited,
            _ => Self::None,
        }
    }

    /// Takes the slot, if it is offered, and the crew can `lend` it. Returns whose it is.
    pub(super) fn borrow(&mut self, lend: impl FnOnce(Wait) -> bool) -> Option<Place> {
        let Self::Offered(wait) = *self else { return None };
        lend(wait).then(|| {
            *self = Self::Out(wait);
            wait.place
        })
    }

    /// Its reader does not wait any more: it is not to be had, unless somebody has it.
    pub(super) fn withdrawn(self) -> Self {
        if self.is_out() { self } else { Self::None }
    }

    /// Whether its reader has to look where it is.
    pub(super) fn is_passed_on(self) -> bool {
        matches!(self, Self::PassedOn)
    }

    /// The worker that had it has left: it was `passed_on`, or else is back, and offered again if
    /// its reader still `waits`.
    pub(super) fn returned(self, passed_on: bool, waits: bool) -> Self {
        match self {
            Self::Out(_) if passed_on => Self::PassedOn,
            Self::Out(wait) if waits => Self::Offered(wait),
            _ => Self::None,
        }
    }
}
