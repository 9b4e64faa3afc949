//! [`AnyResult`]: gevent's `AsyncResult`.

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};
use spinney::AsyncResult;

use super::entry::Ended;
use super::objects::Object;
use super::script::{limited, text};
use super::world::{Manner, err, ok, world};

/// The first result stays. gevent's takes later results, and prefers a value.
pub(super) struct AnyResult {
    once: AsyncResult<Value, String>,
    /// gevent's: the last value and the last error.
    last: Option<RefCell<(Option<Value>, Option<String>)>>,
    was_set_again: Cell<bool>,
}

impl AnyResult {
    pub(super) fn new(manner: Manner) -> Self {
        let last = (manner == Manner::Theirs).then(RefCell::default);
        Self { once: AsyncResult::new(), last, was_set_again: Cell::new(false) }
    }

    pub(super) fn was_set_again(&self) -> bool {
        self.was_set_again.get()
    }

    pub(super) async fn run(&self, name: &str, op: &Value) -> Option<Value> {
        match name {
            "ar_set" => self.set(Ok(op["value"].clone())),
            "ar_fail" => self.set(Err(format!("Boom:{}", text(op, "msg")))),
            "ar_link" => return Some(link(op)),
            "ar_get" | "ar_wait" => {
                if op["block"] != false {
                    let _waited = limited(op, self.once.get()).await;
                }
                return Some(match self.result() {
                    (Some(value), _) => ok(value),
                    _ if name == "ar_wait" => ok(Value::Null),
                    (None, Some(error)) => err(error),
                    (None, None) => err("Timeout"),
                });
            }
            _ => return None,
        }
        Some(ok(Value::Null))
    }

    pub(super) fn state(&self) -> Value {
        let (value, error) = self.result();
        json!({
            "ready": self.once.is_ready(),
            "successful": value.is_some(),
            "value": value,
            "exception": error.map(|error| format!("!{error}")),
        })
    }

    fn set(&self, result: Result<Value, String>) {
        self.was_set_again.set(self.was_set_again.get() || self.once.is_ready());
        if let Some(last) = &self.last {
            let (value, error) = &mut *last.borrow_mut();
            match result.clone() {
                Ok(new) => *value = Some(new),
                Err(new) => *error = Some(new),
            }
        }
        match result {
            Ok(value) => drop(self.once.set(value)),
            Err(error) => drop(self.once.set_error(error)),
        }
    }

    /// The current value and error.
    fn result(&self) -> (Option<Value>, Option<String>) {
        match (&self.last, self.once.try_get()) {
            (Some(last), _) => last.borrow().clone(),
            (None, None) => (None, None),
            (None, Some(Ok(value))) => (Some(value.clone()), None),
            (None, Some(Err(error))) => (None, Some(error.clone())),
        }
    }
}

/// Sets the result to the outcome of the op's task.
fn link(op: &Value) -> Value {
    let Some(entry) = world().task(text(op, "task")) else { return err("NoHandle") };
    let on = op.clone();
    entry.link_result(op["how"].as_str().unwrap_or("link"), move |ended| {
        if let Some(Object::Result(result)) = world().object(&on) {
            result.set(match ended {
                Ended::Value(value) => Ok(value),
                Ended::Killed => Ok("!GreenletExit".into()),
                Ended::Error(error) => Err(error),
            });
        }
    });
    ok(Value::Null)
}
