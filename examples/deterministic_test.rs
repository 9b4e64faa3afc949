//! How to test a program that uses a pool: in virtual time, under many seeds, each of which is an
//! order of events that can be replayed. `cargo test --example deterministic_test` runs its tests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use spinney::hub::BoxTask;
use spinney::{Greenlet, Pool, Spawn, sleep};
use spinney_sim::SimHub;

const HOUR: Duration = Duration::from_secs(3600);

/// Changes the balance of an account, if that covers it.
async fn order(balance: Arc<Mutex<i32>>, amount: i32) -> bool {
    // The bank takes its time.
    sleep(HOUR).await;
    let mut balance = balance.lock().unwrap_or_else(PoisonError::into_inner);
    let covered = *balance + amount >= 0;
    if covered {
        *balance += amount;
    }
    covered
}

/// The program: pays 100 in, and 80 to somebody else. True if the latter was covered.
///
/// It runs on any hub that can spawn a `BoxTask`, in service a `Hub`. If it is `hasty`, it has a
/// flaw: it gives the second order without waiting for the first.
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

    let seed = race().expect("one of them brings the flaw to light");
    println!("hasty, seed {seed}: covered is false");
    let again: Vec<_> = (0..3).map(|_| covered(&SimHub::seeded(seed), true)).collect();
    println!("three times more: {again:?}");

    // Panics with the seed, if there is one under which the scenario does.
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
    fn it_takes_an_hour_for_each_order() {
        let sim = SimHub::new();
        covered(&sim, false);
        assert_eq!(sim.elapsed(), 2 * HOUR);
    }

    #[test]
    fn hasty_payment_is_covered_by_luck_only() {
        assert!(covered(&SimHub::new(), true), "most tests would not find it");
        let seed = race().expect("a seed finds it");
        assert!(!covered(&SimHub::seeded(seed), true), "and finds it again");
    }

    #[test]
    #[should_panic(expected = "replay it with SimHub::seeded(")]
    fn check_names_the_seed_that_fails() {
        SimHub::check(0..100, |sim| assert!(covered(sim, true)));
    }
}
