//! Lines: waiters are served in FIFO order.

use super::facts::{Call, Facts};

/// Of two waiters for the same object, the first is served first; and no newcomer is served while
/// others wait.
pub(super) fn first_come_first_served(facts: &Facts<'_>) -> Result<(), String> {
    const OPS: &[&str] = &["acquire", "get", "put", "spawn", "spawn_n", "rp_get"];
    for first in facts.calls_of(OPS).filter(|call| waits_in_line(call)) {
        let overtakes = |later: &&Call<'_>| {
            let same = later.name() == first.name() && later.on() == first.on();
            let ended_before = later.ended.is_some_and(|ended| first.is_open_at(ended));
            same && first.began < later.began && ended_before && is_served(later)
        };
        // A waiter that was never served may have been overtaken: it is gone.
        let found = facts.calls_of(OPS).filter(|_| is_served(first)).find(overtakes);
        let may_not = |later: &&Call<'_>| !owns(facts, later) && !is_inside(facts, later);
        if let Some(later) = found.filter(may_not) {
            let (a, b) = (first.who, later.who);
            return Err(format!("{b} overtakes {a} in {} at {}", later.op, later.ticks.1));
        }
    }
    Ok(())
}

fn waits_in_line(call: &Call<'_>) -> bool {
    call.op["block"] != false && call.op["blocking"] != false
}

fn is_served(call: &Call<'_>) -> bool {
    call.result.is_some_and(|result| result["ok"] != false && result["err"].is_null())
}

/// A re-entrant lock's owner does not wait for it.
fn owns(facts: &Facts<'_>, call: &Call<'_>) -> bool {
    facts.objects("rlock").any(|name| name == call.on())
}

/// A member of a full pool runs its work in place.
fn is_inside(facts: &Facts<'_>, call: &Call<'_>) -> bool {
    facts
        .calls_of(&["spawn", "spawn_n"])
        .any(|other| other.on() == call.on() && other.script() == call.who)
}
