//! [`State`]: a pool's queue, and what its threads are at.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use slab::Slab;

use crate::work::Work;

/// The smallest queue that is worth sweeping.
const SWEPT_FROM: usize = 64;

pub(crate) struct State {
    /// What has not been moved to the front.
    pub(crate) queue: VecDeque<Arc<dyn Work>>,
    /// How much is in the front, at the most.
    pub(crate) in_front: usize,
    /// The length at which the queue is swept next.
    sweep_at: usize,
    pub(crate) maxsize: usize,
    /// The threads that are alive, by number. None for the one that is being started.
    pub(crate) threads: Slab<Option<JoinHandle<()>>>,
    /// Threads that have yet to look at the queue for the first time.
    pub(crate) coming: usize,
    /// Threads that sleep.
    pub(crate) asleep: usize,
    /// Threads that were woken, but have yet to notice.
    pub(crate) woken: usize,
    /// Threads that are about to look at the queue again.
    pub(crate) looking: usize,
    /// Threads that are about to end.
    pub(crate) leaving: usize,
    /// The thread that ended last, if it has not been joined.
    pub(crate) last: Option<JoinHandle<()>>,
    /// Nothing new is taken.
    pub(crate) closed: bool,
    /// Nothing more is started.
    pub(crate) killed: bool,
}

impl State {
    pub(crate) fn new(maxsize: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            in_front: 0,
            sweep_at: SWEPT_FROM,
            maxsize,
            threads: Slab::new(),
            coming: 0,
            asleep: 0,
            woken: 0,
            looking: 0,
            leaving: 0,
            last: None,
            closed: false,
            killed: false,
        }
    }

    /// How much is in the queue, at the most.
    fn len(&self) -> usize {
        self.queue.len() + self.in_front
    }

    /// How many threads have nothing to do.
    pub(crate) fn free(&self) -> usize {
        self.asleep + self.woken + self.looking
    }

    /// Whether there is more work than there are threads on their way to it.
    pub(crate) fn is_short(&self) -> bool {
        self.len() > self.coming + self.woken + self.looking
    }

    pub(crate) fn may_grow(&self) -> bool {
        self.threads.len() < self.maxsize
    }

    /// Whether there is nobody to wake or start or tell, as while all are busy.
    pub(crate) fn is_settled(&self) -> bool {
        let nobody_left = self.asleep == 0 && !self.may_grow() && !self.threads.is_empty();
        !self.closed && (nobody_left || !self.is_short())
    }

    /// Whether a thread should end because there are more than there may be.
    pub(crate) fn is_too_many(&self) -> bool {
        self.threads.len() - self.leaving > self.maxsize
    }

    /// Whether there is something that a thread should see.
    pub(crate) fn wants_threads(&self) -> bool {
        self.len() > 0 || self.is_too_many() || self.closed
    }

    /// Whether the last thread is off the list, and there will be no other.
    pub(crate) fn is_gone(&self) -> bool {
        self.closed && self.threads.is_empty() && self.len() == 0
    }

    /// Counts a thread that sleeps as woken, for the caller to wake; false if there is none.
    pub(crate) fn wake_one(&mut self) -> bool {
        let any = self.asleep > 0;
        self.asleep -= usize::from(any);
        self.woken += usize::from(any);
        any
    }

    /// Counts all threads that sleep as woken, for the caller to wake.
    pub(crate) fn wake_all(&mut self) {
        self.woken += std::mem::take(&mut self.asleep);
    }

    /// Whether the queue has doubled since it was swept: so what was cancelled takes no more room
    /// than what was not.
    pub(crate) fn is_to_be_swept(&self) -> bool {
        self.queue.len() >= self.sweep_at
    }

    /// Takes what is void out of the queue. It is to be refused outside of the lock.
    pub(crate) fn sweep(&mut self) -> VecDeque<Arc<dyn Work>> {
        let queue = std::mem::take(&mut self.queue).into_iter();
        let (void, left) = queue.partition(|work| work.is_void());
        self.queue = left;
        self.sweep_at = SWEPT_FROM.max(2 * self.queue.len());
        void
    }
}
