//! gevent's ops on an `AsyncResult`.

use serde_json::{Value, json};
use spinney::AsyncResult;

use super::objects::Object;
use super::script::{limited, text};
use super::entry::Ended;
use super::world::{err, ok, world};

/// A value, or the name of an error; the first that is set stays.
pub(super) type AnyResult = AsyncResult<Value, String>;

pub(super) async fn run(result: &AnyResult, name: &str, op: &Value) -> Option<Value> {
    match name {
        "ar_set" => drop(result.set(op["value"].clone())),
        "ar_fail" => drop(result.set_error(format!("Boom:{}", text(op, "msg")))),
        "ar_link" => return Some(link(op)),
        "ar_get" | "ar_wait" => {
            let got = if op["block"] == false {
                result.try_get()
            } else {
                limited(op, result.get()).await
            };
            return Some(match got {
                Some(Ok(value)) => ok(value.clone()),
                _ if name == "ar_wait" => ok(Value::Null),
                Some(Err(error)) => err(error.as_str()),
                None => err("Timeout"),
            });
        }
        _ => return None,
    }
    Some(ok(Value::Null))
}

/// Has the result take over what the op's task comes to.
fn link(op: &Value) -> Value {
    let task = text(op, "task").to_owned();
    let Some(entry) = world().task(&task) else { return err("NoHandle") };
    let op = op.clone();
    entry.handle.link(move |_| {
        let world = world();
        let ended = world.task(&task).and_then(|entry| entry.ended());
        if let (Some(ended), Some(Object::Result(result))) = (ended, world.object(&op)) {
            match ended {
                Ended::Value(value) => drop(result.set(value)),
                Ended::Killed => drop(result.set("!GreenletExit".into())),
                Ended::Error(error) => drop(result.set_error(error)),
            }
        }
    });
    ok(Value::Null)
}

pub(super) fn state(result: &AnyResult) -> Value {
    let now = result.try_get();
    json!({
        "ready": now.is_some(),
        "successful": result.is_successful(),
        "value": now.and_then(Result::ok),
        "exception": now.and_then(Result::err).map(|error| format!("!{error}")),
    })
}
