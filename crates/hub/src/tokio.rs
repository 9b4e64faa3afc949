//! [`TokioHub`]: a running tokio runtime.

use tokio::runtime::Handle;

use crate::current::Host;
use crate::scope::{Enter, Scoped};
use crate::{Clock, Context, Spawn};

/// A running tokio runtime, of either flavour, for programs that live on tokio. Needs the feature
/// `tokio`.
///
/// A cheap handle, which does not keep the runtime alive: when that shuts down it drops the tasks
/// that are left. Timers are the runtime's, which must have them enabled, or else the
/// [system's](Self::with_system_clock).
///
/// ```
/// use spinney_hub::{Spawn, TokioHub};
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// runtime.block_on(async {
///     let (done, ended) = async_channel::bounded(1);
///     TokioHub::current().spawn(async move { done.send("ran").await.unwrap() });
///     assert_eq!(ended.recv().await, Ok("ran"));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokioHub {
    handle: Handle,
    clock: Clock,
}

impl TokioHub {
    /// The runtime of `handle`.
    pub fn new(handle: Handle) -> Self {
        Self { handle, clock: Clock::tokio() }
    }

    /// The runtime that this thread is in.
    ///
    /// # Panics
    ///
    /// If it is in none.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self::new(Handle::current())
    }

    /// The same runtime, with the system's clock: timers are those of async-io's reactor.
    #[must_use]
    pub fn with_system_clock(self) -> Self {
        Self { clock: Clock::default(), ..self }
    }

    /// Makes this hub the current one whenever `future` is polled: for the main future, which
    /// tokio runs without our knowledge.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F, Self> {
        Scoped::new(future, self.clone())
    }
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for TokioHub {
    fn spawn(&self, future: F) {
        // Tokio's handle detaches the task when it is dropped.
        drop(self.handle.spawn(self.scope(future)));
    }
}

impl Enter for TokioHub {
    fn context(&self) -> Context {
        Context::of(self.clock.clone(), Host::Tokio(self.clone()))
    }
}
