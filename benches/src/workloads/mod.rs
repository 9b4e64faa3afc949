//! The workloads, one file for each kind.

mod count;
mod group_kill;
mod group_spawn;
pub(crate) mod growth;
mod hub_idle;
mod hub_spawn;
mod limits;
mod parked;
mod pool_map;
mod pool_spawn;
mod queue;
mod requests;
mod resources;
mod semaphore;
mod start;
mod threads;
mod timers;
mod work;

use std::error::Error;

use crate::target::Target;
use crate::workload::{Rival, Workload};

/// All workloads, in the order in which they are shown.
pub(crate) fn all() -> Vec<Workload> {
    vec![
        start::trivial(),
        start::yielding(),
        start::short(),
        start::long(),
        start::sleeping(),
        start::latency(),
        pool_spawn::workload(),
        group_spawn::workload(),
        pool_map::ordered(),
        pool_map::computing(),
        pool_map::unordered(),
        pool_map::lazy_stream(),
        parked::on_an_event(),
        parked::asleep(),
        timers::workload(),
        semaphore::workload(),
        queue::workload(),
        resources::alone(),
        resources::contended(),
        threads::trivial(),
        threads::round_trips(),
        threads::round_trips_when_busy(),
        threads::computing(),
        group_kill::workload(),
        requests::workload(),
        limits::workload(),
        hub_spawn::workload(),
        hub_idle::workload(),
        growth::workload(),
    ]
}

/// The rival named by `who`, for example `W3/LocalHub map`.
///
/// # Errors
///
/// If there is none.
pub(crate) fn find<'a>(
    workloads: &'a [Workload],
    who: &str,
) -> Result<(&'a Workload, &'a Rival), Box<dyn Error>> {
    let (id, name) = who.split_once('/').ok_or("say WORKLOAD/RIVAL")?;
    let workload = workloads.iter().find(|workload| workload.id == id);
    let workload = workload.ok_or_else(|| format!("there is no workload {id}"))?;
    let rival = workload.rivals.iter().find(|rival| rival.name == name);
    Ok((workload, rival.ok_or_else(|| format!("{id} has no rival {name}"))?))
}

impl Workload {
    /// The targets of both hubs for any of their maps, which start no task for an item. Two threads
    /// are never slower than one; the measurement varies by a tenth.
    fn map_targets(self, verb: &str) -> Self {
        let local = || Target::wall(format!("LocalHub {verb}"));
        let hub = || Target::wall(format!("Hub {verb}, 1 thread"));
        let two_threads = Target::wall(format!("Hub {verb}, 2 threads"));
        self.target(local().of("async-executor").at_most(0.2))
            .target(local().of("futures in place").at_most(0.5))
            .target(hub().of("async-executor").at_most(0.6))
            .target(hub().of("futures in place"))
            .target(two_threads.of(format!("Hub {verb}, 1 thread")).at_most(1.1))
    }
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::load::Load;
    use crate::workload::Workload;

    // A made-up list: otherwise the programs of all rivals would be compiled a second time for this
    // test.
    #[test]
    fn rival_is_found_by_its_workload_and_name() {
        let workload = Workload::new("W1", "nothing", Load { items: 1, slots: 1 }, |_| 0);
        let workloads = [workload.on_hub("Hub spawn", |_| 0)];
        let (workload, rival) = find(&workloads, "W1/Hub spawn, 1 thread").unwrap();
        assert_eq!((workload.id, rival.hub_threads), ("W1", Some(1)));
        assert!(find(&workloads, "W1/unknown").is_err() && find(&workloads, "W0/tokio").is_err());
    }
}
