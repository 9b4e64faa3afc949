//! [`Moment`]: the events of a run, in order.

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    pub(super) tick: u64,
    pub(super) who: String,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// An entry of the trace: event and value; at the end of an op also the number of the call.
    Logged(String, Value, Option<usize>),
    /// The begin of an op; the number of the call is that of this moment.
    Called(Value),
    /// The call of this number ended without a result: its script was interrupted.
    Gone(usize),
}

/// All events so far.
#[derive(Default)]
pub(super) struct Moments {
    list: RefCell<Vec<Moment>>,
    /// The call that the next entry ends.
    ending: Cell<Option<usize>>,
}

impl Moments {
    pub(super) fn log(&self, tick: u64, who: &str, event: &str, value: Value) {
        self.push(tick, who, What::Logged(event.to_owned(), value, self.ending.take()));
    }

    /// Records the begin of an op. Returns the number of the call.
    pub(super) fn call(&self, tick: u64, who: &str, op: &Value) -> usize {
        self.push(tick, who, What::Called(op.clone()))
    }

    /// Makes the next entry the end of that call.
    pub(super) fn end(&self, call: usize) {
        self.ending.set(Some(call));
    }

    /// Records that a call ended without a result.
    pub(super) fn gone(&self, tick: u64, who: &str, call: usize) {
        self.push(tick, who, What::Gone(call));
    }

    pub(super) fn list(&self) -> Vec<Moment> {
        self.list.borrow().clone()
    }

    /// The entries, in canonical order.
    pub(super) fn trace(&self) -> Vec<Value> {
        let mut list = self.list();
        list.sort_by(|a, b| (a.tick, &a.who).cmp(&(b.tick, &b.who)));
        let entry = |moment: Moment| match moment.what {
            What::Logged(event, value, _) => Some(json!([moment.tick, moment.who, event, value])),
            What::Called(_) | What::Gone(_) => None,
        };
        list.into_iter().filter_map(entry).collect()
    }

    fn push(&self, tick: u64, who: &str, what: What) -> usize {
        let mut list = self.list.borrow_mut();
        list.push(Moment { tick, who: who.to_owned(), what });
        list.len() - 1
    }
}
