//! [`Settings`]: how a pool's threads are started and when they end.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use spinney_hub::{BoxTask, Spawn, contain};

/// Called on a thread, with its number.
pub(crate) type Hook = Arc<dyn Fn(usize) + Send + Sync>;

/// A hub that runs callbacks.
pub(crate) type SharedHub = Arc<dyn Spawn<BoxTask> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) stack_size: Option<usize>,
    /// How long a thread stays without work; None: for as long as the pool.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) on_start: Option<Hook>,
    pub(crate) on_stop: Option<Hook>,
    /// How many closures may wait; None: so many for each thread.
    pub(crate) queue: Option<usize>,
    /// Runs callbacks; None: the hub that is current at the call.
    pub(crate) hub: Option<SharedHub>,
}

/// How many closures may wait for each thread before `spawn` waits, too.
const QUEUED_PER_THREAD: usize = 64;

/// How many free places are worth going on for, where there are that many.
const FEW: usize = 16;

impl Settings {
    /// How many closures may be running or waiting, with `threads` threads.
    pub(crate) fn places(&self, threads: usize) -> usize {
        let queue = self.queue.unwrap_or_else(|| threads.saturating_mul(QUEUED_PER_THREAD));
        threads.saturating_add(queue)
    }

    /// How many free places whoever finds none looks out for.
    pub(crate) fn few_places(&self) -> isize {
        self.queue.map_or(FEW, |queue| FEW.min(1 + queue / 2)).try_into().unwrap_or(isize::MAX)
    }

    /// Starts the thread number `index`, between its hooks.
    pub(crate) fn start(
        &self,
        index: usize,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        if self.name.contains('\0') {
            let text = "a thread's name must not contain NUL";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut builder = thread::Builder::new().name(format!("{}-{index}", self.name));
        if let Some(stack_size) = self.stack_size {
            builder = builder.stack_size(stack_size);
        }
        builder.spawn(run)
    }

    pub(crate) fn thread_starts(&self, index: usize) {
        call(self.on_start.as_ref(), index);
    }

    pub(crate) fn thread_stops(&self, index: usize) {
        call(self.on_stop.as_ref(), index);
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "spinney-worker".to_owned(),
            stack_size: None,
            idle_timeout: None,
            on_start: None,
            on_stop: None,
            queue: None,
            hub: None,
        }
    }
}

/// Calls a hook. If it panics, the panic hook has reported that, and the thread goes on.
fn call(hook: Option<&Hook>, index: usize) {
    if let Some(hook) = hook {
        contain(|| hook(index));
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("idle_timeout", &self.idle_timeout)
            .field("on_start", &self.on_start.is_some())
            .field("on_stop", &self.on_stop.is_some())
            .field("queue", &self.queue)
            .field("hub", &self.hub.is_some())
            .finish()
    }
}
