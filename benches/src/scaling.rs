//! The cost of an item by the number of items, and by the number of slots.

use std::error::Error;
use std::iter::successors;

use crate::args::{Args, Size};
use crate::contest;
use crate::load::Load;
use crate::results::Measured;
use crate::workload::{Rival, Workload};

/// Its name on the command line.
pub(crate) const ID: &str = "scaling";

/// The workload whose load is varied: its items wait, so that its slots matter.
pub(crate) const WORKLOAD: &str = "W3";

/// The rivals that take part.
pub(crate) const RIVALS: &[&str] = &[
    "async-executor",
    "futures in place",
    "LocalHub map",
    "Hub map, 1 thread",
    "Hub map, 2 threads",
];

/// Rounds of a full run: it has many loads.
const MOST_ROUNDS: usize = 3;

/// The slots while the number of items grows.
const SLOTS: u32 = 100;

/// The quantity that grows while the other stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growing {
    Items,
    Slots,
}

impl Growing {
    /// The loads among `measured` that differ in nothing else, the smallest first.
    pub(crate) fn series(self, measured: &[Measured]) -> Vec<(u32, &Measured)> {
        let items = measured.iter().find(|it| slots(it.load) != SLOTS).map(|it| it.load.items);
        let mut series: Vec<_> = measured
            .iter()
            .filter(|it| match self {
                Self::Items => slots(it.load) == SLOTS,
                Self::Slots => Some(it.load.items) == items,
            })
            .map(|it| match self {
                Self::Items => (it.load.items, it),
                Self::Slots => (slots(it.load), it),
            })
            .collect();
        series.sort_by_key(|(size, _)| *size);
        series
    }
}

/// Measures all loads.
///
/// # Errors
///
/// If a rival fails, or gives a wrong answer.
pub(crate) fn run(workload: &Workload, args: &Args) -> Result<Vec<Measured>, Box<dyn Error>> {
    let takes_part = |rival: &Rival| RIVALS.contains(&rival.name.as_str());
    let rounds = args.rounds().min(MOST_ROUNDS);
    let measure = |load| contest::run(workload, load, rounds, takes_part);
    loads(args.size).into_iter().map(measure).collect()
}

/// Growing numbers of items, then growing numbers of slots. One load is in both series.
fn loads(size: Size) -> Vec<Load> {
    let (most_items, items, most_slots) = match size {
        Size::Full => (10_000_000, 1_000_000, 100_000),
        Size::Quick => (100_000, 10_000, 1_000),
    };
    let load = |items, slots: u32| Load { items, slots: slots as usize };
    let by_items = tenfold(1_000, most_items).map(|items| load(items, SLOTS));
    let by_slots = tenfold(1, most_slots).filter(|slots| *slots != SLOTS);
    by_items.chain(by_slots.map(|slots| load(items, slots))).collect()
}

/// `from`, ten times that, and so on up to `to`.
fn tenfold(from: u32, to: u32) -> impl Iterator<Item = u32> {
    successors(Some(from), move |last| last.checked_mul(10).filter(|next| *next <= to))
}

fn slots(load: Load) -> u32 {
    load.slots.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Growing, loads};
    use crate::args::Size;
    use crate::results::Measured;

    #[test]
    fn both_series_share_the_load_where_they_cross() {
        let measured = |load| Measured { id: String::new(), load, rivals: Vec::new() };
        let measured: Vec<_> = loads(Size::Full).into_iter().map(measured).collect();
        let sizes = |growing: Growing| -> Vec<u32> {
            growing.series(&measured).into_iter().map(|(size, _)| size).collect()
        };
        assert_eq!(sizes(Growing::Items), [1_000, 10_000, 100_000, 1_000_000, 10_000_000]);
        assert_eq!(sizes(Growing::Slots), [1, 10, 100, 1_000, 10_000, 100_000]);
        assert_eq!(measured.len(), 10);
    }
}
