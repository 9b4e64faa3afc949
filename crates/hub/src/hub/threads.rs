//! [`ThreadSettings`]: how a hub's threads are started.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;

use crate::contain;

/// Called on a thread, with its number.
pub(crate) type Hook = Arc<dyn Fn(usize) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct ThreadSettings {
    pub(crate) name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_start: Option<Hook>,
    pub(crate) on_stop: Option<Hook>,
}

impl ThreadSettings {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), stack_size: None, on_start: None, on_stop: None }
    }

    /// Starts the thread number `index`, which runs `work` between its hooks, and `end` last.
    pub(crate) fn start(
        &self,
        index: usize,
        work: impl FnOnce() + Send + 'static,
        end: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        if self.name.contains('\0') {
            let text = "a thread's name must not contain NUL";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut builder = thread::Builder::new().name(format!("{}-{index}", self.name));
        if let Some(stack_size) = self.stack_size {
            builder = builder.stack_size(stack_size);
        }
        let (on_start, on_stop) = (self.on_start.clone(), self.on_stop.clone());
        let run = move || {
            call(on_start.as_ref(), index);
            work();
            call(on_stop.as_ref(), index);
            drop((on_start, on_stop));
            end();
        };
        builder.spawn(run).map(drop)
    }
}

/// Calls a hook. If it panics, the panic hook has reported that, and the thread goes on.
fn call(hook: Option<&Hook>, index: usize) {
    if let Some(hook) = hook {
        contain(|| hook(index));
    }
}

impl fmt::Debug for ThreadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadSettings")
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("on_start", &self.on_start.is_some())
            .field("on_stop", &self.on_stop.is_some())
            .finish()
    }
}
