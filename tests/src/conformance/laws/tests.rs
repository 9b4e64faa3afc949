//! Each law is broken by the original's behaviour; otherwise it would mean nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{IN_PLACE, TABLE, check, check_in_place};
use crate::conformance::moments::{Moment, What};
use crate::conformance::scenario::Run;
use crate::conformance::{Scenario, default_corpus, read};

#[test]
fn original_behaviour_breaks_each_law() {
    let corpus = read(&default_corpus()).unwrap();
    let mut holds = Vec::new();
    for (tag, _) in TABLE.iter().chain(IN_PLACE) {
        let mut tagged = corpus.iter().filter(|scenario| scenario.has_tag(tag));
        let breaks = |scenario: &Scenario| {
            let original = original(scenario);
            let (_, broken) = check(scenario, &original);
            let in_place = check_in_place(scenario, &original);
            broken.iter().chain(&in_place).any(|what| what.starts_with(tag))
        };
        // The corpus has no scenario for one of them.
        if tagged.clone().next().is_some() && !tagged.any(breaks) {
            holds.push(tag);
        }
    }
    assert!(holds.is_empty(), "these hold for everything that the original did: {holds:?}");
}

/// The original's behaviour, as a run. The begin of its ops is derived from the ends of others, and
/// from the script's sleeps.
fn original(scenario: &Scenario) -> Run {
    let observed = scenario.expected();
    let mut scripts = BTreeMap::new();
    find_scripts(&scenario.spec["actors"], &mut scripts);
    let mut moments = Vec::new();
    let mut places: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for entry in &observed.trace {
        let (Some(tick), Some(who), Some(event)) =
            (entry[0].as_u64(), entry[1].as_str(), entry[2].as_str())
        else {
            continue;
        };
        let ops = scripts.get(who).map_or(&[][..], Vec::as_slice);
        let (place, since) = places.entry(who).or_insert((0, tick));
        let found = ops[*place..].iter().position(|op| op["op"] == event);
        let call = found.map(|steps| {
            let began = *since + slept(&ops[*place..*place + steps]);
            moments.push((began, 0, moment(began, who, What::Called(ops[*place + steps].clone()))));
            *place += steps + 1;
            moments.len() - 1
        });
        *since = tick;
        let what = What::Logged(event.to_owned(), entry[3].clone(), call);
        moments.push((tick, 1, moment(tick, who, what)));
    }
    for who in observed.end["blocked"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let ops = scripts.get(who).map_or(&[][..], Vec::as_slice);
        let (place, since) = places.get(who).copied().unwrap_or_default();
        if let Some(op) = ops[place..].iter().find(|op| op["op"] != "sleep") {
            moments.push((since, 2, moment(since, who, What::Called(op.clone()))));
        }
    }
    Run { observed, moments: in_order(&moments), quirk: false }
}

fn moment(tick: u64, who: &str, what: What) -> Moment {
    Moment { tick, who: who.to_owned(), what }
}

fn slept(ops: &[Value]) -> u64 {
    ops.iter().filter(|op| op["op"] == "sleep").filter_map(|op| op["d"].as_u64()).sum()
}

/// Sorts by time; within an instant begins precede the rest. Calls are known by their indices.
fn in_order(moments: &[(u64, u8, Moment)]) -> Vec<Moment> {
    let mut order: Vec<usize> = (0..moments.len()).collect();
    order.sort_by_key(|place| (moments[*place].0, moments[*place].1));
    let mut sorted: Vec<Moment> = order.iter().map(|place| moments[*place].2.clone()).collect();
    for moment in &mut sorted {
        if let What::Logged(_, _, Some(call)) = &mut moment.what {
            *call = order.iter().position(|place| place == call).expect("the call was put in");
        }
    }
    sorted
}

/// The ops of each script by its name; those of a time limit are in order.
fn find_scripts(spec: &Value, scripts: &mut BTreeMap<String, Vec<Value>>) {
    match spec {
        Value::Array(list) => list.iter().for_each(|inner| find_scripts(inner, scripts)),
        Value::Object(fields) => {
            if let (Some(name), true) = (spec["name"].as_str(), spec["op"].is_null()) {
                let mut ops = Vec::new();
                flatten(&spec["ops"], &mut ops);
                flatten(&spec["on_kill"]["ops"], &mut ops);
                scripts.insert(name.to_owned(), ops);
            }
            fields.values().for_each(|inner| find_scripts(inner, scripts));
        }
        _ => {}
    }
}

fn flatten(ops: &Value, flat: &mut Vec<Value>) {
    for op in ops.as_array().into_iter().flatten() {
        flatten(&op["body"], flat);
        flat.push(op.clone());
    }
}
