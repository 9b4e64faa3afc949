//! [`Settable`]: gevent's `AsyncResult`, which may be set again.

use std::cell::RefCell;

use serde_json::{Value, json};
use spinney::Event;

/// A value, or an error, or both, of which the value is preferred: ours is set once.
#[derive(Default)]
pub(super) struct Settable {
    value: RefCell<Option<Value>>,
    error: RefCell<Option<String>>,
    ready: Event,
}

impl Settable {
    pub(super) fn set(&self, value: Value) {
        self.value.replace(Some(value));
        self.ready.set();
    }

    pub(super) fn set_error(&self, error: String) {
        self.error.replace(Some(error));
        self.ready.set();
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.is_set()
    }

    pub(super) async fn get(&self) -> Result<Value, String> {
        self.ready.wait().await;
        match (&*self.value.borrow(), &*self.error.borrow()) {
            (Some(value), _) => Ok(value.clone()),
            (None, error) => Err(error.clone().expect("it is ready")),
        }
    }

    pub(super) fn state(&self) -> Value {
        let value = self.value.borrow().clone();
        json!({
            "ready": self.is_ready(),
            "successful": value.is_some(),
            "value": value,
            "exception": self.error.borrow().as_ref().map(|error| format!("!{error}")),
        })
    }
}
