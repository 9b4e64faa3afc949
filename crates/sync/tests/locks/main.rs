//! The promises of what is built on waiting in a queue: locks, conditions, lines to cross.

#[path = "../by_hand/mod.rs"]
mod by_hand;

/// [`BoundedSemaphore`](spinney_sync::BoundedSemaphore): a number that stays.
mod bounded;

/// [`RLock`](spinney_sync::RLock): one owner, as often as they like.
mod rlock;

/// [`Condition`](spinney_sync::Condition): look again when told to.
mod condition;

/// [`Barrier`](spinney_sync::Barrier): all together.
mod barrier;

/// [`Latch`](spinney_sync::Latch): after so many.
mod latch;

/// [`Wait`](spinney_sync::Wait): who waits where.
mod notes;
