//! [`Input`]: the iterable of an op that maps.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{Stream, stream};
use serde_json::{Value, json};
use spinney::map::from_stream;
use spinney::map::{Imap, Mapper};
use spinney::{Event, Semaphore, sleep, yield_now};
use spinney_sim::SimHub;

use super::script::{Api, task, text, ticks};
use super::world::{Manner, Outcome, world};

/// The spec of a task, and the other arguments of its function.
pub(super) type Item = (Value, Option<Value>);

/// The iterable of an op that maps.
pub(super) struct Input {
    op: Value,
    /// A permit for each item that may be read. `None` if the map decides how far it reads.
    ahead: Option<Rc<Semaphore>>,
    feed: Option<Rc<Feed>>,
}

impl Input {
    pub(super) fn of(op: &Value) -> Self {
        Self { op: op.clone(), ahead: None, feed: None }
    }

    /// Reads no further than there are permits.
    pub(super) fn ahead(self, permits: &Rc<Semaphore>) -> Self {
        Self { ahead: Some(Rc::clone(permits)), ..self }
    }

    /// Records in `feed` what is read and started. An error of the iterable is its end.
    pub(super) fn fed(self, feed: &Rc<Feed>) -> Self {
        Self { feed: Some(Rc::clone(feed)), ..self }
    }

    /// Starts the map.
    pub(super) fn imap(self, api: Api, mapper: Mapper<SimHub>) -> Imap<Outcome, SimHub> {
        let (feed, waits) = (self.feed.clone(), self.waits());
        let unordered = self.op["unordered"] == true;
        let func = move |(spec, extra): Item| {
            if let Some(feed) = &feed {
                feed.start();
            }
            let script = task(api, spec, extra);
            async move {
                // The original's item is a task of its own, which starts in its turn.
                if world().manner == Manner::Theirs {
                    yield_now().await;
                }
                script.await
            }
        };
        match (waits, unordered) {
            (false, false) => mapper.imap(func, self.iter()),
            (false, true) => mapper.imap_unordered(func, self.iter()),
            (true, false) => mapper.imap(func, from_stream(self.stream())),
            (true, true) => mapper.imap_unordered(func, from_stream(self.stream())),
        }
    }

    /// Whether reading it takes time.
    pub(super) fn waits(&self) -> bool {
        self.ahead.is_some() || self.op["gap"].is_u64() || self.op["end_gap"].is_u64()
    }

    /// The items of an iterable that never waits.
    fn iter(self) -> impl Iterator<Item = Item> {
        (0..).map_while(move |index| self.read(index))
    }

    pub(super) fn stream(self) -> impl Stream<Item = Item> {
        stream::unfold((self, 0), |(input, index)| async move {
            if let Some(ahead) = &input.ahead {
                ahead.acquire().await.expect("the semaphore is never closed").forget();
            }
            if let Some(pause) = input.pause(index) {
                sleep(pause).await;
            }
            let item = input.read(index)?;
            Some((item, (input, index + 1)))
        })
    }

    /// How long the iterable waits before that item, or before its end.
    fn pause(&self, index: usize) -> Option<Duration> {
        let gap = match spec_at(&self.op, index) {
            Some(_) if index == 0 => return None,
            Some(_) => "gap",
            None => "end_gap",
        };
        self.op[gap].is_u64().then(|| ticks(&self.op, gap))
    }

    fn read(&self, index: usize) -> Option<Item> {
        match &self.feed {
            None => item_at(&self.op, index),
            Some(feed) => feed.read(|| item_at(&self.op, index)),
        }
    }
}

/// That item of an op's iterable; `None` after its end. An iterable with an error panics.
pub(super) fn item_at(op: &Value, index: usize) -> Option<Item> {
    let Some(spec) = spec_at(op, index) else {
        if let Some(message) = op["iter_raise"].as_str() {
            resume_unwind(Box::new(format!("Boom:{message}")));
        }
        return None;
    };
    if op["log_pulls"] == true {
        let label = if op["name"].is_string() { "name" } else { "op" };
        world().log(text(op, label), "pull", spec["name"].clone());
    }
    let extra = match op["second"].as_array() {
        Some(second) => Some(second.get(index)?.clone()),
        None => None,
    };
    Some((spec, extra))
}

/// The spec of that item, unless the iterable ends before.
fn spec_at(op: &Value, index: usize) -> Option<Value> {
    match op["items"].as_array() {
        Some(items) => items.get(index).cloned(),
        None => generate(&op["gen"], index),
    }
}

fn generate(r#gen: &Value, index: usize) -> Option<Value> {
    let count = r#gen["count"].as_u64()?;
    let durations = r#gen["d"].as_array().filter(|durations| !durations.is_empty())?;
    let prefix = r#gen["prefix"].as_str()?;
    let d = &durations[index % durations.len()];
    let item = json!({ "name": format!("{prefix}{index}"), "d": d, "ret": index });
    ((index as u64) < count).then_some(item)
}

/// The items that a map has read and started.
#[derive(Default)]
pub(super) struct Feed {
    read: Cell<usize>,
    started: Cell<usize>,
    /// How the iterable ended.
    end: RefCell<Option<Result<(), String>>>,
    /// Set when the iterable is exhausted and all items have started.
    done: Event,
}

impl Feed {
    /// Ends the iterable: no more items are read.
    pub(super) fn finish(&self, end: Result<(), String>) {
        self.end.borrow_mut().get_or_insert(end);
        self.look();
    }

    /// The error of the iterable, if it ended with one.
    pub(super) fn error(&self) -> Result<(), String> {
        self.end.borrow().clone().unwrap_or(Ok(()))
    }

    /// Waits until the iterable is exhausted and all items have started.
    pub(super) async fn wait(&self) {
        self.done.wait().await;
    }

    fn read(&self, read: impl FnOnce() -> Option<Item>) -> Option<Item> {
        if self.end.borrow().is_some() {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(Some(item)) => {
                self.read.set(self.read.get() + 1);
                return Some(item);
            }
            Ok(None) => self.finish(Ok(())),
            Err(payload) => {
                let text = payload.downcast::<String>();
                self.finish(Err(text.map_or_else(|_| "a panic".to_owned(), |text| *text)));
            }
        }
        None
    }

    fn start(&self) {
        self.started.set(self.started.get() + 1);
        self.look();
    }

    fn look(&self) {
        if self.end.borrow().is_some() && self.started == self.read {
            self.done.set();
        }
    }
}
