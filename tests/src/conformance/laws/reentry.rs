//! Members that start work in their own full pool: by default the work runs in place.

use super::facts::{Call, Facts};
use super::pools::{no_more_run_than_slots, scripts_of, slots_make_the_size, works_of};

/// A member waits for ever for work of its own pool only if a script of that work has started and
/// not finished.
pub(super) fn no_member_waits_for_a_slot_for_ever(facts: &Facts<'_>) -> Result<(), String> {
    for (pool, call, scripts) in works_of_members(facts) {
        let last = facts.moments.len();
        if call.ended.is_none() && !scripts.iter().any(|script| facts.runs_at(script, last)) {
            return Err(format!("{} waits for ever for a slot of its own {pool}", call.who));
        }
    }
    slots_are_counted(facts)
}

/// A member's work in its own pool starts in the instant in which the member waits for it.
pub(super) fn work_of_a_member_starts_at_once(facts: &Facts<'_>) -> Result<(), String> {
    for (pool, call, scripts) in
        works_of_members(facts).filter(|(_, call, _)| call.name() != "next")
    {
        let Some(first) = scripts.first() else { continue };
        let start = facts.entries("start").find(|(_, who, _)| who == first);
        let tick = start.map(|(moment, ..)| facts.moments[moment].tick);
        if tick != Some(call.ticks.0) {
            let began = call.ticks.0;
            return Err(format!("{first} is due in {pool} at {began}, and starts at {tick:?}"));
        }
    }
    slots_are_counted(facts)
}

fn slots_are_counted(facts: &Facts<'_>) -> Result<(), String> {
    facts.objects("pool").try_for_each(|pool| no_more_run_than_slots(facts, pool))?;
    slots_make_the_size(facts)
}

/// The calls of members that wait for work of their own pool: the pool, and the scripts of the
/// work.
fn works_of_members<'a>(
    facts: &'a Facts<'_>,
) -> impl Iterator<Item = (&'a str, &'a Call<'a>, Vec<String>)> {
    facts.objects("pool").flat_map(|pool| {
        let members = scripts_of(facts, pool);
        let works = works_of(facts, pool);
        let of_members = works.filter(move |(call, _)| members.iter().any(|who| who == call.who));
        of_members.map(move |(call, scripts)| (pool, call, scripts))
    })
}
