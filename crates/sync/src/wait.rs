//! [`Wait`]: the place where a task waits, for reports of deadlocks.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;

thread_local! {
    static LAST: Cell<Option<Wait>> = const { Cell::new(None) };
}

/// The subject of a wait, and the line of the program that waits.
///
/// Each await of this crate records itself when a poll is pending. A simulation in which all tasks
/// are stuck reports where each of them waits.
///
/// ```
/// # mod spinney { pub use spinney_sync::Event; pub mod sync { pub use spinney_sync::Wait; } }
/// use std::pin::pin;
/// use std::task::{Context, Waker};
///
/// use spinney::Event;
/// use spinney::sync::Wait;
///
/// let event = Event::new();
/// let poll = pin!(event.wait()).poll(&mut Context::from_waker(Waker::noop()));
/// assert!(poll.is_pending());
/// assert!(Wait::last().unwrap().to_string().starts_with("Event::wait at "));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    what: &'static str,
    at: &'static Location<'static>,
}

impl Wait {
    /// Records that this thread has polled a wait for `what` on behalf of the line `at`.
    pub fn note(what: &'static str, at: &'static Location<'static>) {
        LAST.set(Some(Self { what, at }));
    }

    /// What is waited for, for example `Event::wait`.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The line that waits.
    pub fn at(&self) -> &'static Location<'static> {
        self.at
    }

    /// The last wait that was recorded on this thread.
    pub fn last() -> Option<Self> {
        LAST.get()
    }

    /// Clears the last wait, so that it is not attributed to another task.
    pub fn forget() {
        LAST.set(None);
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.what, self.at)
    }
}
