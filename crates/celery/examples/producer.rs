//! Calls the tasks of `acceptance/tasks.py` and prints what comes of them:
//! `producer name=value ..` with `broker`, `results` and `queue`.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use spinney_celery::{App, NewTask, ResultError};
use spinney_hub::{Within, block_on};

const LIMIT: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.split_once('=').map(|(key, value)| (key.into(), value.into())))
        .collect();
    let text = |key: &str, default: &str| args.get(key).map_or(default, String::as_str).to_owned();
    let app = App::amqp(text("broker", "amqp://guest:guest@127.0.0.1:5672/%2f"))
        .results(text("results", "rpc://"))
        .queue(text("queue", "celery"));
    block_on(async {
        let same = app.send("tasks.noop", (json!({ "a": [1, null, "ü"] }),)).await?;
        println!("{}", same.get::<Value>().within(LIMIT).await??);

        let mut naps = Vec::new();
        for n in 1..=5 {
            let later = NewTask::new("tasks.nap").kwarg("s", 0.01 * f64::from(n));
            naps.push(app.send_task(later.countdown(Duration::from_millis(100))).await?);
        }
        for nap in naps {
            println!("{}", nap.get::<f64>().within(LIMIT).await??);
        }

        let failed = app.send("tasks.fail", ("unlucky",)).await?;
        match failed.get::<()>().within(LIMIT).await? {
            Err(ResultError::Failed(error)) => println!("{error}"),
            other => println!("not the failure of the task: {other:?}"),
        }

        let expired = NewTask::new("tasks.noop").args((1,)).expires(Duration::ZERO);
        let expired = app.send_task(expired).await?.get::<Value>().within(LIMIT).await?;
        println!("{}", expired.unwrap_err());
        Ok(())
    })
}
