//! How to test a program that uses a pool: in virtual time, under many seeds, each of which is an
//! order of events that can be replayed. `cargo test --example deterministic_test` runs its tests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use spinney::hub::BoxTask;
use spinney::{Greenlet, Pool, Spawn, sleep};
use spinney_sim::SimHub;

const HOUR: Duration = Duration::from_secs(3600);

/// Changes the balance of an account, if it covers the change.
async fn order(balance: Arc<Mutex<i32>>, amount: i32) -> bool {
    // The bank takes some time.
    sleep(HOUR).await;
    let mut balance = balance.lock().unwrap_or_else(PoisonError::into_inner);
    let covered = *balance + amount >= 0;
    if covered {
        *balance += amount;
    }
    covered
}

/// The program: deposits 100, and pays 80. Returns `true` if the payment was covered.
///
/// It runs on any hub that can spawn a `BoxTask`; in production on a `Hub`. If it is `hasty`, it
/// has a bug: it sends the payment without waiting for the deposit.
async fn pay<X: Spawn<BoxTask>>(pool: Pool<X>, hasty: bool) -> bool {
    let balance = Arc::default();
    let deposit = Greenlet::new(order(Arc::clone(&balance), 100));
    let payment = Greenlet::new(order(balance, -80));
    pool.start(&deposit).await;
    if !hasty {
        deposit.await.expect("no order panics");
    }
    pool.start(&payment).await;
    payment.await.expect("no order panics")
}

/// Runs the program on `sim`, which has virtual time.
fn covered(sim: &SimHub, hasty: bool) -> bool {
    sim.block_on(pay(Pool::on(sim, 2), hasty))
}

/// The first seed under which the hasty program fails.
fn race() -> Option<u64> {
    (0..100).find(|&seed| !covered(&SimHub::seeded(seed), true))
}

fn main() {
    let sim = SimHub::new();
    println!("hasty, first in, first out: covered is {}", covered(&sim, true));
    println!("that took {:?} of virtual time", sim.elapsed());

    let seed = race().expect("one of the seeds finds the bug");
    println!("hasty, seed {seed}: covered is false");
    let again: Vec<_> = (0..3).map(|_| covered(&SimHub::seeded(seed), true)).collect();
    println!("three times more: {again:?}");

    // Panics with the seed, if the scenario panics under one.
    SimHub::check(0..100, |sim| assert!(covered(sim, false)));
    println!("patient: covered under each of 100 seeds");
}

#[cfg(test)]
mod tests {
    use super::{HOUR, SimHub, covered, race};

    #[test]
    fn patient_payment_is_covered_in_any_order() {
        SimHub::check(0..100, |sim| assert!(covered(sim, false)));
    }

    #[test]
    fn program_takes_an_hour_of_virtual_time_per_order() {
        let sim = SimHub::new();
        covered(&sim, false);
        assert_eq!(sim.elapsed(), 2 * HOUR);
    }

    #[test]
    fn hasty_payment_is_covered_by_luck_only() {
        assert!(covered(&SimHub::new(), true), "the bug shows without a seed");
        let seed = race().expect("a seed finds the bug");
        assert!(!covered(&SimHub::seeded(seed), true), "the seed does not find the bug again");
    }

    #[test]
    #[should_panic(expected = "replay it with SimHub::seeded(")]
    fn check_names_the_seed_that_fails() {
        SimHub::check(0..100, |sim| assert!(covered(sim, true)));
    }
}
