//! [`Tasks`]: what a pile has started, in the order in which it gives the results.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use spinney_greenlet::{Failure, Greenlet, Iwait};
use spinney_hub::contain;

pub(crate) enum Tasks<T> {
    AsTheyEnd(Iwait<Greenlet<T>>),
    AsSpawned(VecDeque<Greenlet<T>>),
}

impl<T> Tasks<T> {
    pub(crate) fn push(&mut self, task: Greenlet<T>) {
        match self {
            Self::AsTheyEnd(tasks) => tasks.push(task),
            Self::AsSpawned(tasks) => tasks.push_back(task),
        }
    }

    /// The next result; `None` if there is no task.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Failure>>> {
        match self {
            Self::AsTheyEnd(tasks) => {
                let ended = ready!(Pin::new(tasks).poll_next(cx)).map(Greenlet::try_get);
                Poll::Ready(ended.map(|result| match result {
                    Ok(result) => result,
                    Err(alive) => unreachable!("{alive:?} was said to have ended"),
                }))
            }
            Self::AsSpawned(tasks) => {
                let Some(first) = tasks.front_mut() else { return Poll::Ready(None) };
                let result = ready!(Pin::new(first).poll(cx));
                tasks.pop_front();
                Poll::Ready(Some(result))
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::AsTheyEnd(tasks) => tasks.len(),
            Self::AsSpawned(tasks) => tasks.len(),
        }
    }

    pub(crate) fn kill_now(&self) {
        let kill = |task: &Greenlet<T>| contain(|| task.kill_now());
        match self {
            Self::AsTheyEnd(tasks) => tasks.iter().for_each(kill),
            Self::AsSpawned(tasks) => tasks.iter().for_each(kill),
        }
    }
}
