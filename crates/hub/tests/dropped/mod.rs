//! [`Drops`]: counts what is dropped, and where; and a task that is there to be dropped.

use std::future::poll_fn;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};

/// The threads on which guards were dropped, in order.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<Mutex<Vec<ThreadId>>>);

impl Drops {
    /// Something whose drop is counted.
    pub(crate) fn guard(&self) -> Guard {
        Guard(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.threads().len()
    }

    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) struct Guard(Drops);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push(thread::current().id());
    }
}

/// Holds `guard` and waits for ever; sends its waker away once.
pub(crate) async fn send_waker<G>(to: Sender<Waker>, guard: G) {
    let _guard = guard;
    let mut to = Some(to);
    poll_fn(|cx| {
        if let Some(to) = to.take() {
            to.send(cx.waker().clone()).unwrap();
        }
        Poll::<()>::Pending
    })
    .await;
}
