//! The promises of [`OrderedQueue`](spinney_sync::OrderedQueue) and its kinds.

#[path = "../by_hand/mod.rs"]
mod by_hand;

/// Which item comes out next.
mod order;

/// The smallest first.
mod priority;

/// How many items there is room for.
mod bounds;

/// Who is served, and when.
mod fairness;

/// Looking at the next item.
mod peek;

/// Whoever waits may be dropped at any time.
mod cancel;

/// The end of a queue.
mod shutdown;

/// Waiting until all is done.
mod join;

/// From hand to hand.
mod channel;

/// The items as a stream.
#[cfg(feature = "stream")]
mod stream;

/// Items and wakers are other people's code, which may panic.
mod panics;

/// Items and wakers are other people's code, which may use the queue.
mod reentry;

/// What is printed.
mod text;

/// Random walks through the states of a queue.
mod walk;

/// Many threads at once.
mod hammer;
