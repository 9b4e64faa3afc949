//! [`WakeDelay`]: the reader of many results is woken by the batch.

use std::fmt;
use std::task::Context;
use std::time::{Duration, Instant};

use crate::current;
use crate::timers::Timer;

/// How long results may wait for their reader.
const DELAY: Duration = Duration::from_micros(20);

/// Spares wake-ups of a reader whose thread parks: to wake it costs a system call, for each of many
/// results.
///
/// After a read that found results, such a reader comes back by itself, 20 microseconds later at
/// the latest. Until then the tasks that leave results need not wake it, except when many have
/// piled up. Everywhere but in a [`block_on`](crate::Hub::block_on) there is no delay. Dropping it
/// leaves no timer behind.
///
/// ```
/// use std::future::poll_fn;
/// use std::task::Poll;
///
/// let mut delay = spinney_hub::WakeDelay::default();
/// spinney_hub::block_on(poll_fn(|cx| {
///     if delay.is_on() {
///         return Poll::Ready(());
///     }
///     delay.start(); // Results were read, and now there are none.
///     assert!(delay.poll(cx));
///     Poll::Pending // Nothing else wakes it.
/// }));
/// ```
#[derive(Default)]
pub struct WakeDelay {
    timer: Option<Timer>,
}

impl WakeDelay {
    /// Results were read: if the thread parks, there is a delay from now on.
    pub fn start(&mut self) {
        let parks = current::is_parking();
        self.timer = parks.then(|| Timer::new(Instant::now() + DELAY)).flatten();
    }

    /// Whether there is a delay, or there was one until the reader looks.
    pub fn is_on(&self) -> bool {
        self.timer.is_some()
    }

    /// Whether the delay goes on; then the task is woken at its end. For a reader that found no
    /// results.
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
