//! [`HubBuilder`]: the settings of a hub of one's own.

use std::io;
use std::sync::Arc;

use super::own::Own;
use super::threads::ThreadSettings;
use super::{Hub, Kind};

/// Sets up a [`Hub`] of one's own; see [`Hub::builder`]. Dropping it starts nothing.
///
/// ```
/// use spinney_hub::Hub;
///
/// let hub = Hub::builder()
///     .threads(2)
///     .name("io")
///     .on_start(|index| println!("io-{index} starts"))
///     .build()?;
/// # drop(hub);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct HubBuilder {
    threads: usize,
    settings: ThreadSettings,
}

impl HubBuilder {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, settings: ThreadSettings::named("hub") }
    }

    /// How many threads; default: one per core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// What the threads are called, before their number; default: `hub`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// The size of each thread's stack, in bytes; default: the standard library's.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Has `hook` called by each thread when it starts, with its number. A panic of the hook harms
    /// nobody; the panic hook reports it.
    pub fn on_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.settings.on_start = Some(Arc::new(hook));
        self
    }

    /// Has `hook` called by each thread before it ends, with its number. A panic of the hook harms
    /// nobody; the panic hook reports it.
    pub fn on_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.settings.on_stop = Some(Arc::new(hook));
        self
    }

    /// Starts the hub.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if it is to have no thread, or a name with a NUL byte in it;
    /// the system's error if it refuses to start a thread. Those already started end again.
    pub fn build(self) -> io::Result<Hub> {
        Ok(Hub { kind: Kind::Own(Own::start(self.threads, &self.settings)?) })
    }
}
