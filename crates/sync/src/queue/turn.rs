//! [`Turn`]: a wait for the next item; [`Get`](super::Get), [`Peek`](super::Peek) and
//! [`Items`](super::Items) are this with a queue.

use std::panic::Location;
use std::task::{Context, Poll};

use super::order::Order;
use super::state::{Answer, Want};
use super::{OrderedQueue, ShutDown};
use crate::{GiveWay, Wait};

pub(super) struct Turn<T> {
    want: Want<T>,
    stage: Stage,
    what: &'static str,
    /// The line of the program that waits.
    at: &'static Location<'static>,
    give_way: GiveWay,
}

enum Stage {
    New,
    /// In the line, under this ticket.
    Waiting(u64),
    Done,
}

impl<T> Turn<T> {
    pub(super) fn new(want: Want<T>, what: &'static str, at: &'static Location<'static>) -> Self {
        Self { want, stage: Stage::New, what, at, give_way: GiveWay::default() }
    }

    pub(super) fn poll<O: Order<T>>(
        &mut self,
        queue: &OrderedQueue<T, O>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, ShutDown>> {
        let Self { want, stage, what, at, give_way } = self;
        give_way.poll(cx, |cx| {
            let polled = match *stage {
                Stage::Waiting(ticket) => {
                    queue.change(|state| state.poll_get(ticket, *want, cx.waker()))
                }
                Stage::New => queue.change(|state| match state.serve(*want) {
                    Some(answer) => Poll::Ready(Ok(answer)),
                    None if state.shut_down => Poll::Ready(Err(ShutDown(()))),
                    None => {
                        *stage = Stage::Waiting(state.wait_to_get(*want, cx.waker()));
                        Poll::Pending
                    }
                }),
                Stage::Done => panic!("polled after it had finished"),
            };
            match polled {
                Poll::Ready(answer) => {
                    *stage = Stage::Done;
                    Poll::Ready(answer.map(Answer::into_item))
                }
                Poll::Pending => {
                    Wait::note(what, at);
                    Poll::Pending
                }
            }
        })
    }

    /// Waits for another item, after it has finished.
    #[cfg(feature = "stream")]
    pub(super) fn again(&mut self) {
        self.stage = Stage::New;
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_))
    }

    #[cold]
    pub(super) fn leave<O: Order<T>>(&mut self, queue: &OrderedQueue<T, O>) {
        if let Stage::Waiting(ticket) = self.stage {
            self.stage = Stage::Done;
            drop(queue.change(|state| state.leave_get(ticket)));
        }
    }
}
