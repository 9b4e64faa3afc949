//! Random nested maps, spawns and applies in random orders: no task waits for ever, every result is
//! right, every slot is freed, and running tasks never exceed the slots. `SPINNEY_SEEDS=1000..9000`
//! tries other seeds than the default ones.

mod acts;
mod world;

use std::rc::Rc;

use acts::act;
use fastrand::Rng;
use spinney::Pool;
use spinney::gevent::{GroupExt as _, PoolExt as _};
use spinney::pool::Reentry;
use spinney::task::spawn_on;
use spinney_tests::SimHub;
use world::{Rules, World};

/// All events are drawn from `rng`.
fn run(sim: &SimHub, mut rng: Rng, rules: Rules) {
    let capacity = rng.usize(1..4);
    let reentry = if rng.u8(..8) == 0 { Reentry::Inline } else { Reentry::InPlace };
    let pool = Pool::builder().reentry(reentry).pool_on(sim, capacity);
    let world = Rc::new(World::new(sim, &pool, rules, rng));
    sim.block_on(async {
        let mut actors = Vec::new();
        for _ in 0..=world.below(4) {
            let (inside, acting) = (world.below(2) == 0, Rc::clone(&world));
            let actor = async move {
                for _ in 0..=acting.below(3) {
                    act(Rc::clone(&acting), 2, inside).await;
                }
            };
            actors.push(if inside { pool.apply_async(actor) } else { spawn_on(sim, actor) });
        }
        disturb(&world, capacity).await;
        for actor in actors {
            let ended = actor.await;
            assert!(ended.is_ok() || rules != Rules::Peace, "{ended:?}");
        }
        while let Some(reader) = world.take_reader() {
            drop(reader.await);
        }
        pool.wait_idle().await.unwrap();
        pool.join().await.unwrap();
    });
    sim.run_until_idle();
    assert_eq!(sim.pending(), 0);
    assert_eq!((pool.len(), pool.free_count(), pool.waiting()), (0, capacity, 0));
    let peak = world.gauge.peak();
    assert!(
        rules != Rules::Peace || peak <= capacity,
        "{peak} ran concurrently in {capacity} slots"
    );
}

/// Kills and resizes as the rules allow.
async fn disturb(world: &World, capacity: usize) {
    if world.rules == Rules::Peace {
        return;
    }
    let resizes = world.rules == Rules::Anything && world.below(2) == 0;
    for _ in 0..world.below(12) {
        world.pause().await;
        let members = world.pool.members();
        match world.below(6) {
            0 | 1 if !members.is_empty() => members[world.below(members.len())].kill_now(),
            2 => world.pool.kill_now(),
            _ if resizes => world.pool.resize(world.below(4)),
            _ => {}
        }
    }
    world.pool.resize(capacity);
}

fn each_seed(rules: Rules) {
    let seeds = std::env::var("SPINNEY_SEEDS").unwrap_or_else(|_| "0..1000".to_owned());
    let (from, to) = seeds.split_once("..").expect("SPINNEY_SEEDS is FROM..TO");
    for seed in from.parse().unwrap()..to.parse().unwrap() {
        SimHub::check([seed], |sim| run(sim, Rng::with_seed(seed), rules));
    }
}

#[test]
fn random_nested_uses_of_a_pool_all_succeed() {
    each_seed(Rules::Peace);
}

#[test]
fn random_kills_of_nested_members_leak_no_slot() {
    each_seed(Rules::Kills);
}

#[test]
fn random_kills_panics_and_resizes_leak_no_slot() {
    each_seed(Rules::Anything);
}
