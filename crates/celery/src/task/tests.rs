//! How the arguments of a message reach a handler, and its failures Python.

use std::sync::Arc;

use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::{Call, Handler, Request, Returned, TaskError};
use crate::message::{Message, NewMessage};

/// Calls `handler`, whose parameters are named a and b.
fn call<P>(handler: &impl Handler<P>, args: &Value, kwargs: &Value) -> Result<String, String> {
    let args: Vec<_> =
        args.as_array().unwrap().iter().map(|arg| to_raw_value(arg).unwrap()).collect();
    let args: Vec<_> = args.iter().map(|arg| &**arg).collect();
    let kwargs = kwargs.as_object().unwrap().clone();
    let new = NewMessage { id: "7", task: "t", args: &args, kwargs, ..NewMessage::default() };
    let message = Message::parse(Box::new(new.to_raw("q").unwrap()), 1 << 20).unwrap();
    let call = Call::new(Arc::new(message), Arc::new(["a", "b"]));
    let returned: Returned = spinney_hub::block_on(handler.call(call));
    returned.map(|value| value.get().to_owned()).map_err(|error| error.to_string())
}

async fn pair(a: i64, b: Option<String>) -> Result<(i64, Option<String>), TaskError> {
    Ok((a, b))
}

#[test]
fn arguments_come_by_place_and_by_name() {
    let both = Ok(r#"[1,"x"]"#.to_owned());
    assert_eq!(call(&pair, &json!([1, "x"]), &json!({})), both);
    assert_eq!(call(&pair, &json!([1]), &json!({ "b": "x" })), both);
    assert_eq!(call(&pair, &json!([]), &json!({ "b": "x", "a": 1 })), both);
    assert_eq!(call(&pair, &json!([1]), &json!({})), Ok("[1,null]".to_owned()));
}

#[test]
fn wrong_arguments_are_a_type_error() {
    for (args, kwargs, text) in [
        (json!([]), json!({}), "TypeError: t: argument 1: it is missing"),
        (json!([1, "x", 2]), json!({}), "TypeError: t: it takes 2 arguments, not 3"),
        (json!([1]), json!({ "c": 2 }), "TypeError: t: it has no parameter named \"c\""),
        (json!([1, "x"]), json!({ "a": 1 }), "TypeError: t: it has no parameter named \"a\""),
    ] {
        assert_eq!(call(&pair, &args, &kwargs), Err(text.to_owned()));
    }
    let wrong = call(&pair, &json!(["one"]), &json!({})).unwrap_err();
    assert!(wrong.starts_with("TypeError: t: argument 1: invalid type: string \"one\""), "{wrong}");
}

#[test]
fn request_takes_no_argument() {
    let handler = async |request: Request, a: i64| {
        Ok::<_, TaskError>(format!("{} {} {a}", request.id(), request.retries()))
    };
    assert_eq!(call(&handler, &json!([5]), &json!({})), Ok("\"7 0 5\"".to_owned()));
}

#[test]
fn error_is_named_by_its_type_and_tells_its_causes() {
    #[derive(Debug)]
    struct NoWood(std::num::ParseIntError);

    impl std::fmt::Display for NoWood {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no wood")
        }
    }

    impl std::error::Error for NoWood {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    let error = TaskError::from(NoWood("x".parse::<i32>().unwrap_err()));
    assert_eq!((error.exception(), error.text()), ("NoWood", "no wood"));
    let traceback = error.traceback("shop.build");
    assert!(traceback.contains("In task shop.build\nNoWood: no wood\ncaused by: invalid digit"));
    assert_eq!(
        (error.module(), TaskError::new("ChordError", "").module()),
        ("builtins", "celery.exceptions")
    );
}
