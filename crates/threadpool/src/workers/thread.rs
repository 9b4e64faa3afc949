//! What each of the threads does.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use super::Workers;
use super::state::State;
use crate::work::Work;
use crate::{inside, spin};

/// How much is pushed while a thread gives way if that has paid: then those who kept the core from
/// it had work to do for it.
const FLOW: usize = 64;

/// How much comes at a time in a stream, of which there is more to come.
const STREAM: usize = 2;

impl Workers {
    /// What a thread does.
    pub(super) fn run(self: Arc<Self>, index: usize) {
        inside::enter(self.address());
        self.settings.thread_starts(index);
        self.lock().coming -= 1;
        while let Some(work) = self.next() {
            work.run(&self);
        }
        // It counts as alive meanwhile, so that no other takes its number.
        self.settings.thread_stops(index);
        let before = self.leave(index);
        if let Some(before) = before {
            drop(before.join());
        }
    }

    /// Waits for the next piece of work; None when this thread is to end.
    fn next(self: &Arc<Self>) -> Option<Arc<dyn Work>> {
        if let Some(work) = self.front.pop() {
            return Some(work);
        }
        let mut state = self.lock();
        let mut timed_out = false;
        loop {
            if state.is_too_many() {
                break;
            }
            let work = self.front.pop_of(&mut state);
            self.say_wanted(&state);
            if work.is_some() {
                return work;
            }
            if state.closed || timed_out {
                break;
            }
            let seen;
            (state, seen) = self.look_again(state);
            if !seen {
                (state, timed_out) = self.sleep(state);
            }
        }
        state.leaving += 1;
        // There may not be one too many any more, for which the others would let go of their work.
        self.attend(state);
        None
    }

    /// Looks out for work for a moment; says whether there is something to see.
    fn look_again<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        state.looking += 1;
        drop(state);
        let before = self.unfinished.pushed();
        let mut seen = before;
        spin::gather(|| self.is_wanted(), || self.is_stream(&mut seen));
        if self.unfinished.pushed().wrapping_sub(before) >= FLOW {
            spin::has_paid();
        }
        state = self.lock();
        state.looking -= 1;
        let seen = state.wants_threads();
        (state, seen)
    }

    /// Whether several came since it was last asked, and whoever pushes does not wait for each.
    fn is_stream(&self, seen: &mut usize) -> bool {
        let before = std::mem::replace(seen, self.unfinished.pushed());
        seen.wrapping_sub(before) >= STREAM && self.unfinished.count() >= STREAM
    }

    /// Sleeps until it is woken; says whether its time ran out instead.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        let timeout = self.settings.idle_timeout;
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        state.asleep += 1;
        loop {
            state = match end {
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(end) => {
                    let left = end.saturating_duration_since(Instant::now());
                    self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            if state.woken > 0 {
                state.woken -= 1;
                return (state, false);
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                state.asleep -= 1;
                return (state, true);
            }
        }
    }

    /// A thread is off the list. Returns the one that ended before it.
    fn leave(self: &Arc<Self>, index: usize) -> Option<JoinHandle<()>> {
        let mut state = self.lock();
        state.leaving -= 1;
        let own = state.threads.remove(index);
        let before = std::mem::replace(&mut state.last, own);
        self.attend(state);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::Workers;
    use crate::settings::Settings;

    #[test]
    fn several_closures_without_a_waiter_are_a_stream() {
        let workers = Workers::new(1, Settings::default());
        let mut seen = 0;
        let mut asked_after = |pushed: usize, finished: usize| {
            (0..pushed).for_each(|_| assert!(workers.unfinished.push().is_none()));
            (0..finished).for_each(|_| workers.unfinished.finish(false));
            workers.is_stream(&mut seen)
        };
        assert!(!asked_after(1, 0), "one came");
        assert!(asked_after(2, 0));
        assert!(!asked_after(0, 0), "no more came");
        assert!(!asked_after(2, 4), "one was pushed when all before had ended");
        assert!(asked_after(3, 0));
    }
}
