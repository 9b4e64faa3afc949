//! The promises of [`Semaphore`](spinney_sync::Semaphore).

#[path = "../by_hand/mod.rs"]
mod by_hand;

/// Who gets a permit, and when.
mod order;

/// Several permits at once.
mod weights;

/// What becomes of a permit whose waiter is gone.
mod cancel;

/// How many there are: resizing, forgetting, releasing.
mod count;

/// Who is let in no more.
mod close;

/// Waiting until nobody holds or waits.
mod idle;

/// Wakers are somebody else's code.
mod wakers;

/// Many threads at once.
mod hammer;
