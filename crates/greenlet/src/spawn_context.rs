//! [`SpawnContext`]: which greenlet creates another, and on which line; [`Origin`]: a context and an id.

use std::panic::Location;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::current;

/// The parent of a new greenlet and the line that creates it. For containers: a map records its
/// context when it is called, and each of its items has it.
///
/// ```
/// use std::panic::Location;
/// use spinney_greenlet::{SpawnContext, spawn};
///
/// let parent = spawn(async { SpawnContext::here(Location::caller()).parent() });
/// let id = parent.id();
/// assert_eq!(spinney_hub::block_on(parent).unwrap(), Some(id));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SpawnContext {
    /// 0 outside any greenlet.
    parent: u64,
    at: &'static Location<'static>,
}

impl SpawnContext {
    /// The context of a greenlet that the current one creates on the line `at`.
    pub fn here(at: &'static Location<'static>) -> Self {
        Self { parent: current::id().unwrap_or(0), at }
    }

    /// The id of the greenlet that creates it; `None` outside any greenlet.
    pub fn parent(&self) -> Option<u64> {
        (self.parent != 0).then_some(self.parent)
    }

    /// The line that creates it.
    pub fn at(&self) -> &'static Location<'static> {
        self.at
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Origin {
    /// A number that no other greenlet has; 0 until it is drawn, at the first use.
    pub(crate) id: u64,
    pub(crate) context: SpawnContext,
}

impl Origin {
    /// For a greenlet that the current one creates on the line `at`.
    pub(crate) fn new(at: &'static Location<'static>) -> Self {
        Self { id: next_id(), context: SpawnContext::here(at) }
    }

    /// For a greenlet whose id may never be needed.
    pub(crate) fn undrawn(context: SpawnContext) -> Self {
        Self { id: 0, context }
    }
}

pub(crate) fn next_id() -> u64 {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    NEXT_ID.fetch_add(1, Relaxed)
}
