//! [`Iteration`]: the results of a map of a scenario.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

use futures_lite::Stream;
use serde_json::{Value, json};
use spinney::{ItemError, Semaphore};

use super::entry::Ended;
use super::world::{Outcome, err, ok};

/// The results of a map.
type Results = Pin<Box<dyn Stream<Item = Result<Outcome, ItemError>>>>;

/// An iterator of the original, which its script may drop without affecting the map.
pub(super) struct Iteration {
    imap: RefCell<Results>,
    /// A permit for each item that the map may read: it reads one more for each `next`. `None` if
    /// the map decides how far it reads.
    ahead: Option<Rc<Semaphore>>,
    /// The outcome of a killed task.
    killed: fn() -> Value,
}

impl Iteration {
    pub(super) fn new(
        imap: impl Stream<Item = Result<Outcome, ItemError>> + 'static,
        ahead: Option<Rc<Semaphore>>,
        killed: fn() -> Value,
    ) -> Self {
        Self { imap: RefCell::new(Box::pin(imap)), ahead, killed }
    }

    /// The outcome of the op `next`.
    pub(super) async fn next(&self) -> Value {
        if let Some(ahead) = &self.ahead {
            ahead.release(1);
        }
        match poll_fn(|cx| self.imap.borrow_mut().as_mut().poll_next(cx)).await {
            None => json!({ "stop": true }),
            Some(Ok(Ok(value))) => ok(value),
            Some(Ok(Err(error))) => err(error),
            Some(Err(failure)) => Ended::from(&*failure).told(self.killed),
        }
    }
}
