//! [`State`]: how far a greenlet has come.

/// How far a greenlet has come.
///
/// ```
/// use spinney_greenlet::{Greenlet, State};
///
/// let greenlet = Greenlet::new(async {});
/// assert_eq!(greenlet.state(), State::Unstarted);
/// greenlet.kill_now();
/// assert_eq!(greenlet.state(), State::Killed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Made, and not started.
    Unstarted,
    /// Started, but it has not run yet.
    Scheduled,
    /// It runs, or waits for something.
    Running,
    /// It has ended with a result.
    Successful,
    /// It was killed, or dropped by its hub.
    Killed,
    /// It was [aborted](crate::Handle::abort).
    Aborted,
    /// It has ended with a panic.
    Panicked,
}

impl State {
    /// Whether it was started and has not ended. gevent's `started`.
    pub fn is_started(self) -> bool {
        matches!(self, Self::Scheduled | Self::Running)
    }
}
