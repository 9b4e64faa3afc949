//! [`Later`]: other people's code, run when the lock has been let go.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::Waker;
use std::thread;

use super::order::Panic;
use crate::Event;
use crate::waiters::wake_all;

/// What a change of the state leaves to do once the lock has been let go.
#[derive(Default)]
pub(super) struct Later {
    /// Most changes wake nobody or one, which needs no memory.
    wake: Option<Waker>,
    wake_too: Vec<Waker>,
    /// A waker to drop.
    stale: Option<Waker>,
    joined: Option<Arc<Event>>,
    panic: Option<Panic>,
}

impl Later {
    pub(super) fn wake(&mut self, waker: Waker) {
        match &self.wake {
            None => self.wake = Some(waker),
            Some(_) => self.wake_too.push(waker),
        }
    }

    pub(super) fn discard(&mut self, waker: Waker) {
        self.stale = Some(waker);
    }

    pub(super) fn tell_joiners(&mut self, joined: Arc<Event>) {
        self.joined = Some(joined);
    }

    /// Lets the caller have the panic of an item of theirs.
    pub(super) fn resume(&mut self, panic: Panic) {
        self.panic = Some(panic);
    }

    pub(super) fn run(self) {
        wake_all(self.wake.into_iter().chain(self.wake_too));
        if let Some(joined) = self.joined {
            joined.set();
        }
        match self.panic {
            // A second panic would end the program.
            Some(panic) if !thread::panicking() => resume_unwind(panic),
            _ => {}
        }
    }
}
