//! [`Facts`]: a run, in the form that the laws check.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::conformance::moments::{Moment, What};
use crate::conformance::scenario::Run;
use crate::conformance::{Observed, Scenario};

/// A run of a scenario.
pub(super) struct Facts<'a> {
    pub(super) spec: &'a Value,
    pub(super) expected: Observed,
    pub(super) observed: &'a Observed,
    pub(super) moments: &'a [Moment],
    /// In the order in which they began.
    pub(super) calls: Vec<Call<'a>>,
}

/// An op that was run.
pub(super) struct Call<'a> {
    pub(super) who: &'a str,
    pub(super) op: &'a Value,
    /// The moments of its begin and its end, as numbers.
    pub(super) began: usize,
    pub(super) ended: Option<usize>,
    pub(super) ticks: (u64, u64),
    /// `None` if it was interrupted, or never finished.
    pub(super) result: Option<&'a Value>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(scenario: &'a Scenario, run: &'a Run) -> Self {
        let mut calls = BTreeMap::new();
        for (number, Moment { tick, who, what }) in run.moments.iter().enumerate() {
            let (call, result) = match what {
                What::Called(op) => {
                    let ticks = (*tick, *tick);
                    let call = Call { who, op, began: number, ended: None, ticks, result: None };
                    calls.insert(number, call);
                    continue;
                }
                What::Gone(call) => (call, None),
                What::Logged(_, value, Some(call)) => (call, Some(value)),
                What::Logged(_, _, None) => continue,
            };
            if let Some(call) = calls.get_mut(call) {
                (call.ended, call.ticks.1, call.result) = (Some(number), *tick, result);
            }
        }
        Self {
            spec: &scenario.spec,
            expected: scenario.expected(),
            observed: &run.observed,
            moments: &run.moments,
            calls: calls.into_values().collect(),
        }
    }

    /// The calls of these ops.
    pub(super) fn calls_of(&self, ops: &'static [&str]) -> impl Iterator<Item = &Call<'a>> {
        self.calls.iter().filter(move |call| ops.contains(&call.name()))
    }

    /// The names of the objects of this type.
    pub(super) fn objects(&self, of_type: &str) -> impl Iterator<Item = &'a str> {
        let objects = self.spec["objects"].as_object().into_iter().flatten();
        objects.filter(move |(_, spec)| spec["type"] == of_type).map(|(name, _)| name.as_str())
    }

    /// The entries of this event: the number of the moment, the task, and the value.
    pub(super) fn entries(&self, event: &str) -> impl Iterator<Item = (usize, &'a str, &'a Value)> {
        let moments = self.moments.iter().enumerate();
        moments.filter_map(move |(number, moment)| match &moment.what {
            What::Logged(other, value, _) if other == event => {
                Some((number, moment.who.as_str(), value))
            }
            _ => None,
        })
    }

    /// The outcome of a script, as an op that asks for it returns it.
    pub(super) fn outcome(&self, script: &str) -> Option<Value> {
        let (_, _, end) = self.entries("end").find(|(_, who, _)| *who == script)?;
        Some(match end["killed"].as_str() {
            Some(exit) if self.spec["api"] == "gevent" && exit == "GreenletExit" => {
                serde_json::json!({ "ok": "!GreenletExit" })
            }
            Some(exit) => serde_json::json!({ "err": exit }),
            None => end.clone(),
        })
    }

    /// Whether a script had started, and not finished, at that moment.
    pub(super) fn runs_at(&self, script: &str, moment: usize) -> bool {
        let at = |event| {
            let mut entries = self.entries(event);
            entries.find(|(_, who, _)| *who == script).map(|(number, ..)| number)
        };
        at("start").is_some_and(|start| start <= moment) && at("end").is_none_or(|end| end > moment)
    }
}

impl Call<'_> {
    pub(super) fn name(&self) -> &str {
        self.op["op"].as_str().unwrap_or_default()
    }

    /// The name of the object.
    pub(super) fn on(&self) -> &str {
        self.op["on"].as_str().unwrap_or_default()
    }

    /// Whether it was in progress at that moment.
    pub(super) fn is_open_at(&self, moment: usize) -> bool {
        self.began < moment && self.ended.is_none_or(|ended| ended > moment)
    }

    /// The name of the script that it spawns, or adds.
    pub(super) fn script(&self) -> &str {
        let task = &self.op["task"];
        task.as_str().or(task["name"].as_str()).unwrap_or_default()
    }

    /// Whether it had finished with success at that moment.
    pub(super) fn is_done_at(&self, moment: usize) -> bool {
        self.ended.is_some_and(|ended| ended <= moment)
            && self.result.is_some_and(|result| result["err"].is_null())
    }
}
