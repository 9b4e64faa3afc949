//! Slots: they are counted right, and no task waits for a free slot.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::facts::{Call, Facts};
use super::results::scripts_of_map;
use crate::conformance::moments::{Moment, What};

const SPAWNS: &[&str] = &["spawn", "spawn_n", "pile_spawn"];

/// The ops that start a task of a pool, and wait until it has started or finished.
const WORKS: &[&str] = &["spawn", "spawn_n", "pile_spawn", "apply", "apply_cb"];

const ITERATORS: &[&str] = &["imap", "starmap"];

const MAPS: &[&str] = &["imap", "starmap", "map", "map_async"];

const ADDS: &[&str] = &["add", "pstart"];

/// At no moment do more scripts run than there are slots, including those of maps; and each map
/// returns the results of its items.
pub(super) fn maps_run_in_the_slots(facts: &Facts<'_>) -> Result<(), String> {
    facts.objects("green_pool").try_for_each(|pool| no_more_run_than_slots(facts, pool))?;
    super::results::nothing_is_lost(facts)
}

/// A task of the thread pool starts only while fewer tasks run than it has threads.
pub(super) fn no_task_starts_while_all_threads_are_busy(facts: &Facts<'_>) -> Result<(), String> {
    let actors = facts.spec["actors"].as_array().into_iter().flatten();
    let actors: BTreeSet<_> = actors.filter_map(|actor| actor["name"].as_str()).collect();
    let mut threads =
        facts.objects("threadpool").find_map(|pool| facts.spec["objects"][pool]["size"].as_u64());
    let mut running = 0;
    for Moment { who, what, .. } in facts.moments {
        match what {
            What::Called(op) if op["op"] == "tp_resize" => threads = op["size"].as_u64(),
            What::Logged(event, ..) if event == "start" && !actors.contains(&**who) => {
                if threads.is_some_and(|threads| running >= threads) {
                    return Err(format!("{who} starts while {running} run"));
                }
                running += 1;
            }
            What::Logged(event, ..) if event == "end" && !actors.contains(&**who) => running -= 1,
            _ => {}
        }
    }
    Ok(())
}

/// At no moment do more scripts run in a pool than it has slots. A script that waits for work of
/// its own pool does not count: the work may run in its slot.
pub(super) fn no_more_run_than_slots(facts: &Facts<'_>, pool: &str) -> Result<(), String> {
    let scripts = scripts_of(facts, pool);
    for (moment, who, _) in facts.entries("start") {
        let waits = |script: &str| {
            let works = works_of(facts, pool).filter(|(call, _)| call.who == script);
            works.into_iter().any(|(call, _)| call.is_open_at(moment))
        };
        let counts = |script: &&String| facts.runs_at(script, moment) && !waits(script);
        let running = scripts.iter().filter(counts).count();
        if running > most_slots(facts, pool) {
            return Err(format!("{running} scripts run in {pool} when {who} starts"));
        }
    }
    Ok(())
}

/// The calls that wait for work of a pool, each with the scripts of that work.
pub(super) fn works_of<'a>(
    facts: &'a Facts<'_>,
    pool: &'a str,
) -> impl Iterator<Item = (&'a Call<'a>, Vec<String>)> {
    let works = move |call: &'a Call<'a>| match call.name() {
        "next" => {
            let mut maps = facts.calls_of(ITERATORS).filter(|map| map.on() == pool);
            let map = maps.find(|map| map.op["name"] == call.op["it"])?;
            Some((call, scripts_of_map(facts, map.op)))
        }
        "map" if call.on() == pool => Some((call, scripts_of_map(facts, call.op))),
        name if WORKS.contains(&name) && pool_of(facts, call.on()) == pool => {
            Some((call, vec![call.script().to_owned()]))
        }
        _ => None,
    };
    facts.calls.iter().filter_map(works)
}

/// The scripts that are members of a pool, in any slot.
pub(super) fn scripts_of(facts: &Facts<'_>, pool: &str) -> Vec<String> {
    let of_pool = |ops| facts.calls_of(ops).filter(|call| pool_of(facts, call.on()) == pool);
    let spawned = of_pool(WORKS).chain(of_pool(&["apply_async"]));
    let spawned = spawned.map(|call| call.script().to_owned());
    spawned.chain(of_pool(MAPS).flat_map(|call| scripts_of_map(facts, call.op))).collect()
}

/// The largest number of slots of a pool in the run.
fn most_slots(facts: &Facts<'_>, pool: &str) -> usize {
    let sizes = facts.calls_of(&["resize"]).filter(|call| call.on() == pool);
    let sizes = sizes.map(|call| &call.op["size"]);
    let sizes = sizes.chain([&facts.spec["objects"][pool]["size"]]);
    let most = sizes.filter_map(Value::as_u64).max().unwrap_or(u64::MAX);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// A pool has as many members as slots are taken, no more of them run than there are slots, and
/// adding a member again returns immediately.
pub(super) fn slots_and_members_agree(facts: &Facts<'_>) -> Result<(), String> {
    slots_make_the_size(facts)?;
    for pool in facts.objects("pool") {
        let slots = most_slots(facts, pool);
        for (moment, who, _) in facts.entries("start") {
            let running = members_at(facts, pool, moment);
            if running.len() > slots {
                return Err(format!("{running:?} run in {pool} when {who} starts"));
            }
        }
        for add in facts.calls_of(ADDS).filter(|call| call.on() == pool) {
            let is_member = members_at(facts, pool, add.began).contains(&add.script());
            let at_once = add.result == Some(&json!({ "ok": null })) && add.ticks.0 == add.ticks.1;
            if is_member && !at_once {
                return Err(format!("{} adds a member, and waits or is refused", add.who));
            }
        }
    }
    Ok(())
}

/// Taken and free slots sum to the size of a pool, whenever its state is seen.
pub(super) fn slots_make_the_size(facts: &Facts<'_>) -> Result<(), String> {
    for (what, state) in states(facts, "pool") {
        let number = |key: &str| state[key].as_u64();
        if let (Some(size), Some(len), Some(free)) = (number("size"), number("len"), number("free"))
        {
            if len + free != size {
                return Err(format!("{what}: {state}"));
            }
        }
    }
    Ok(())
}

/// The scripts that run as members of a pool: not those in place of another member, nor discarded
/// ones.
fn members_at<'a>(facts: &'a Facts<'_>, pool: &str, moment: usize) -> BTreeSet<&'a str> {
    let of_pool = |ops| facts.calls_of(ops).filter(move |call| call.on() == pool);
    let spawned = of_pool(&["spawn", "apply", "apply_cb", "apply_async"]);
    let added = of_pool(ADDS).filter(|call| call.is_done_at(moment));
    let discarded: Vec<_> =
        of_pool(&["discard"]).filter(|call| call.is_done_at(moment)).map(Call::script).collect();
    let all: Vec<_> = spawned.chain(added).collect();
    let is_inside = |call: &&Call<'_>| all.iter().any(|other| other.script() == call.who);
    let outer = all.iter().filter(|call| !is_inside(call)).map(|call| call.script());
    outer.filter(|script| !discarded.contains(script) && facts.runs_at(script, moment)).collect()
}

/// No task waits while there is a free slot.
pub(super) fn nobody_waits_for_a_free_slot(facts: &Facts<'_>) -> Result<(), String> {
    for (what, state) in states(facts, "green_pool").chain(states(facts, "green_pile")) {
        if state["free"].as_i64() > Some(0) && state["waiting"].as_u64() > Some(0) {
            return Err(format!("{what}: {state}"));
        }
    }
    Ok(())
}

/// `waiting` is the number of waiters for a slot. A task that has one, and has not run yet, does
/// not count.
pub(super) fn those_waiting_are_counted(facts: &Facts<'_>) -> Result<(), String> {
    for look in facts.calls_of(&["state"]) {
        let Some(waiting) = look.result.and_then(|result| result["ok"]["waiting"].as_u64()) else {
            continue;
        };
        let pool = pool_of(facts, look.on());
        let (mut least, mut most) = (0, 0);
        for call in facts.calls_of(SPAWNS).filter(|call| call.is_open_at(look.began)) {
            let started = facts.entries("start").find(|(_, who, _)| *who == call.script());
            let runs = started.is_some_and(|(start, ..)| start < look.began);
            if pool_of(facts, call.on()) == pool && !runs {
                most += 1;
                // It may have been admitted within this instant.
                least += u64::from(call.ended.is_none() || call.ticks.1 > look.ticks.0);
            }
        }
        let has_maps = facts.calls_of(ITERATORS).any(|call| call.on() == pool);
        if waiting < least || (waiting > most && !has_maps) {
            return Err(format!("{waiting} are reported to wait at {}, {most} do", look.ticks.0));
        }
    }
    nobody_waits_for_a_free_slot(facts)
}

/// A `waitall` returns unless a task runs or waits for ever.
pub(super) fn waitall_returns_when_idle(facts: &Facts<'_>) -> Result<(), String> {
    let is_stuck = |call: &&Call<'_>| {
        let end = &facts.observed.end["objects"][call.on()];
        call.ended.is_none() && end["running"] == 0 && end["waiting"] == 0
    };
    match facts.calls_of(&["waitall"]).find(is_stuck) {
        Some(call) => Err(format!("{} waits for ever for an idle {}", call.who, call.on())),
        None => Ok(()),
    }
}

/// The pool of a pile, or the object itself.
fn pool_of<'a>(facts: &'a Facts<'_>, object: &'a str) -> &'a str {
    facts.spec["objects"][object]["pool"].as_str().unwrap_or(object)
}

/// All observations of objects of a type, and their states at the end.
fn states<'a>(facts: &'a Facts<'a>, of_type: &'a str) -> impl Iterator<Item = (String, &'a Value)> {
    facts.objects(of_type).flat_map(|name| {
        let looks = facts.calls_of(&["state"]).filter(move |call| call.on() == name);
        let seen =
            looks.filter_map(|look| Some((format!("at {}", look.ticks.0), &look.result?["ok"])));
        seen.chain([("at the end".to_owned(), &facts.observed.end["objects"][name])])
    })
}
