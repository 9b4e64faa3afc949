//! [`HubBuilder`]: the settings of a hub with threads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_executor::Executor;

use super::Hub;
use crate::require_threads;

use super::core::{Core, Engine};
use super::workers::ThreadSettings;
use crate::Clock;

/// The settings of a [`Hub`] with threads; see [`Hub::builder`]. Dropping it starts nothing.
///
/// ```
/// # use spinney_hub as spinney;
/// use spinney::Hub;
///
/// let hub = Hub::builder()
///     .threads(2)
///     .name("io")
///     .on_start(|index| println!("io-{index} starts"))
///     .build()?;
/// drop(hub);
/// Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct HubBuilder {
    threads: usize,
    settings: ThreadSettings,
    shutdown_limit: Duration,
    clock: Clock,
}

impl HubBuilder {
    pub(crate) fn new(threads: usize) -> Self {
        let settings = ThreadSettings::named("hub");
        Self { threads, settings, shutdown_limit: super::SHUTDOWN_LIMIT, clock: Clock::default() }
    }

    /// Sets how many threads run tasks. Default: one per core.
    ///
    /// While tasks block in [`block_on`](Hub::block_on), spare threads run the other tasks. Spares
    /// have the same settings, and exit after they have been idle for a second.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the name of the threads, which is followed by their number. Default: `hub`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Sets the size of each thread's stack, in bytes. Default: the standard library's.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Calls `hook` on each thread when it starts, with the thread's number. The number of a
    /// finished thread is reused. If the hook panics, the panic hook reports it, and the thread
    /// goes on.
    pub fn on_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.settings.on_start = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` on each thread before it ends, with the thread's number. If the hook panics,
    /// the panic hook reports it.
    pub fn on_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.settings.on_stop = Some(Arc::new(hook));
        self
    }

    /// Sets how long [`shutdown`](Hub::shutdown), after its grace, and dropping the last handle
    /// wait for polls in progress. Default: one second.
    pub fn shutdown_limit(mut self, limit: Duration) -> Self {
        self.shutdown_limit = limit;
        self
    }

    /// Sets how late timers may be, as in [`Clock::with_timer_slack`]. Default: 50 microseconds.
    pub fn timer_slack(mut self, slack: Duration) -> Self {
        self.clock = self.clock.with_timer_slack(slack);
        self
    }

    /// Starts the hub.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the number of threads is zero or the name contains a NUL
    /// byte; the system's error if it refuses to start a thread. Threads that had started exit
    /// again.
    ///
    /// # Panics
    ///
    /// Panics while threads are [forbidden](crate::ForbidThreads).
    #[track_caller]
    pub fn build(self) -> io::Result<Hub> {
        require_threads("a hub with threads");
        if self.threads == 0 {
            let text = "a hub needs at least one thread";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let engine = Engine::Own(Executor::new());
        let core =
            Core::start(engine, self.threads, self.settings, self.shutdown_limit, self.clock);
        core.map(Hub::own)
    }
}
