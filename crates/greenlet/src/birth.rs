//! [`Birth`]: which greenlet makes another, and on which line; [`Origin`]: that, and an id.

use std::panic::Location;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::current;

/// Which greenlet makes another, and the line that does. For containers: a map notes it when it is
/// called, and each of its items has it.
///
/// ```
/// use std::panic::Location;
/// use spinney_greenlet::{Birth, spawn};
///
/// let parent = spawn(async { Birth::here(Location::caller()).parent() });
/// let id = parent.id();
/// assert_eq!(spinney_hub::block_on(parent).unwrap(), Some(id));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// 0 outside of any greenlet.
    parent: u64,
    at: &'static Location<'static>,
}

impl Birth {
    /// For a greenlet that the current one makes, on the line `at`.
    pub fn here(at: &'static Location<'static>) -> Self {
        Self { parent: current::id().unwrap_or(0), at }
    }

    /// The id of the greenlet that makes it; `None` outside of any.
    pub fn parent(&self) -> Option<u64> {
        (self.parent != 0).then_some(self.parent)
    }

    /// The line that makes it.
    pub fn at(&self) -> &'static Location<'static> {
        self.at
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Origin {
    /// A number that no other greenlet has; 0 if it is drawn when it is first asked for.
    pub(crate) id: u64,
    pub(crate) birth: Birth,
}

impl Origin {
    /// For a greenlet that the current one makes, on the line `at`.
    pub(crate) fn new(at: &'static Location<'static>) -> Self {
        Self { id: next_id(), birth: Birth::here(at) }
    }

    /// For a greenlet whose id may never be asked for.
    pub(crate) fn undrawn(birth: Birth) -> Self {
        Self { id: 0, birth }
    }
}

pub(crate) fn next_id() -> u64 {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    NEXT_ID.fetch_add(1, Relaxed)
}
