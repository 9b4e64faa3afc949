//! Lets the rivals of a workload compete, round by round.

use std::error::Error;

use crate::load::Load;
use crate::results::{Measured, RivalMeasured};
use crate::solo;
use crate::workload::{Rival, Workload};

/// What the orders of rivals are drawn from, so that every run has the same.
const SEED: u64 = 9;

/// Lets all rivals of `workload` that `take_part` do `load`.
///
/// In each round all are measured once, each in a process of its own and in an order drawn anew:
/// so whatever else the machine is doing hits them alike.
///
/// # Errors
///
/// As soon as one of them fails, or gives a wrong answer.
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
