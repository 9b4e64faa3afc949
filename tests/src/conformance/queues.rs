//! [`AnyQueue`]: the queues of a scenario, of whatever kind.

use serde_json::{Value, json};
use spinney::{Channel, GetError, LifoQueue, PriorityQueue, PutError, Queue};

use super::objects::Ranked;
use super::script::limited;
use super::world::{err, ok};

pub(super) struct AnyQueue {
    kind: Kind,
    queue: Ordered,
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
    pub(super) fn new(kind: &str, limit: Option<usize>) -> Self {
        let queue = match kind {
            "lifo" => Ordered::Lifo(LifoQueue::unbounded()),
            "priority" => Ordered::Priority(PriorityQueue::unbounded()),
            "channel" => Ordered::Channel(Channel::new()),
            _ => Ordered::Fifo(Queue::unbounded()),
        };
        if kind != "channel" {
            on_queue!(&queue, queue => queue.resize(limit));
        }
        let kind = match kind {
            "channel" => Kind::Channel,
            "simple" | "light" => Kind::Simple,
            _ => Kind::Joinable,
        };
        Self { kind, queue }
    }

    pub(super) fn resize(&self, size: Option<usize>) {
        on_queue!(&self.queue, queue => queue.resize(size));
    }

    pub(super) fn state(&self) -> Value {
        on_queue!(&self.queue, queue => {
            let mut state = json!({
                "qsize": queue.len(),
                "empty": queue.is_empty(),
                "full": queue.is_full(),
            });
            match self.kind {
                Kind::Joinable => state["unfinished"] = queue.unfinished().into(),
                Kind::Channel => {
                    let balance = queue.putting().cast_signed() - queue.getting().cast_signed();
                    state["balance"] = balance.into();
                }
                Kind::Simple => {}
            }
            state
        })
    }

    /// What eventlet's op `state` gives.
    pub(super) fn eventlet_state(&self) -> Value {
        let mut state = self.state();
        on_queue!(&self.queue, queue => {
            state["getting"] = queue.getting().into();
            state["putting"] = queue.putting().into();
        });
        state
    }

    pub(super) async fn run(&self, name: &str, op: &Value) -> Value {
        let blocks = op["block"] != false;
        on_queue!(&self.queue, queue => match name {
            "put" => {
                let item = Ranked(op["item"].clone());
                if !blocks {
                    return match queue.put_nowait(item) {
                        Ok(()) => ok(Value::Null),
                        Err(PutError::Full(_)) => err("Full"),
                        Err(PutError::ShutDown(_)) => err("ShutDown"),
                    };
                }
                match limited(op, queue.put(item)).await {
                    Some(Ok(())) => ok(Value::Null),
                    Some(Err(_)) => err("ShutDown"),
                    None => err("Full"),
                }
            }
            "get" if !blocks => got(queue.get_nowait()),
            "peek" if !blocks => got(queue.peek_nowait()),
            "get" => waited(limited(op, queue.get()).await),
            "peek" => waited(limited(op, queue.peek()).await),
            "task_done" => match queue.task_done() {
                Ok(()) => ok(Value::Null),
                Err(_) => err("ValueError"),
            },
            "q_join" => ok(limited(op, queue.join()).await.is_some()),
            "shutdown" => {
                if op["immediate"] == true {
                    drop(queue.shutdown_now());
                } else {
                    queue.shutdown();
                }
                ok(Value::Null)
            }
            _ => panic!("no op {name} of a queue"),
        })
    }
}

fn got(got: Result<Ranked, GetError>) -> Value {
    match got {
        Ok(item) => ok(item.0),
        Err(GetError::Empty) => err("Empty"),
        Err(GetError::ShutDown) => err("ShutDown"),
    }
}

fn waited<E>(got: Option<Result<Ranked, E>>) -> Value {
    match got {
        Some(Ok(item)) => ok(item.0),
        Some(Err(_)) => err("ShutDown"),
        None => err("Empty"),
    }
}
