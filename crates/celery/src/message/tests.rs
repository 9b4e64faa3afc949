//! Messages that Celery has sent are read; messages that it would not send are refused, whatever they
//! hold.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, ByteArray, FieldArray, FieldTable, LongString};
use serde_json::Value;

use super::{Follow, Message, NewMessage, RawMessage, Refused, json_properties, parse_time, short};

const LIMIT: usize = 1 << 20;

/// What two versions of Celery have sent, in the order of the calls below.
const GOLDEN: [&str; 2] = [
    include_str!("../../tests/golden/celery-5.7.jsonl"),
    include_str!("../../tests/golden/celery-5.5.jsonl"),
];

fn amqp(value: &Value) -> AMQPValue {
    match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => AMQPValue::LongLongInt(number),
            None => AMQPValue::Double(number.as_f64().unwrap()),
        },
        Value::String(text) => AMQPValue::LongString(LongString::from(text.as_str())),
        Value::Array(list) => {
            let list: Vec<AMQPValue> = list.iter().map(amqp).collect();
            AMQPValue::FieldArray(FieldArray::from(list))
        }
        Value::Object(map) => AMQPValue::FieldTable(table(map)),
    }
}

fn table(map: &serde_json::Map<String, Value>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in map {
        table.insert(key.as_str().into(), amqp(value));
    }
    table
}

fn raw(line: &str) -> RawMessage {
    let sent: Value = serde_json::from_str(line).unwrap();
    let text = |key: &str| sent["properties"][key].as_str().unwrap_or_default();
    let mut properties = BasicProperties::default()
        .with_content_type(short(text("content_type")))
        .with_correlation_id(short(text("correlation_id")))
        .with_reply_to(short(text("reply_to")))
        .with_headers(table(sent["headers"].as_object().unwrap()));
    if let Some(priority) = sent["properties"]["priority"].as_u64() {
        properties = properties.with_priority(u8::try_from(priority).unwrap());
    }
    RawMessage { properties, body: sent["body"].to_string().into_bytes(), ..RawMessage::default() }
}

fn parse(raw: RawMessage) -> Result<Message, Box<Refused>> {
    Message::parse(Box::new(raw), LIMIT)
}

#[test]
fn messages_of_celery_are_read() {
    for golden in GOLDEN {
        let messages: Vec<Message> = golden.lines().map(|line| parse(raw(line)).unwrap()).collect();
        let [plain, limited, linked, chained, first, second] = &messages[..] else {
            panic!("{} messages", messages.len())
        };
        assert_eq!((&*plain.name, plain.id.len(), plain.retries), ("tasks.noop", 36, 0));
        assert_eq!(plain.body.0[0].get(), r#"{"a":[1,null,"ü"]}"#);
        assert!(plain.reply_to().is_some() && plain.eta.is_none() && plain.root() == &*plain.id);

        let second_and_half = [Duration::from_millis(500), Duration::from_millis(250)];
        assert_eq!([limited.hard_limit, limited.soft_limit], second_and_half.map(Some));
        let ahead = limited.expires.unwrap().duration_since(limited.eta.unwrap());
        assert_eq!((ahead.as_secs(), limited.priority()), (57, Some(3)));

        let follow = &linked.body.2;
        assert_eq!(linked.body.1["x"], 5);
        assert_eq!(follow.callbacks.as_ref().unwrap()[0].task, "tasks.noop");
        assert!(follow.errbacks.as_ref().unwrap()[0].immutable);

        let chain = chained.body.2.chain.as_ref().unwrap();
        assert_eq!((chain.len(), &*chain[1].task, chain[1].immutable), (2, "tasks.nap", true));

        assert_eq!((first.group_index, second.group_index), (Some(0), Some(1)));
        assert!(first.group.is_some() && first.group == second.group);
        assert!(first.body.2.chord.as_ref().unwrap().options["task_id"].is_string());
    }
}

#[test]
fn messages_of_ours_have_the_headers_of_celery() {
    let theirs = parse(raw(GOLDEN[0].lines().next().unwrap())).unwrap();
    let new = NewMessage { id: "an-id", task: "tasks.add", ..NewMessage::default() };
    let ours = parse(new.to_raw("queue").unwrap()).unwrap();
    let keys = |message: &Message| -> Vec<String> {
        let headers = message.raw.properties.headers().clone().unwrap();
        headers.inner().keys().map(ToString::to_string).collect()
    };
    assert_eq!(keys(&ours), keys(&theirs));
    assert_eq!((&*ours.id, &*ours.name, &*ours.raw.routing_key), ("an-id", "tasks.add", "queue"));
}

#[test]
fn retried_message_differs_in_its_count_and_time_alone() {
    let before = parse(raw(GOLDEN[0].lines().nth(3).unwrap())).unwrap();
    let after = parse(before.retried(Duration::from_secs(100))).unwrap();
    assert_eq!((&after.id, after.retries), (&before.id, 1));
    let ahead = after.eta.unwrap().duration_since(jiff::Timestamp::now()).as_secs();
    assert!((98..=100).contains(&ahead), "{ahead}");
    assert_eq!(after.raw.body, before.raw.body);
}

#[test]
fn message_that_cannot_be_run_is_refused_with_its_id() {
    let good = || raw(GOLDEN[0].lines().next().unwrap());
    let with_header = |key: &str, value: AMQPValue| {
        let mut headers = good().properties.headers().clone().unwrap();
        headers.insert(key.into(), value);
        RawMessage { properties: good().properties.with_headers(headers), ..good() }
    };
    let pickle = good().properties.with_content_type("application/x-python-serialize".into());
    let old = br#"{"id": "old", "task": "tasks.noop", "args": [1], "kwargs": {}}"#;
    let refused = [
        (RawMessage { properties: pickle, ..good() }, "ContentDisallowed", "x-python-serialize"),
        (RawMessage { body: vec![b' '; LIMIT + 1], ..good() }, "ContentDisallowed", "more than"),
        (RawMessage { body: b"[[1], {}".to_vec(), ..good() }, "DecodeError", "malformed"),
        (
            RawMessage { body: old.to_vec(), properties: json_properties(), ..good() },
            "InvalidTaskError",
            "protocol 2",
        ),
        (with_header("eta", AMQPValue::LongInt(7)), "InvalidTaskError", "eta"),
        (with_header("eta", AMQPValue::LongString("soon".into())), "InvalidTaskError", "ISO 8601"),
        (with_header("timelimit", AMQPValue::Boolean(true)), "InvalidTaskError", "timelimit"),
        (
            with_header("task", AMQPValue::FieldArray(FieldArray::default())),
            "InvalidTaskError",
            "task",
        ),
    ];
    for (raw, kind, text) in refused {
        let refused = parse(raw).unwrap_err();
        assert_eq!(refused.error.exception(), kind);
        assert!(refused.error.text().contains(text), "{}", refused.error);
        assert!(refused.id.is_some());
    }
}

#[test]
fn times_are_read_with_and_without_a_zone() {
    let time = parse_time("2026-11-30T15:26:16.645862+00:00").unwrap();
    assert_eq!(parse_time("2026-11-30T17:26:16.645862+02:00"), Some(time));
    assert_eq!(parse_time("2026-11-30T15:26:16.645862"), Some(time));
    assert_eq!(super::time_text(time), "2026-11-30T15:26:16.645862+00:00");
    assert_eq!(parse_time("tomorrow"), None);
    // Python's `datetime.max`.
    for last in ["9999-12-31T23:59:59.999999", "9999-12-31T23:59:59+00:00"] {
        assert_eq!(parse_time(last), Some(Timestamp::MAX));
    }
}

/// A value of any type.
fn any_value(rng: &mut Rng, depth: u8) -> AMQPValue {
    let bytes: Vec<u8> = (0..rng.usize(..12)).map(|_| rng.u8(..)).collect();
    match rng.u8(..if depth == 0 { 9 } else { 11 }) {
        0 => AMQPValue::Void,
        1 => AMQPValue::Boolean(rng.bool()),
        2 => AMQPValue::LongLongInt(rng.i64(..)),
        3 => AMQPValue::Double(f64::from_bits(rng.u64(..))),
        4 => AMQPValue::LongString(LongString::from(bytes)),
        5 => AMQPValue::ShortString(short(&rng.u64(..).to_string())),
        6 => AMQPValue::ByteArray(ByteArray::from(bytes)),
        7 => AMQPValue::Timestamp(rng.u64(..)),
        8 => AMQPValue::ShortShortInt(rng.i8(..)),
        9 => {
            let list = (0..rng.usize(..4)).map(|_| any_value(rng, depth - 1)).collect::<Vec<_>>();
            AMQPValue::FieldArray(FieldArray::from(list))
        }
        _ => {
            let mut table = FieldTable::default();
            table.insert("key".into(), any_value(rng, depth - 1));
            AMQPValue::FieldTable(table)
        }
    }
}

#[test]
fn no_message_makes_the_parser_panic() {
    let golden: Vec<RawMessage> = GOLDEN[0].lines().map(raw).collect();
    let mut read = 0;
    for seed in 0..20_000 {
        let mut rng = Rng::with_seed(seed);
        let mut raw = rng.choice(&golden).unwrap().clone();
        for _ in 0..rng.usize(..6) {
            let at = rng.usize(..raw.body.len().max(1));
            match rng.u8(..4) {
                0 => raw.body.truncate(at),
                1 => raw
                    .body
                    .insert(at.min(raw.body.len()), *rng.choice(b"[]{}\",:\\0n\xff").unwrap()),
                _ if at < raw.body.len() => raw.body[at] = rng.u8(..),
                _ => {}
            }
        }
        let mut headers = raw.properties.headers().clone().unwrap();
        let keys: Vec<_> = headers.inner().keys().cloned().collect();
        for _ in 0..rng.usize(..4) {
            headers.insert(rng.choice(&keys).unwrap().clone(), any_value(&mut rng, 3));
        }
        raw.properties = raw.properties.with_headers(headers);
        if let Ok(message) = parse(raw) {
            read += 1;
            // A message that was read can be sent again.
            drop(message.retried(Duration::MAX));
            let follow = serde_json::to_string::<Follow>(&message.body.2).unwrap();
            serde_json::from_str::<Follow>(&follow).unwrap();
        }
    }
    assert!(read > 1_000, "{read} messages were read");
}
