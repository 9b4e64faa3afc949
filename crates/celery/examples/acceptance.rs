//! The worker that the acceptance tests drive: `acceptance name=value ..`, with the tasks of
//! `acceptance/tasks.py`, natively.
//!
//! `c` is the number of slots, `prefetch` the messages for each; `queue`, `name`, `broker`, `redis`
//! (results go there rather than to `rpc://`), `grace` in seconds, `tasklog`, `events=1`, `quiet=1`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spinney_celery::{App, Request, TaskError};
use spinney_hub::{block_on, sleep};
use spinney_pool::Pool;

#[derive(Debug)]
struct OutOfStock;

impl std::fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no wood")
    }
}

impl std::error::Error for OutOfStock {}

async fn noop(x: Value) -> Result<Value, TaskError> {
    Ok(x)
}

async fn nap(s: f64) -> Result<f64, TaskError> {
    sleep(Duration::from_secs_f64(s)).await;
    Ok(s)
}

async fn spin(s: f64) -> Result<(), TaskError> {
    let end = Instant::now() + Duration::from_secs_f64(s);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    Ok(())
}

async fn fail(text: String) -> Result<(), TaskError> {
    Err(TaskError::new("ValueError", text))
}

async fn own_error() -> Result<(), TaskError> {
    Err(OutOfStock)?
}

async fn panics() -> Result<(), TaskError> {
    panic!("out of luck")
}

async fn flaky(request: Request, n: u32) -> Result<Value, TaskError> {
    if request.retries() < n {
        let busy = TaskError::new("RuntimeError", "not yet");
        return Err(busy.retry_after(Duration::from_millis(200)));
    }
    Ok(json!({ "tries": request.retries() + 1 }))
}

#[expect(clippy::unnecessary_wraps, reason = "a task returns a result")]
fn fib(n: u32) -> Result<u64, TaskError> {
    fn of(n: u32) -> u64 {
        if n < 2 { n.into() } else { of(n - 1) + of(n - 2) }
    }
    Ok(of(n))
}

/// Appends `x start ID` and `x end ID` to the log of tasks, around a nap. A negative nap lasts until
/// there is a file `LOG.go`.
fn once(log: String) -> impl Fn(Request, i64, f64) -> Once {
    move |request, x, s| {
        let log = log.clone();
        Box::pin(async move {
            let note = |what: &str| {
                let mut line = String::new();
                let _ = writeln!(line, "{x} {what} {}", request.id());
                let file = OpenOptions::new().append(true).create(true).open(&log)?;
                (&file).write_all(line.as_bytes())
            };
            note("start")?;
            if s < 0.0 {
                let go = format!("{log}.go");
                while !Path::new(&go).exists() {
                    sleep(Duration::from_millis(50)).await;
                }
            } else {
                sleep(Duration::from_secs_f64(s)).await;
            }
            note("end")?;
            Ok(x)
        })
    }
}

type Once = std::pin::Pin<Box<dyn Future<Output = Result<i64, TaskError>> + Send>>;

fn main() -> ExitCode {
    let args = std::env::args().skip(1);
    let args: HashMap<String, String> = args
        .filter_map(|arg| arg.split_once('=').map(|(key, value)| (key.into(), value.into())))
        .collect();
    let text = |key: &str, default: &str| args.get(key).map_or(default, String::as_str).to_owned();
    let number = |key: &str, default: usize| text(key, "").parse().unwrap_or(default);
    if !args.contains_key("quiet") {
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false).init();
    }
    let grace = Duration::from_secs_f64(text("grace", "30").parse().unwrap_or(30.0));
    let results = args.get("redis").map_or("rpc://", String::as_str);
    let app = App::amqp(text("broker", "amqp://guest:guest@127.0.0.1:5672/%2f"))
        .results(results)
        .pool(&Pool::new(number("c", 100)))
        .prefetch(number("prefetch", 4))
        .queue(text("queue", "celery"))
        .name(text("name", "spinney@localhost"))
        .grace(grace)
        .events(args.contains_key("events"))
        .max_retries(10)
        .task("tasks.noop", noop)
        .params(["x"])
        .task("tasks.nap", nap)
        .params(["s"])
        .task("tasks.once", once(text("tasklog", "tasks.log")))
        .params(["x", "s"])
        .task("tasks.spin", spin)
        .task("tasks.fail", fail)
        .task("tasks.own_error", own_error)
        .task("tasks.panic", panics)
        .task("tasks.flaky", flaky)
        .cpu_task("tasks.fib", fib)
        .task("tasks.early", async |s: f64| {
            sleep(Duration::from_secs_f64(s)).await;
            Ok::<_, TaskError>("early")
        })
        .ack_early();
    match block_on(app.run_until_signal()) {
        Ok(report) => {
            println!("{report:?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
