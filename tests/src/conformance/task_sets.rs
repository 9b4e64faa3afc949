//! gevent's ops on groups and pools.

use std::future::pending;

use serde_json::{Value, json};
use spinney::gevent::pool::apply;
use spinney::gevent::{GroupExt as _, PoolExt as _};
use spinney::{Greenlet, Group, Handle, TaskSet};
use spinney_sim::SimHub;

use super::entry::{Ended, Entry};
use super::gated::Gated;
use super::gevent::killed;
use super::maps;
use super::script::{Boxed, Who, exit_of, limited, sharing_locals, task, text};
use super::world::{Manner, Outcome, err, ok, world};

/// A group or a pool.
#[derive(Clone)]
pub(super) enum Either {
    Group(Group<SimHub>),
    Pool(Gated),
}

impl Either {
    pub(super) fn tasks(&self) -> &TaskSet<SimHub> {
        match self {
            Self::Group(group) => group,
            Self::Pool(pool) => pool,
        }
    }

    pub(super) async fn spawn(&self, script: Boxed<Outcome>) -> Greenlet<Outcome> {
        match self {
            Self::Group(group) => group.spawn(script),
            Self::Pool(pool) => pool.spawn(script).await,
        }
    }
}

/// The outcome of an op; `None` if there is no such op.
pub(super) async fn run(who: &Who, name: &str, op: &Value, on: &Either) -> Option<Value> {
    let tasks = on.tasks();
    match name {
        "spawn" => {
            let greenlet = on.spawn(task(who.api, op["task"].clone(), None)).await;
            world().register(text(&op["task"], "name"), greenlet);
        }
        "map" | "map_async" => return Some(maps::map(who, op, on).await),
        "imap" => maps::imap(who, op, tasks),
        "apply" | "apply_cb" | "apply_async" => return Some(run_apply(who, name, op, on).await),
        "join" => return Some(join(op, tasks).await),
        "kill" => {
            mark_dying(op, tasks.members());
            let ended = tasks.kill_with(exit_of(op));
            if op["block"] != false {
                limited(op, ended).await;
            }
        }
        "wait_available" => return Some(ok(wait_available(op, on).await)),
        "pstart" | "add" | "discard" | "contains" | "killone" => {
            let Some(entry) = world().task(text(op, "task")) else { return Some(err("NoHandle")) };
            return Some(on_member(name, op, on, &entry).await);
        }
        _ => return None,
    }
    Some(ok(Value::Null))
}

async fn on_member(name: &str, op: &Value, on: &Either, entry: &Entry) -> Value {
    let tasks = on.tasks();
    match name {
        "contains" => return ok(tasks.contains(&entry.handle)),
        "discard" => {
            tasks.discard(&entry.handle);
            world().dying.borrow_mut().remove(&dying(op, &entry.handle));
        }
        // gevent's does not wait for a dying greenlet, where ours does.
        "killone" if world().dying.borrow().contains(&dying(op, &entry.handle)) => {}
        "killone" => {
            mark_dying(op, Some(entry.handle.clone()).filter(|member| tasks.contains(member)));
            let ended = tasks.killone_with(&entry.handle, exit_of(op));
            if op["block"] != false {
                limited(op, ended).await;
            }
        }
        _ if !add(op, on, &entry.handle).await => return err("PoolFull"),
        "pstart" if entry.is_unstarted() => entry.start(),
        _ => {}
    }
    ok(Value::Null)
}

/// The key in `World::dying` of a greenlet to which the op's group or pool has sent a kill.
fn dying(op: &Value, greenlet: &Handle) -> (String, u64) {
    (text(op, "on").to_owned(), greenlet.id())
}

/// Records that the op's group or pool sends `members` a kill.
fn mark_dying(op: &Value, members: impl IntoIterator<Item = Handle>) {
    let members = members.into_iter().map(|member| dying(op, &member));
    world().dying.borrow_mut().extend(members);
}

/// `false` if there is no room.
async fn add(op: &Value, on: &Either, greenlet: &Handle) -> bool {
    match on {
        Either::Group(group) => {
            group.add(greenlet);
            true
        }
        Either::Pool(pool) if op["blocking"] == false => pool.try_add(greenlet).is_ok(),
        Either::Pool(pool) => limited(op, pool.add(greenlet)).await.is_some(),
    }
}

async fn wait_available(op: &Value, on: &Either) -> Option<usize> {
    let Either::Pool(pool) = on else { return None };
    let free = limited(op, pool.wait_available()).await;
    Some(if pool.capacity().is_none() { 1 } else { free.unwrap_or_else(|| pool.free_count()) })
}

async fn run_apply(who: &Who, name: &str, op: &Value, on: &Either) -> Value {
    let script = task(who.api, op["task"].clone(), None);
    let label = op["cb"].as_str().map(str::to_owned);
    let callback = move |outcome: &Outcome| {
        if let (Some(label), Ok(value)) = (&label, outcome) {
            world().log(label, "cb", json!({ "value": value }));
        }
    };
    let manner = world().manner;
    if name == "apply_async" && manner != Manner::Theirs {
        world().register(text(op, "name"), on.tasks().apply_async_cb(script, callback));
        return ok(Value::Null);
    }
    let script: Boxed<Outcome> = Box::pin(async move {
        let outcome = script.await;
        callback(&outcome);
        outcome
    });
    if name == "apply_async" {
        let greenlet = match on {
            Either::Group(group) => group.apply_async(script),
            Either::Pool(pool) => pool.apply_async(script),
        };
        world().register(text(op, "name"), greenlet);
        return ok(Value::Null);
    }
    let outcome = match (manner, on) {
        (Manner::InPlace, _) => on.tasks().apply(script).await,
        (Manner::Theirs, _) if on.tasks().is_inside() => {
            apply(on.tasks(), sharing_locals(script)).await
        }
        (Manner::Theirs, Either::Pool(pool)) => pool.spawn(script).await.await,
        _ => apply(on.tasks(), script).await,
    };
    Ended::from(outcome).told(killed)
}

/// gevent's `join`: a member waits for itself, where ours fails; and it raises only the errors of
/// greenlets that are members at the call.
async fn join(op: &Value, tasks: &TaskSet<SimHub>) -> Value {
    let members = tasks.members();
    let joined = limited(op, async {
        if tasks.join().await.is_err() {
            pending::<()>().await;
        }
    });
    let joined = joined.await;
    match members.iter().find_map(error_of) {
        Some(error) if op["raise_error"] == true => err(error),
        _ => ok(joined.is_some()),
    }
}

/// The failure of a finished member.
fn error_of(member: &Handle) -> Option<String> {
    match member.failure() {
        Some(failure) => match Ended::from(&failure) {
            Ended::Error(error) => Some(error),
            _ => None,
        },
        None => world().outcomes.borrow().get(&member.id())?.clone().err(),
    }
}
