//! The promises that hold where we differ from the original: a law for each tag that allows a
//! difference.
//!
//! `docs/conformance.md` has the same table as text.

mod facts;
mod lines;
mod looks;
mod pools;
mod reentry;
mod results;
#[cfg(test)]
mod tests;

use self::facts::Facts;
use super::Scenario;
use super::scenario::Run;

/// Checks a run; the error names the broken promise, and where.
type Law = fn(&Facts<'_>) -> Result<(), String>;

const TABLE: &[(&str, Law)] = &[
    ("barging", lines::first_come_first_served),
    ("x:async_result_set_twice", results::the_first_result_stays),
    ("x:channel_get_nowait", results::a_get_finds_a_waiting_put),
    ("x:imap_own_pool", pools::maps_run_in_the_slots),
    ("x:inline_handle", results::what_ran_in_place_is_dead),
    ("x:iter_raise_hangs", results::the_error_of_an_iterable_is_delivered),
    ("x:kill_unstarted_exc", results::the_error_of_a_kill_is_the_outcome),
    ("x:next_after_stop", results::a_stop_comes_again),
    ("x:next_interrupted", results::nothing_is_lost),
    ("x:pile_spawn_order", results::a_pile_gives_as_tasks_end),
    ("x:pool_discard_nonmember", pools::slots_and_members_agree),
    ("x:pool_double_add", pools::slots_and_members_agree),
    ("x:resize_no_wake", pools::nobody_waits_for_a_free_slot),
    ("x:sem_timeout_barges", lines::first_come_first_served),
    ("x:tp_shrink_late", pools::no_task_starts_while_all_threads_are_busy),
    ("x:waitall_lost", pools::waitall_returns_when_idle),
    ("x:waiting_miscount", pools::those_waiting_are_counted),
];

/// The laws of a run in which members run their work in place, for scenarios in which the
/// original's members wait for a slot of their own pool. The run with pools whose members wait must
/// be the same.
const IN_PLACE: &[(&str, Law)] = &[
    ("x:reentry_blocks", reentry::no_member_waits_for_a_slot_for_ever),
    ("x:reentry_waits", reentry::work_of_a_member_starts_at_once),
];

/// Tags with a recipe in `docs/migrating.md`: a scenario with no other tag must be the same with
/// the recipe.
const RECIPES: &[&str] =
    &["x:async_result_set_twice", "x:imap_own_pool", "x:kill_unstarted_exc", "x:pile_spawn_order"];

/// For observations that depend on the order of turns within an instant, and on nothing else.
const ORDER: (&str, Law) = ("fifo", looks::only_looks_differ);

/// The tags of a scenario that allow it to differ, and the broken promises of a run.
pub(super) fn check(scenario: &Scenario, run: &Run) -> (Vec<String>, Vec<String>) {
    let facts = Facts::of(scenario, run);
    let laws = TABLE.iter().filter(|(tag, _)| scenario.has_tag(tag));
    let laws: Vec<_> = laws.collect();
    let only_order = scenario.has_tag("fifo") && laws.is_empty();
    let (mut tags, mut broken) = (Vec::new(), Vec::new());
    for (tag, law) in laws.into_iter().chain(only_order.then_some(&ORDER)) {
        tags.push((*tag).to_owned());
        broken.extend(law(&facts).err().map(|what| format!("{tag}: {what}")));
    }
    (tags, broken)
}

/// Whether the scenario must be the same with recipes, given these tags.
pub(super) fn have_recipes(tags: &[String]) -> bool {
    !tags.is_empty() && tags.iter().all(|tag| RECIPES.contains(&tag.as_str()))
}

/// Whether the scenario has a law for members that run their work in place.
pub(super) fn has_work_in_place(scenario: &Scenario) -> bool {
    IN_PLACE.iter().any(|(tag, _)| scenario.has_tag(tag))
}

/// The broken promises of a run in which members run their work in place.
pub(super) fn check_in_place(scenario: &Scenario, run: &Run) -> Vec<String> {
    let facts = Facts::of(scenario, run);
    let laws = IN_PLACE.iter().filter(|(tag, _)| scenario.has_tag(tag));
    laws.filter_map(|(tag, law)| Some(format!("{tag}: {}", law(&facts).err()?))).collect()
}

/// The tags that allow a difference.
pub fn allowed_tags() -> impl Iterator<Item = &'static str> {
    TABLE.iter().chain(IN_PLACE).chain([&ORDER]).map(|(tag, _)| *tag)
}
