//! eventlet's ops on pools and piles.

use std::rc::Rc;

use serde_json::{Value, json};
use spinney::eventlet::GreenPoolExt as _;
use spinney::pool::InsideGroup;
use spinney::{GreenPile, GreenPool, Semaphore};
use spinney_sim::SimHub;

use super::entry::Ended;
use super::eventlet::killed;
use super::inputs::Input;
use super::results::Iteration;
use super::script::{Boxed, Who, number, sharing_locals, task, text};
use super::world::{Manner, Outcome, err, ok, world};

/// The outcome of an op; `None` if there is no such op.
pub(super) async fn on_pool(
    who: &Who,
    name: &str,
    op: &Value,
    pool: &GreenPool<SimHub>,
) -> Option<Value> {
    match name {
        "spawn" => return Some(spawn(who, op, pool).await),
        "spawn_n" => pool.spawn_n(script_for(who, op, pool)).await,
        // No task is ever admitted, so eventlet's has nothing to wait for.
        "waitall" if pool.capacity() == 0 && pool.running() == 0 => {}
        "waitall" => {
            if let Err(InsideGroup) = pool.waitall().await {
                return Some(err("AssertionError"));
            }
        }
        "resize" => pool.resize(number(op, "size")),
        "imap" | "starmap" => imap(who, op, pool),
        _ => return None,
    }
    Some(ok(Value::Null))
}

/// Whether the current script's spawns in the pool run in place.
fn runs_in_place(pool: &GreenPool<SimHub>) -> bool {
    pool.free() <= 0 && pool.pool().is_inside()
}

/// The script of an op that spawns it in the pool.
fn script_for(who: &Who, op: &Value, pool: &GreenPool<SimHub>) -> Boxed<Outcome> {
    let script = task(who.api, op["task"].clone(), None);
    match world().manner {
        Manner::Theirs if runs_in_place(pool) => sharing_locals(script),
        _ => script,
    }
}

/// A script in place raises its error here, and has no handle then.
async fn spawn(who: &Who, op: &Value, pool: &GreenPool<SimHub>) -> Value {
    let in_place = runs_in_place(pool);
    let mut greenlet = pool.spawn(script_for(who, op, pool)).await;
    if in_place {
        let outcome = greenlet.outcome().map(Result::<&_, _>::cloned);
        match outcome.map(Ended::from) {
            None | Some(Ended::Value(_)) => {}
            Some(failed) => return failed.told(killed),
        }
    }
    world().register(text(&op["task"], "name"), greenlet);
    ok(Value::Null)
}

fn imap(who: &Who, op: &Value, pool: &GreenPool<SimHub>) {
    let (api, world) = (who.api, world());
    // eventlet reads ahead: one item more than the pool has slots.
    let most_ahead = pool.capacity() + 1;
    let (imap, ahead) = if world.manner == Manner::Theirs {
        // And it has slots of its own.
        world.quirk.set(true);
        let slots = GreenPool::on(&world.hub, pool.capacity());
        let ahead = Rc::new(Semaphore::new(most_ahead));
        let input = Input::of(op).ahead(&ahead);
        (input.imap(api, slots.pool().mapper().unbounded()), Some(ahead))
    } else {
        (Input::of(op).imap(api, pool.pool().mapper().maxsize(most_ahead)), None)
    };
    world.register_iteration(text(op, "name"), Iteration::new(imap, ahead, killed));
}

pub(super) async fn on_pile(
    who: &Who,
    name: &str,
    op: &Value,
    pile: &GreenPile<Outcome, SimHub>,
) -> Option<Value> {
    let world = world();
    // The pile is in spawn order.
    world.quirk.set(world.quirk.get() || world.manner == Manner::Theirs);
    Some(match name {
        "pile_spawn" => {
            pile.spawn(script_for(who, op, pile.pool())).await;
            ok(Value::Null)
        }
        "pile_next" => match pile.next().await {
            None => json!({ "stop": true }),
            Some(outcome) => Ended::from(outcome).told(killed),
        },
        _ => return None,
    })
}
