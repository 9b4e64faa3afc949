//! [`Results`]: measurements, as stored in a file.

use std::error::Error;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::load::Load;
use crate::machine::Machine;
use crate::workload::Workload;

/// All measurements of one run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) workloads: Vec<Measured>,
    /// One workload under growing loads.
    pub(crate) scaling: Vec<Measured>,
}

impl Results {
    /// Each measured workload.
    pub(crate) fn by_workload<'a>(
        &'a self,
        workloads: &'a [Workload],
    ) -> impl Iterator<Item = (&'a Workload, &'a Measured)> + Clone {
        workloads.iter().filter_map(|workload| {
            let measured = self.workloads.iter().find(|measured| measured.id == workload.id)?;
            Some((workload, measured))
        })
    }

    /// # Errors
    ///
    /// If `path` cannot be read, or has another format.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// # Errors
    ///
    /// If `path` cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        Ok(std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?)
    }
}

/// The measurements of the rivals for one load of one workload.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) id: String,
    pub(crate) load: Load,
    pub(crate) rivals: Vec<RivalMeasured>,
}

/// The measurements of one rival, over all rounds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RivalMeasured {
    pub(crate) name: String,
    pub(crate) ours: bool,
    /// Nanoseconds per item.
    pub(crate) wall: Spread,
    /// Nanoseconds per item, of all threads together.
    pub(crate) cpu: Spread,
    /// The growth of the peak after the warm-up.
    pub(crate) bytes: Spread,
}

/// The measurement of one round.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) bytes: f64,
}

/// The middle and the ends of several rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// A measured quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Wall,
    Cpu,
    BytesAnItem,
    Bytes,
}

/// The median of all rounds, and the best of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) min: f64,
}

impl Measured {
    /// The measurements of `rival`, if it took part.
    pub(crate) fn figure(&self, rival: &str, metric: Metric) -> Option<Figure> {
        let rival = self.rivals.iter().find(|measured| measured.name == rival)?;
        Some(rival.figure(metric, self.load))
    }

    /// The fastest of ours, or of the others.
    pub(crate) fn best(&self, ours: bool) -> Option<&RivalMeasured> {
        let rivals = self.rivals.iter().filter(|rival| rival.ours == ours);
        rivals.min_by(|a, b| a.wall.median.total_cmp(&b.wall.median))
    }
}

impl RivalMeasured {
    /// `None` if there is no sample.
    pub(crate) fn new(name: &str, ours: bool, samples: &[Sample]) -> Option<Self> {
        let spread = |of: fn(&Sample) -> f64| Spread::of(samples.iter().map(of).collect());
        Some(Self {
            name: name.into(),
            ours,
            wall: spread(|sample| sample.wall)?,
            cpu: spread(|sample| sample.cpu)?,
            bytes: spread(|sample| sample.bytes)?,
        })
    }

    pub(crate) fn figure(&self, metric: Metric, load: Load) -> Figure {
        // The peak of the warm-up was there before.
        let items = f64::from(load.items - load.warm_up().items).max(1.0);
        let (spread, unit) = match metric {
            Metric::Wall => (self.wall, 1.0),
            Metric::Cpu => (self.cpu, 1.0),
            Metric::BytesAnItem => (self.bytes, items),
            Metric::Bytes => (self.bytes, 1.0),
        };
        Figure { median: spread.median / unit, min: spread.min / unit }
    }
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { min, median: values[values.len() / 2], max })
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn spread_has_the_middle_and_the_ends() {
        let spread = Spread::of(vec![40.0, 20.0, 30.0]).unwrap();
        assert_eq!(spread, Spread { min: 20.0, median: 30.0, max: 40.0 });
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
