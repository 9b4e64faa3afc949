//! Runs the rivals of a workload against each other, round by round.

use std::error::Error;

use crate::load::Load;
use crate::results::{Measured, RivalMeasured};
use crate::solo;
use crate::workload::{Rival, Workload};

/// The seed of the orders of rivals, so that every run has the same orders.
const SEED: u64 = 9;

/// Runs all rivals of `workload` that `take_part` with `load`.
///
/// In each round all are measured once, each in its own process and in a new random order: so other
/// load on the machine affects them equally.
///
/// # Errors
///
/// If one of them fails, or gives a wrong answer.
pub(crate) fn run(
    workload: &Workload,
    load: Load,
    rounds: usize,
    takes_part: impl Fn(&Rival) -> bool,
) -> Result<Measured, Box<dyn Error>> {
    let rivals = workload.rivals.iter().filter(|rival| takes_part(rival));
    let mut entrants: Vec<_> = rivals.map(|rival| (rival, Vec::new())).collect();
    let mut order: Vec<usize> = (0..entrants.len()).collect();
    let mut random = fastrand::Rng::with_seed(SEED);
    for round in 1..=rounds {
        eprintln!("{}: {} items, round {round} of {rounds}", workload.id, load.items);
        random.shuffle(&mut order);
        for &index in &order {
            let (rival, samples) = &mut entrants[index];
            samples.push(solo::in_a_process(workload, rival, load)?);
        }
    }
    let rivals = entrants
        .iter()
        .filter_map(|(rival, samples)| RivalMeasured::new(&rival.name, rival.ours, samples));
    Ok(Measured { id: workload.id.into(), load, rivals: rivals.collect() })
}
