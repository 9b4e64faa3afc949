//! Lets the rivals of a workload compete, round by round.

use std::error::Error;

use crate::args::Args;
use crate::load::Load;
use crate::results::{Measured, RivalMeasured};
use crate::solo;
use crate::workload::{Rival, Workload};

/// What orders of rivals are drawn from, so that every run has the same.
const SEED: u64 = 9;

/// Lets all rivals of `workload` that were asked for do `load`.
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
    args: &Args,
) -> Result<Measured, Box<dyn Error>> {
    let rounds = args.rounds();
    let asked_for = |rival: &&Rival| rival.name.contains(&args.rival);
    let mut entrants: Vec<_> =
        workload.rivals.iter().filter(asked_for).map(|rival| (rival, Vec::new())).collect();
    let mut order: Vec<usize> = (0..entrants.len()).collect();
    let mut random = fastrand::Rng::with_seed(SEED);
    for round in 1..=rounds {
        eprintln!("{} with {load:?}: round {round} of {rounds}", workload.id);
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
