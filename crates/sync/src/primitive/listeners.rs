//! [`Listeners`]: stands in for `event_listener::Event` in models.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Mutex, lock};
use crate::waiters::Waiters;

#[derive(Default)]
pub(crate) struct Listeners(Arc<Mutex<Waiters>>);

impl Listeners {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn listen(&self) -> Listener {
        let ticket = lock(&self.0).push(Waker::noop().clone(), ());
        Listener { queue: Arc::clone(&self.0), ticket }
    }

    pub(crate) fn notify(&self, most: usize) {
        let notified = lock(&self.0).serve(most);
        notified.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn total_listeners(&self) -> usize {
        lock(&self.0).len()
    }
}

pub(crate) struct Listener {
    queue: Arc<Mutex<Waiters>>,
    ticket: u64,
}

impl Future for Listener {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = lock(&self.queue);
        if queue.is_served(self.ticket) {
            return Poll::Ready(());
        }
        let before = queue.update(self.ticket, cx.waker());
        drop(queue);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        let waiter = if queue.is_served(self.ticket) { None } else { queue.remove(self.ticket) };
        drop(queue);
        drop(waiter);
    }
}
