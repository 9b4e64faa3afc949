//! [`Sent`]: eventlet's event, which is sent a value once, until it is reset.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};
use spinney::AsyncResult;

use super::script::{limited, text};
use super::world::{err, ok};

/// An `AsyncResult` that a reset replaces.
#[derive(Default)]
pub(super) struct Sent(Rc<AsyncResult<Value, String>>);

impl Sent {
    pub(super) fn state(&self) -> Value {
        json!({
            "ready": self.0.is_ready(),
            "has_result": self.0.is_successful(),
            "has_exception": self.0.is_ready() && !self.0.is_successful(),
        })
    }
}

pub(super) async fn run(sent: &RefCell<Sent>, name: &str, op: &Value) -> Option<Value> {
    let result = Rc::clone(&sent.borrow().0);
    let done = match name {
        "send" => result.set(op["value"].clone()).is_ok(),
        "send_exc" => result.set_error(format!("Boom:{}", text(op, "msg"))).is_ok(),
        "reset" => {
            if result.is_ready() {
                sent.take();
            }
            result.is_ready()
        }
        "wait" => {
            return Some(match limited(op, result.get()).await {
                Some(Ok(value)) => ok(value.clone()),
                Some(Err(error)) => err(error.as_str()),
                None => ok(Value::Null),
            });
        }
        _ => return None,
    };
    Some(if done { ok(Value::Null) } else { err("AssertionError") })
}
