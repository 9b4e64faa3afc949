//! Wake-ups from other threads, which a simulated hub accepts although it does not wait for them.

use std::future::poll_fn;

use spinney_hub::{Spawn, yield_now};
use spinney_sim::SimHub;
use spinney_test_support::WakeStorm;

/// Keeps `sim` busy: a hub without ready tasks does not wait for other threads.
fn keep_busy(sim: &SimHub) {
    sim.spawn(async {
        loop {
            yield_now().await;
        }
    });
}

#[test]
fn sim_hub_loses_no_wake_from_another_thread() {
    let (sim, mut storm) = (SimHub::new(), WakeStorm::of(1_000));
    keep_busy(&sim);
    assert!(sim.block_on(poll_fn(|cx| storm.poll(cx))));
}

#[test]
fn task_of_a_sim_hub_loses_no_wake_from_another_thread() {
    let (sim, mut storm) = (SimHub::new(), WakeStorm::of(1_000));
    keep_busy(&sim);
    let (done, ended) = std::sync::mpsc::channel();
    sim.spawn(async move { done.send(poll_fn(|cx| storm.poll(cx)).await).unwrap() });
    let none_lost = sim.block_on(async {
        loop {
            match ended.try_recv() {
                Ok(none_lost) => break none_lost,
                Err(_) => yield_now().await,
            }
        }
    });
    assert!(none_lost);
}
