//! Results: each reaches its reader once and in order.

use serde_json::{Value, json};

use super::facts::{Call, Facts};

/// The first result of an `AsyncResult` is seen by all.
pub(super) fn the_first_result_stays(facts: &Facts<'_>) -> Result<(), String> {
    for name in facts.objects("async_result") {
        let gets = facts.calls_of(&["ar_get"]).filter(|call| call.on() == name);
        let seen = gets.filter_map(|call| call.result).filter(|got| got["err"] != "Timeout");
        let end = &facts.observed.end["objects"][name];
        let last = match end["exception"].as_str() {
            Some(error) => json!({ "err": error.trim_start_matches('!') }),
            None => json!({ "ok": end["value"] }),
        };
        if let Some(other) = seen.into_iter().find(|got| **got != last) {
            return Err(format!("{name} was {other}, and then {last}"));
        }
    }
    Ok(())
}

/// A green thread that ran in place of its spawner, and has finished, is dead.
pub(super) fn what_ran_in_place_is_dead(facts: &Facts<'_>) -> Result<(), String> {
    for look in facts.calls_of(&["gstate"]) {
        let task = look.op["task"].as_str().unwrap_or_default();
        let has_ended = facts.entries("end").any(|(end, who, _)| who == task && end < look.began);
        let state = look.result.map_or(&Value::Null, |result| &result["ok"]);
        if has_ended && state.is_object() && *state != json!({ "dead": true, "active": false }) {
            return Err(format!("{task} has finished, and is {state}"));
        }
    }
    Ok(())
}

/// A task that is killed before it starts fails with the error of the kill.
pub(super) fn the_error_of_a_kill_is_the_outcome(facts: &Facts<'_>) -> Result<(), String> {
    let tasks = facts.observed.end["tasks"].as_object().into_iter().flatten();
    for (task, outcome) in tasks {
        let has_started = facts.entries("start").any(|(_, who, _)| who == task);
        let mut kills = facts.calls_of(&["gkill", "gcancel"]);
        let kill = kills.find(|call| call.op["task"] == task.as_str() && call.result.is_some());
        let (false, Some(kill)) = (has_started, kill) else { continue };
        let error = kill.op["exc"].as_str().map(|label| format!("Zap:{label}"));
        let error = error.unwrap_or_else(|| "GreenletExit".to_owned());
        if *outcome != json!({ "err": error }) && kill.result != Some(&json!({"err": "NoHandle"})) {
            return Err(format!("{task} was killed with {error}, and is {outcome}"));
        }
    }
    Ok(())
}

/// The error of an iterable comes after the outcomes of its items.
pub(super) fn the_error_of_an_iterable_is_delivered(facts: &Facts<'_>) -> Result<(), String> {
    for map in facts.calls_of(&["imap", "starmap"]) {
        let Some(message) = map.op["iter_raise"].as_str() else { continue };
        let count = map.op["gen"]["count"].as_u64().and_then(|count| usize::try_from(count).ok());
        let items = map.op["items"].as_array().map_or(count.unwrap_or(0), Vec::len);
        let nexts: Vec<_> = nexts(facts, map)
            .filter(|call| call.ended.is_none() || call.result.is_some())
            .collect();
        let error = json!({ "err": format!("Boom:{message}") });
        match nexts.get(items) {
            Some(next) if next.result != Some(&error) => {
                return Err(format!("after its items comes {:?}", next.result));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A `get` that does not wait is empty only if no `put` of its queue waits with an untaken item.
pub(super) fn a_get_finds_a_waiting_put(facts: &Facts<'_>) -> Result<(), String> {
    let empty = json!({ "err": "Empty" });
    let gets = facts.calls_of(&["get"]).filter(|get| get.op["block"] == false);
    for get in gets.filter(|get| get.result == Some(&empty)) {
        let got = |put: &&Call<'_>| {
            let mut gets = facts.calls_of(&["get"]).filter(|other| other.on() == get.on());
            gets.any(|other| {
                other.ended < get.ended && other.result == Some(&json!({ "ok": put.op["item"] }))
            })
        };
        let mut puts = facts.calls_of(&["put"]).filter(|put| put.on() == get.on());
        if let Some(put) = puts.find(|put| put.is_open_at(get.began) && !got(put)) {
            return Err(format!("{} finds nothing, though {} puts", get.who, put.who));
        }
    }
    Ok(())
}

/// A reader that asks again after the end gets the end immediately.
pub(super) fn a_stop_comes_again(facts: &Facts<'_>) -> Result<(), String> {
    let stop = json!({ "stop": true });
    for map in facts.calls_of(&["imap", "starmap"]) {
        let behind = nexts(facts, map).skip_while(|call| call.result != Some(&stop));
        let mut not_told =
            behind.filter(|call| call.result != Some(&stop) || call.ticks.0 != call.ticks.1);
        // The first one may have waited for the end.
        if let Some(call) = not_told.find(|call| call.result != Some(&stop)) {
            return Err(format!("{} gets {:?} after the end", call.who, call.result));
        }
    }
    Ok(())
}

/// The outcomes of a map's items are returned in order, even if a reader has stopped waiting.
pub(super) fn nothing_is_lost(facts: &Facts<'_>) -> Result<(), String> {
    for map in facts.calls_of(&["imap", "starmap"]) {
        let scripts = scripts_of_map(facts, map.op);
        let in_order: Vec<_> = if map.op["unordered"] == true {
            let ends = facts.entries("end").map(|(_, who, _)| who.to_owned());
            ends.filter(|who| scripts.contains(who)).collect()
        } else {
            scripts
        };
        let outcomes = in_order.iter().filter_map(|script| facts.outcome(script));
        let given = nexts(facts, map).filter_map(|call| call.result);
        let given =
            given.filter(|result| result["stop"].is_null() && !is_of_iterable(map.op, result));
        agree(map.op["name"].as_str().unwrap_or_default(), given, outcomes)?;
    }
    a_pile_gives_as_tasks_end(facts)
}

/// A pile returns the outcomes of its tasks in completion order.
pub(super) fn a_pile_gives_as_tasks_end(facts: &Facts<'_>) -> Result<(), String> {
    for pile in facts.objects("green_pile") {
        let spawns = facts.calls_of(&["pile_spawn"]).filter(|call| call.on() == pile);
        let scripts: Vec<_> = spawns.map(Call::script).collect();
        let ends = facts.entries("end").filter(|(_, who, _)| scripts.contains(who));
        let outcomes = ends.filter_map(|(_, who, _)| facts.outcome(who));
        let mut nexts: Vec<_> =
            facts.calls_of(&["pile_next"]).filter(|call| call.on() == pile).collect();
        nexts.sort_by_key(|call| call.ended);
        let given = nexts.into_iter().filter_map(|call| call.result);
        agree(pile, given.filter(|result| result["stop"].is_null()), outcomes)?;
    }
    Ok(())
}

/// The returned outcomes are the first of the available ones.
fn agree<'a>(
    what: &str,
    given: impl Iterator<Item = &'a Value>,
    mut outcomes: impl Iterator<Item = Value>,
) -> Result<(), String> {
    for given in given {
        let outcome = outcomes.next();
        if outcome.as_ref() != Some(given) {
            return Err(format!("{what} returns {given} in place of {outcome:?}"));
        }
    }
    Ok(())
}

/// The calls of `next` for a map, in the order in which they finished.
fn nexts<'a, 'b>(facts: &'b Facts<'a>, map: &Call<'_>) -> impl Iterator<Item = &'b Call<'a>> {
    let name = map.op["name"].clone();
    let mut calls: Vec<_> =
        facts.calls_of(&["next"]).filter(|call| call.op["it"] == name).collect();
    calls.sort_by_key(|call| call.ended.unwrap_or(usize::MAX));
    calls.retain(|call| call.result != Some(&json!({ "err": "NoHandle" })));
    calls.into_iter()
}

fn is_of_iterable(map: &Value, result: &Value) -> bool {
    let raises = map["iter_raise"].as_str().map(|message| format!("Boom:{message}"));
    raises.is_some_and(|error| result["err"] == error)
}

/// The scripts of a map's items, in their order.
pub(super) fn scripts_of_map(facts: &Facts<'_>, map: &Value) -> Vec<String> {
    if let Some(items) = map["items"].as_array() {
        return items.iter().filter_map(|item| Some(item["name"].as_str()?.to_owned())).collect();
    }
    let Some(prefix) = map["gen"]["prefix"].as_str() else { return Vec::new() };
    let starts = facts.entries("start").map(|(_, who, _)| who);
    let mut scripts: Vec<_> =
        starts.filter_map(|who| who.strip_prefix(prefix)?.parse::<u64>().ok()).collect();
    scripts.sort_unstable();
    scripts.into_iter().map(|index| format!("{prefix}{index}")).collect()
}
