//! [`AnyQueue`]: the queues of a scenario, of any kind.

use std::cmp::Ordering;

use serde_json::{Value, json};
use spinney::Queue;
use spinney::sync::{Channel, GetError, LifoQueue, PriorityQueue, PutError, ShutDown};

use super::barging::Barging;
use super::gevent::killed;
use super::objects::Object;
use super::script::{limited, signed, text};
use super::world::{Manner, err, ok, world};

pub(super) struct AnyQueue {
    kind: Kind,
    queue: Ordered,
    theirs: Option<Theirs>,
}

/// Makes it a queue of gevent's, which leaves an item in its place until the woken getter has run:
/// two barging semaphores.
struct Theirs {
    items: Barging,
    room: Barging,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Joinable,
    /// Without `task_done` and `join`.
    Simple,
    Channel,
}

enum Ordered {
    Fifo(Queue<Ranked>),
    Lifo(LifoQueue<Ranked>),
    Priority(PriorityQueue<Ranked>),
    Channel(Channel<Ranked>),
}

/// An item of a queue: ordered like in Python.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranked(Value);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_i64().cmp(&other.0.as_i64())
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! on_queue {
    ($ordered:expr, $queue:ident => $body:expr) => {
        match $ordered {
            Ordered::Fifo($queue) => $body,
            Ordered::Lifo($queue) => $body,
            Ordered::Priority($queue) => $body,
            Ordered::Channel($queue) => $body,
        }
    };
}

impl AnyQueue {
    /// `None` if there is no such kind.
    pub(super) fn new(manner: Manner, kind: &str, limit: Option<usize>) -> Option<Self> {
        let (kind, queue) = match kind {
            "fifo" => (Kind::Joinable, Ordered::Fifo(Queue::unbounded())),
            "simple" | "light" => (Kind::Simple, Ordered::Fifo(Queue::unbounded())),
            "lifo" => (Kind::Joinable, Ordered::Lifo(LifoQueue::unbounded())),
            "priority" => (Kind::Joinable, Ordered::Priority(PriorityQueue::unbounded())),
            "channel" => (Kind::Channel, Ordered::Channel(Channel::new())),
            _ => return None,
        };
        // A channel stores no item.
        let is_channel = kind == Kind::Channel || limit == Some(0);
        let theirs = (manner == Manner::Theirs && !is_channel).then(|| Theirs {
            items: Barging::new(0),
            room: Barging::new(limit.unwrap_or(usize::MAX / 2)),
        });
        if kind != Kind::Channel && theirs.is_none() {
            on_queue!(&queue, queue => queue.resize(limit));
        }
        Some(Self { kind, queue, theirs })
    }

    pub(super) fn has_barged(&self) -> bool {
        let has = |theirs: &Theirs| theirs.items.has_barged() || theirs.room.has_barged();
        self.theirs.as_ref().is_some_and(has)
    }

    pub(super) fn resize(&self, size: Option<usize>) {
        on_queue!(&self.queue, queue => queue.resize(size));
    }

    /// gevent's state.
    pub(super) fn state(&self) -> Value {
        on_queue!(&self.queue, queue => {
            let mut state = json!({
                "qsize": queue.len(),
                "empty": queue.is_empty(),
                "full": queue.is_full(),
            });
            if let Some(Theirs { items, room }) = &self.theirs {
                state["qsize"] = items.counter().into();
                state["full"] = (room.counter() == 0).into();
            }
            match self.kind {
                Kind::Joinable => state["unfinished"] = queue.unfinished().into(),
                Kind::Channel => {
                    let balance = signed(queue.putting()) - signed(queue.getting());
                    state["balance"] = balance.into();
                }
                Kind::Simple => {}
            }
            state
        })
    }

    pub(super) fn eventlet_state(&self) -> Value {
        let mut state = self.state();
        on_queue!(&self.queue, queue => {
            state["getting"] = queue.getting().into();
            state["putting"] = queue.putting().into();
        });
        if let Some(Theirs { items, room }) = &self.theirs {
            state["getting"] = items.waiting().into();
            state["putting"] = room.waiting().into();
        }
        state
    }

    pub(super) async fn run(&self, name: &str, op: &Value) -> Option<Value> {
        Some(match name {
            "put" => self.op_put(op).await,
            "get" => self.op_get(op, false).await,
            "peek" => self.op_get(op, true).await,
            "link_queue" => link(op),
            "task_done" => match on_queue!(&self.queue, queue => queue.task_done()) {
                Ok(()) => ok(Value::Null),
                Err(_) => err("ValueError"),
            },
            "q_join" => on_queue!(&self.queue, queue => {
                ok(limited(op, queue.join()).await.is_some())
            }),
            "shutdown" => {
                on_queue!(&self.queue, queue => if op["immediate"] == true {
                    drop(queue.shutdown_now());
                } else {
                    queue.shutdown();
                });
                ok(Value::Null)
            }
            _ => return None,
        })
    }

    async fn op_put(&self, op: &Value) -> Value {
        let item = Ranked(op["item"].clone());
        let put = if op["block"] == false {
            self.put_nowait(item)
        } else {
            match limited(op, self.put(item.clone())).await {
                Some(Ok(())) => Ok(()),
                Some(Err(ShutDown(item))) => Err(PutError::ShutDown(item)),
                None => Err(PutError::Full(item)),
            }
        };
        match put {
            Ok(()) => ok(Value::Null),
            Err(PutError::Full(_)) => err("Full"),
            Err(PutError::ShutDown(_)) => err("ShutDown"),
        }
    }

    async fn op_get(&self, op: &Value, stays: bool) -> Value {
        let got = if op["block"] == false {
            self.get_nowait(stays)
        } else {
            match limited(op, self.get(stays)).await {
                Some(got) => got.map_err(|_| GetError::ShutDown),
                None => Err(GetError::Empty),
            }
        };
        match got {
            Ok(item) => ok(item.0),
            Err(GetError::Empty) => err("Empty"),
            Err(GetError::ShutDown) => err("ShutDown"),
        }
    }

    async fn put(&self, item: Ranked) -> Result<(), ShutDown<Ranked>> {
        if let Some(Theirs { items, room }) = &self.theirs {
            // An item of a woken getter is still there.
            items.counter();
            room.acquire().await;
            items.release();
        }
        on_queue!(&self.queue, queue => queue.put(item).await)
    }

    fn put_nowait(&self, item: Ranked) -> Result<(), PutError<Ranked>> {
        if let Some(Theirs { items, room }) = &self.theirs {
            items.counter();
            if !room.try_acquire() {
                return Err(PutError::Full(item));
            }
            items.release();
        }
        on_queue!(&self.queue, queue => queue.put_nowait(item))
    }

    /// The next item, which `stays` in the queue for a peek.
    async fn get(&self, stays: bool) -> Result<Ranked, ShutDown<()>> {
        if let Some(Theirs { items, room }) = &self.theirs {
            if stays {
                items.wait().await;
            } else {
                items.acquire().await;
                room.release();
            }
        }
        on_queue!(&self.queue, queue => {
            if stays { queue.peek().await } else { queue.get().await }
        })
    }

    fn get_nowait(&self, stays: bool) -> Result<Ranked, GetError> {
        if let Some(Theirs { items, room }) = &self.theirs {
            if stays {
                items.counter();
            } else if items.try_acquire() {
                room.release();
            }
        }
        on_queue!(&self.queue, queue => {
            if stays { queue.peek_nowait() } else { queue.get_nowait() }
        })
    }
}

/// Puts the outcome of the op's task into the queue, in a task of its own.
fn link(op: &Value) -> Value {
    let name = text(op, "task");
    let Some(entry) = world().task(name) else { return err("NoHandle") };
    let (on, task) = (op.clone(), json!(name));
    entry.link_result(op["how"].as_str().unwrap_or("link"), move |ended| {
        let mut item = ended.told(killed);
        item["task"] = task;
        world().spawn(async move {
            let world = world();
            if let Some(Object::Queue(queue)) = world.object(&on) {
                let _put = queue.put(Ranked(item)).await;
            }
        });
    });
    ok(Value::Null)
}
