//! [`Parts`]: the chains, groups and chords that a [`Signature`] may be made of. Celery calls them its
//! canvas.
//!
//! The options of a signature hold its successors: `chain`, the calls after it, the next one last;
//! `chord` with `group_id` and `group_index`, the chord that it is a part of. The successors of a
//! chain run after its last task, those of a chord after its body.

use serde_json::{Map, Value, json};

use crate::message::{Follow, Signature};
use crate::source::new_id;

/// The options that a chain hands on to its last task, and a chord to its body.
const HANDED_ON: [&str; 3] = ["chord", "group_id", "group_index"];

/// What a signature is made of.
pub(crate) enum Parts {
    /// It is the call of one task.
    Task,
    /// Its calls run one after another, each with the result of the one before. Chains within a
    /// chain are part of it.
    Chain(Vec<Signature>),
    /// Its calls run concurrently. Groups within a group are part of it.
    Group(Vec<Signature>),
    /// Its body runs with the results of its header.
    Chord {
        /// The calls of the header, a group.
        header: Vec<Signature>,
        /// The id of that group.
        group: Option<String>,
        body: Option<Signature>,
    },
}

impl Signature {
    /// Takes it apart. A malformed signature within it is skipped.
    pub(crate) fn parts(&self) -> Parts {
        match self.subtask_type.as_deref() {
            Some("chain") => Parts::Chain(unrolled("chain", read(&self.kwargs, "tasks"))),
            Some("group") => Parts::Group(unrolled("group", read(&self.kwargs, "tasks"))),
            Some("chord") => {
                let header = read(&self.kwargs, "header");
                let group = match &header[..] {
                    [group] if group.is_group() => group.text("task_id").map(ToOwned::to_owned),
                    _ => None,
                };
                let body = read(&self.kwargs, "body").pop();
                Parts::Chord { header: unrolled("group", header), group, body }
            }
            _ => Parts::Task,
        }
    }

    fn is_group(&self) -> bool {
        self.is("group")
    }

    fn is(&self, kind: &str) -> bool {
        self.subtask_type.as_deref() == Some(kind)
    }

    /// The chord of a group and its body.
    fn chord(header: &Self, body: &Self) -> Self {
        let mut kwargs = Map::new();
        kwargs.insert("header".into(), json!(header));
        kwargs.insert("body".into(), json!(body));
        kwargs.insert("kwargs".into(), json!({}));
        let (task, subtask_type) = ("celery.chord".to_owned(), Some("chord".to_owned()));
        Self { task, kwargs, subtask_type, ..Self::default() }
    }

    /// Gives ids to the tasks whose results others look for. Returns their ids, as Python reads them:
    /// `[[id, parent], members]`, where only a group has members.
    pub(crate) fn freeze(&mut self) -> Value {
        match self.parts() {
            Parts::Task => json!([[self.id(), null], null]),
            Parts::Chain(mut tasks) => {
                let frozen = tasks.last_mut().map_or(Value::Null, Self::freeze);
                self.kwargs.insert("tasks".into(), json!(tasks));
                frozen
            }
            Parts::Group(mut tasks) => {
                let members: Vec<Value> = tasks.iter_mut().map(Self::freeze).collect();
                self.kwargs.insert("tasks".into(), json!(tasks));
                json!([[self.id(), null], members])
            }
            Parts::Chord { body, .. } => {
                let Some(mut body) = body else { return Value::Null };
                let frozen = body.freeze();
                self.kwargs.insert("body".into(), json!(body));
                frozen
            }
        }
    }

    /// Its id; it gets one if it has none.
    pub(crate) fn id(&mut self) -> String {
        let id = self.text("task_id").map_or_else(new_id, ToOwned::to_owned);
        self.options.insert("task_id".into(), json!(id));
        id
    }

    /// How many results it reports to the chord that it is a part of.
    pub(crate) fn reports(&self) -> usize {
        match self.parts() {
            Parts::Task => 1,
            Parts::Chain(tasks) => {
                tasks.iter().rev().map(Self::reports).find(|&reports| reports > 0).unwrap_or(0)
            }
            Parts::Group(tasks) => tasks.iter().map(Self::reports).sum(),
            Parts::Chord { body, .. } => body.map_or(0, |body| body.reports()),
        }
    }

    /// Hands on to `last` what its results are for.
    pub(crate) fn hand_on(&self, last: &mut Self) {
        for key in HANDED_ON {
            if let Some(value) = self.options.get(key) {
                last.options.insert(key.into(), value.clone());
            }
        }
        last.add_all("link", self.signatures("link"));
        if last.is_group() && self.options.contains_key("chord") {
            // Python looks at the members, where it finds the chord of a group at the end of a chain.
            let members = last.members();
            last.kwargs.insert("tasks".into(), json!(members));
            last.options.remove("link");
        }
    }

    /// Hands on to the body of a chord what follows the chord.
    pub(crate) fn hand_on_to_body(&self, body: &mut Self) {
        self.hand_on(body);
        body.then(self.signatures("chain"));
        body.add_all("link_error", self.signatures("link_error"));
        if let (Parts::Task, None, Some(id)) =
            (body.parts(), body.text("task_id"), self.text("task_id"))
        {
            body.options.insert("task_id".into(), json!(id));
        }
    }

    /// The first of a chain's `tasks`, followed by the others and by what follows the chain.
    pub(crate) fn head_of(&self, mut tasks: Vec<Self>) -> Option<Self> {
        self.hand_on(tasks.last_mut()?);
        for task in &mut tasks {
            task.add_all("link_error", self.signatures("link_error"));
        }
        let mut rest: Vec<Self> = Vec::new();
        for task in tasks.into_iter().rev() {
            // A group that others follow is the header of a chord.
            let body = rest.pop_if(|_| task.is_group());
            rest.push(body.map_or(task.clone(), |body| Self::chord(&task, &body)));
        }
        let mut head = rest.pop()?;
        head.then(self.signatures("chain").into_iter().chain(rest).collect());
        Some(head)
    }

    /// The members of a group, each followed by what follows the group.
    pub(crate) fn members(&mut self) -> Vec<Self> {
        let Parts::Group(mut tasks) = self.parts() else { return Vec::new() };
        // A group at the end of a chain within a chord reports to that chord.
        let group = self.text("group_id").map_or_else(|| self.clone().id(), ToOwned::to_owned);
        for (index, task) in tasks.iter_mut().enumerate() {
            self.hand_on(task);
            task.join_group(&group, index);
            task.then(self.signatures("chain"));
        }
        tasks
    }

    /// The tasks whose results would be those of the signature, if it were called.
    pub(crate) fn ends(&self) -> Vec<Self> {
        match self.parts() {
            Parts::Task => vec![self.clone()],
            Parts::Chain(mut tasks) => {
                if let Some(last) = tasks.last_mut() {
                    self.hand_on(last);
                }
                tasks.iter().flat_map(Self::ends).collect()
            }
            Parts::Group(_) => self.clone().members().iter().flat_map(Self::ends).collect(),
            Parts::Chord { body, .. } => {
                let Some(mut body) = body else { return Vec::new() };
                self.hand_on_to_body(&mut body);
                body.ends()
            }
        }
    }

    /// Adds signatures to an option that is a list of them.
    pub(crate) fn add_all(&mut self, option: &str, more: Vec<Self>) {
        if !more.is_empty() {
            let all: Vec<Self> = self.signatures(option).into_iter().chain(more).collect();
            self.options.insert(option.into(), json!(all));
        }
    }

    /// Lets `chain` follow it, after what follows it already. The next call is the last.
    pub(crate) fn then(&mut self, mut chain: Vec<Self>) {
        chain.extend(self.signatures("chain"));
        if !chain.is_empty() {
            self.options.insert("chain".into(), json!(chain));
        }
    }

    /// Makes it the member at `index` of `group`.
    pub(crate) fn join_group(&mut self, group: &str, index: usize) {
        self.options.insert("group_id".into(), json!(group));
        self.options.insert("group_index".into(), json!(index));
    }

    /// An option that is a text, and not empty.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.options.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The signatures in an option; a malformed signature is skipped.
    pub(crate) fn signatures(&self, option: &str) -> Vec<Self> {
        read(&self.options, option)
    }

    /// Its successors, as in the body of its message.
    pub(crate) fn follow(&self) -> Follow {
        let some = |option| Some(self.signatures(option)).filter(|list| !list.is_empty());
        Follow {
            callbacks: some("link"),
            errbacks: some("link_error"),
            chain: some("chain"),
            chord: self.signatures("chord").pop().map(Box::new),
        }
    }
}

/// The members of a chain or group, with those of chains within a chain, or groups within a group.
fn unrolled(kind: &str, tasks: Vec<Signature>) -> Vec<Signature> {
    let unroll = |task: Signature| match task.parts() {
        Parts::Chain(tasks) | Parts::Group(tasks) if task.is(kind) => tasks,
        _ => vec![task],
    };
    tasks.into_iter().flat_map(unroll).collect()
}

/// One signature or a list of them.
fn read(from: &Map<String, Value>, key: &str) -> Vec<Signature> {
    let read = |value: &Value| serde_json::from_value(value.clone()).ok();
    match from.get(key) {
        Some(Value::Array(list)) => list.iter().filter_map(read).collect(),
        Some(value) => read(value).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
