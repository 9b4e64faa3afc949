//! [`Turn`]: the wait for something to be made of the next item; [`Get`](super::Get) and
//! [`Peek`](super::Peek) are this with a name.

use std::panic::Location;
use std::task::{Context, Poll};

use super::order::Order;
use super::state::{Answer, Want};
use super::{OrderedQueue, ShutDown};
use crate::Wait;

pub(super) struct Turn<'a, T, O: Order<T>> {
    /// None when it is done.
    queue: Option<&'a OrderedQueue<T, O>>,
    want: Want<T>,
    /// The place in the line, once it has one.
    ticket: Option<u64>,
    what: &'static str,
    /// Who waits.
    at: &'static Location<'static>,
}

impl<'a, T, O: Order<T>> Turn<'a, T, O> {
    pub(super) fn new(
        queue: &'a OrderedQueue<T, O>,
        want: Want<T>,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> Self {
        Self { queue: Some(queue), want, ticket: None, what, at }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, ShutDown>> {
        let queue = self.queue.expect("polled after it was done");
        let polled = queue.change(|state| match self.ticket {
            Some(ticket) => state.poll_get(ticket, self.want, cx.waker()),
            None => match state.serve(self.want) {
                Some(answer) => Poll::Ready(Ok(answer)),
                None if state.shut_down => Poll::Ready(Err(ShutDown(()))),
                None => {
                    self.ticket = Some(state.wait_to_get(self.want, cx.waker()));
                    Poll::Pending
                }
            },
        });
        match polled {
            Poll::Ready(_) => self.queue = None,
            Poll::Pending => Wait::note(self.what, self.at),
        }
        polled.map_ok(Answer::into_item)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.queue.is_some() && self.ticket.is_some()
    }

    #[cold]
    fn leave(&self) {
        let (Some(queue), Some(ticket)) = (self.queue, self.ticket) else { return };
        drop(queue.change(|state| state.leave_get(ticket)));
    }
}

impl<T, O: Order<T>> Drop for Turn<'_, T, O> {
    fn drop(&mut self) {
        if self.is_waiting() {
            self.leave();
        }
    }
}
