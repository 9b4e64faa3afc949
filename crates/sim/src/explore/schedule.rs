//! [`Choice`] and [`Schedule`]: the deviations of an order from FIFO order.

use std::fmt;
use std::str::FromStr;

/// A choice of a run with at least two options. Option 0 is FIFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) options: usize,
    pub(crate) picked: usize,
    pub(crate) kind: Kind,
    /// A digest of the step and of its options, which is the same in each replay.
    pub(crate) mark: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Which place in the queue has its turn.
    Turn,
    /// A choice of the program.
    Named,
}

impl Choice {
    /// The number of deviations from FIFO order: one for each skipped place in the queue, one for a
    /// choice of the program.
    pub(crate) fn cost(self) -> usize {
        match self.kind {
            Kind::Turn => self.picked,
            Kind::Named => self.picked.min(1),
        }
    }
}

/// The number of deviations of `path`.
pub(crate) fn cost(path: &[Choice]) -> usize {
    path.iter().map(|choice| choice.cost()).sum()
}

/// The choices of a run that took another option than the first.
///
/// Its text is the replay token: `12:1/3,20:2/4` picks option 1 of 3 at the run's choice 12, and
/// option 2 of 4 at choice 20; `fifo` has no deviation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    deviations: Vec<Deviation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deviation {
    /// The index of the choice in the run, from 0.
    pub(crate) at: usize,
    pub(crate) picked: usize,
    pub(crate) options: usize,
}

const FIFO: &str = "fifo";

impl Schedule {
    pub(crate) fn of(path: &[Choice]) -> Self {
        let taken = path.iter().enumerate().filter(|(_, choice)| choice.picked > 0);
        let deviation = |(at, choice): (usize, &Choice)| Deviation {
            at,
            picked: choice.picked,
            options: choice.options,
        };
        Self { deviations: taken.map(deviation).collect() }
    }

    /// The deviation at the choice `at`; `None` for the first option.
    pub(crate) fn at(&self, at: usize) -> Option<Deviation> {
        let place = self.deviations.binary_search_by_key(&at, |deviation| deviation.at).ok()?;
        Some(self.deviations[place])
    }

    /// The smallest number of choices of the run.
    pub(crate) fn choices(&self) -> usize {
        self.deviations.last().map_or(0, |deviation| deviation.at + 1)
    }

    pub(crate) fn len(&self) -> usize {
        self.deviations.len()
    }

    /// The same without the deviations of `range`.
    pub(crate) fn without(&self, range: std::ops::Range<usize>) -> Self {
        let mut deviations = self.deviations.clone();
        deviations.drain(range);
        Self { deviations }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deviations.is_empty() {
            return f.write_str(FIFO);
        }
        for (index, Deviation { at, picked, options }) in self.deviations.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{at}:{picked}/{options}")?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == FIFO {
            return Ok(Self::default());
        }
        let deviations: Option<Vec<_>> = text.split(',').map(deviation).collect();
        let deviations = deviations.filter(|all| all.is_sorted_by(|a, b| a.at < b.at));
        let deviations = deviations
            .ok_or_else(|| format!("{text:?} is not a replay token like \"12:1/3,20:2/4\""))?;
        Ok(Self { deviations })
    }
}

fn deviation(text: &str) -> Option<Deviation> {
    let (at, rest) = text.split_once(':')?;
    let (picked, options) = rest.split_once('/')?;
    let deviation = Deviation {
        at: at.parse().ok()?,
        picked: picked.parse().ok()?,
        options: options.parse().ok()?,
    };
    (0 < deviation.picked && deviation.picked < deviation.options).then_some(deviation)
}
