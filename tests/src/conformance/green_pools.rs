//! eventlet's ops on pools and piles.

use serde_json::{Value, json};
use spinney::map::from_stream;
use spinney::{GreenPile, GreenPool, InsideGroup};
use spinney_sim::SimHub;

use super::entry::Ended;
use super::eventlet::killed;
use super::results::{Iteration, iterable};
use super::script::{Who, number, task, text};
use super::world::{Manner, Outcome, err, ok, world};

/// What an op comes to; None if there is no such op.
pub(super) async fn on_pool(
    who: &Who,
    name: &str,
    op: &Value,
    pool: &GreenPool<SimHub>,
) -> Option<Value> {
    match name {
        "spawn" => return Some(spawn(who, op, pool).await),
        "spawn_n" => pool.spawn_n(task(who.api, op["task"].clone(), None)).await,
        // Nobody ever gets in, so eventlet's has nobody to wait for.
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

/// What runs in place raises its error here, and has no handle then.
async fn spawn(who: &Who, op: &Value, pool: &GreenPool<SimHub>) -> Value {
    let runs_in_place = pool.free() <= 0 && pool.pool().is_inside();
    let mut greenlet = pool.spawn(task(who.api, op["task"].clone(), None)).await;
    if runs_in_place {
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
    // eventlet's has slots of its own, as many as the pool.
    let slots = match world.manner {
        Manner::Theirs => {
            world.quirk.set(true);
            GreenPool::on(&world.hub, pool.capacity())
        }
        _ => pool.clone(),
    };
    // And it reads ahead: into a queue of one more than those.
    let mapper = slots.pool().mapper().maxsize(pool.capacity() + 1);
    let func = move |(spec, extra)| task(api, spec, extra);
    let imap = mapper.imap(func, from_stream(iterable(op)));
    world.register_iteration(text(op, "name"), Iteration::new(imap, killed));
}

pub(super) async fn on_pile(
    who: &Who,
    name: &str,
    op: &Value,
    pile: &GreenPile<Outcome, SimHub>,
) -> Option<Value> {
    let world = world();
    // The pile is one in the order of spawning.
    world.quirk.set(world.quirk.get() || world.manner == Manner::Theirs);
    Some(match name {
        "pile_spawn" => {
            pile.spawn(task(who.api, op["task"].clone(), None)).await;
            ok(Value::Null)
        }
        "pile_next" => match pile.next().await {
            None => json!({ "stop": true }),
            Some(outcome) => Ended::from(outcome).told(killed),
        },
        _ => return None,
    })
}
