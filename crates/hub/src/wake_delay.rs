//! [`WakeDelay`]: wakes the reader of many results in batches.

use std::fmt;
use std::task::Context;
use std::time::{Duration, Instant};

use crate::current;
use crate::timers::{Slack, Timer};

/// How long results wait for their reader, before the slack of its timer.
const DELAY: Duration = Duration::from_micros(20);

/// Saves wake-ups of a reader whose thread parks: each would cost a system call.
///
/// After a read that found results, the reader wakes itself 20 to 70 microseconds later, together
/// with the sleeps that end then. Until then the tasks that store results need not wake it, unless
/// many results have accumulated. Outside a [`block_on`](crate::Hub::block_on) there is no delay.
/// Dropping it leaves no timer behind.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub mod hub { pub use spinney_hub::WakeDelay; } }
/// use spinney::block_on;
/// use spinney::hub::WakeDelay;
/// use std::future::poll_fn;
/// use std::task::Poll;
///
/// let mut delay = WakeDelay::default();
/// block_on(poll_fn(|cx| {
///     if delay.is_on() {
///         return Poll::Ready(());
///     }
///     delay.start(); // Results were read, and now there are none.
///     if delay.poll(cx) {
///         return Poll::Pending; // Nothing else wakes it.
///     }
///     Poll::Ready(()) // It took longer than the delay to come here.
/// }));
/// ```
#[derive(Default)]
pub struct WakeDelay {
    timer: Option<Timer>,
}

impl WakeDelay {
    /// Called after a read of results: if the thread parks, a delay starts now.
    pub fn start(&mut self) {
        let parks = current::is_parking();
        self.timer = parks.then(|| Timer::new(Instant::now() + DELAY, Slack::default())).flatten();
    }

    /// Whether a delay has started, and the reader has not polled it to its end.
    pub fn is_on(&self) -> bool {
        self.timer.is_some()
    }

    /// Whether the delay is in progress; the task is then woken at its end. For a reader that found
    /// no results.
    pub fn poll(&mut self, cx: &Context<'_>) -> bool {
        let goes_on = self.timer.as_mut().is_some_and(|timer| timer.poll(cx).is_pending());
        if !goes_on {
            self.timer = None;
        }
        goes_on
    }
}

impl fmt::Debug for WakeDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeDelay").field("is_on", &self.is_on()).finish()
    }
}
