//! Slots: they are counted right, and nobody waits for one that is free.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::facts::{Call, Facts};

const SPAWNS: &[&str] = &["spawn", "spawn_n", "pile_spawn"];

const MAPS: &[&str] = &["imap", "starmap"];

const ADDS: &[&str] = &["add", "pstart"];

/// At no moment do more scripts run than there are slots, those of maps included; and each map
/// gives what its items came to.
pub(super) fn maps_run_in_the_slots(facts: &Facts<'_>) -> Result<(), String> {
    for pool in facts.objects("green_pool") {
        let scripts = scripts_of(facts, pool);
        for (moment, who, _) in facts.entries("start") {
            let holds = |script: &&String| {
                facts.runs_at(script, moment) && !lends_its_slot(facts, pool, script, moment)
            };
            let running = scripts.iter().filter(holds).count();
            if running > most_slots(facts, pool) {
                return Err(format!("{running} scripts run in {pool} when {who} starts"));
            }
        }
    }
    super::results::nothing_is_lost(facts)
}

/// Whether a script waits, at that moment, for work of its own pool that runs in its slot: for a task
/// that it spawns, or for a map that it reads.
fn lends_its_slot(facts: &Facts<'_>, pool: &str, script: &str, moment: usize) -> bool {
    let maps = facts.calls_of(MAPS).filter(|map| map.on() == pool);
    let maps: Vec<_> = maps.map(|map| &map.op["name"]).collect();
    facts.calls.iter().any(|call| {
        let is_work = match call.name() {
            "next" => maps.contains(&&call.op["it"]),
            name => SPAWNS.contains(&name) && pool_of(facts, call.on()) == pool,
        };
        is_work && call.who == script && call.is_open_at(moment)
    })
}

/// The scripts that hold slots of a pool: not those that run in the place of a member.
fn scripts_of(facts: &Facts<'_>, pool: &str) -> Vec<String> {
    let spawned = facts.calls_of(SPAWNS).filter(|call| call.on() == pool);
    let mut scripts: Vec<_> = spawned.map(|call| (call.who, call.script().to_owned())).collect();
    let members: Vec<_> = scripts.iter().map(|(_, script)| script.clone()).collect();
    scripts.retain(|(spawner, _)| !members.iter().any(|member| member == spawner));
    let maps = facts.calls_of(MAPS).filter(|call| call.on() == pool);
    let items = maps.flat_map(|call| super::results::scripts_of_map(facts, call.op));
    scripts.into_iter().map(|(_, script)| script).chain(items).collect()
}

/// The most slots that a pool has in the run.
fn most_slots(facts: &Facts<'_>, pool: &str) -> usize {
    let sizes = facts.calls_of(&["resize"]).filter(|call| call.on() == pool);
    let sizes = sizes.map(|call| &call.op["size"]);
    let sizes = sizes.chain([&facts.spec["objects"][pool]["size"]]);
    let most = sizes.filter_map(Value::as_u64).max().unwrap_or(u64::MAX);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// A pool has as many members as slots are taken, no more of them run than there are slots, and
/// a member is added again at once.
pub(super) fn slots_and_members_agree(facts: &Facts<'_>) -> Result<(), String> {
    for (what, state) in states(facts, "pool") {
        let number = |key: &str| state[key].as_u64();
        if let (Some(size), Some(len), Some(free)) = (number("size"), number("len"), number("free"))
        {
            if len + free != size {
                return Err(format!("{what}: {state}"));
            }
        }
    }
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

/// The scripts that run as members of a pool: not those in the place of another member, nor those
/// that were discarded.
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

/// Nobody waits while there is a free slot.
pub(super) fn nobody_waits_for_a_free_slot(facts: &Facts<'_>) -> Result<(), String> {
    for (what, state) in states(facts, "green_pool").chain(states(facts, "green_pile")) {
        if state["free"].as_i64() > Some(0) && state["waiting"].as_u64() > Some(0) {
            return Err(format!("{what}: {state}"));
        }
    }
    Ok(())
}

/// `waiting` is the number of those who wait for a slot. Who has one, and has yet to run, does not.
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
                // It may have been let in within this instant.
                least += u64::from(call.ended.is_none() || call.ticks.1 > look.ticks.0);
            }
        }
        let has_maps = facts.calls_of(MAPS).any(|call| call.on() == pool);
        if waiting < least || (waiting > most && !has_maps) {
            return Err(format!("{waiting} are said to wait at {}, {most} do", look.ticks.0));
        }
    }
    nobody_waits_for_a_free_slot(facts)
}

/// A `waitall` returns unless something runs or waits for ever.
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

/// All that is seen of objects of a type, and their states at the end.
fn states<'a>(facts: &'a Facts<'a>, of_type: &'a str) -> impl Iterator<Item = (String, &'a Value)> {
    facts.objects(of_type).flat_map(|name| {
        let looks = facts.calls_of(&["state"]).filter(move |call| call.on() == name);
        let seen =
            looks.filter_map(|look| Some((format!("at {}", look.ticks.0), &look.result?["ok"])));
        seen.chain([("at the end".to_owned(), &facts.observed.end["objects"][name])])
    })
}
