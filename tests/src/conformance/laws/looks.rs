//! The order of turns within an instant: only observers in that instant see it.

use serde_json::Value;

use super::facts::Facts;

/// The ops that change nothing.
const LOOKS: &[&str] = &["state", "gstate", "contains"];

/// The same events happen at the same ticks; only observations within one instant differ, or the
/// order in which finished tasks are listed.
pub(super) fn only_looks_differ(facts: &Facts<'_>) -> Result<(), String> {
    let theirs = facts.expected.trace.iter().map(without_looks);
    let ours = facts.observed.trace.iter().map(without_looks);
    if facts.expected.end != facts.observed.end || !theirs.eq(ours) {
        return Err("more differs than observations within one instant".to_owned());
    }
    Ok(())
}

/// An entry without the parts that depend on the order of turns in its instant.
fn without_looks(entry: &Value) -> Value {
    let mut entry = entry.clone();
    let event = entry[2].as_str().unwrap_or_default().to_owned();
    if LOOKS.contains(&event.as_str()) {
        entry[3] = Value::Null;
    }
    let names = entry.pointer_mut("/3/ok").and_then(Value::as_array_mut);
    if let (true, Some(names)) = (event == "joinall", names) {
        names.sort_by_key(Value::to_string);
    }
    entry
}
