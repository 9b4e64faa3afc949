//! [`Target`]: a goal of a rival.

use crate::results::{Figure, Measured, Metric};

/// A figure of one rival, or its ratio to another's, and its upper bound.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) rival: String,
    pub(crate) metric: Metric,
    pub(crate) of: Option<String>,
    pub(crate) at_most: f64,
}

impl Target {
    /// The time per item.
    pub(crate) fn wall(rival: impl Into<String>) -> Self {
        Self::new(rival, Metric::Wall)
    }

    /// The CPU time per item.
    pub(crate) fn cpu(rival: impl Into<String>) -> Self {
        Self::new(rival, Metric::Cpu)
    }

    /// The memory per item.
    pub(crate) fn bytes_an_item(rival: impl Into<String>) -> Self {
        Self::new(rival, Metric::BytesAnItem)
    }

    /// The memory of all items.
    pub(crate) fn bytes(rival: impl Into<String>) -> Self {
        Self::new(rival, Metric::Bytes)
    }

    /// Sets the upper bound.
    pub(crate) fn at_most(self, at_most: f64) -> Self {
        Self { at_most, ..self }
    }

    /// Makes it a ratio to `rival`.
    pub(crate) fn of(self, rival: impl Into<String>) -> Self {
        Self { of: Some(rival.into()), ..self }
    }

    /// As text.
    pub(crate) fn describe(&self) -> String {
        let what = match self.metric {
            Metric::Wall => "time",
            Metric::Cpu => "CPU time",
            Metric::BytesAnItem => "bytes an item",
            Metric::Bytes => "bytes",
        };
        let of = self.of.as_ref().map_or_else(String::new, |of| format!(" / {of}"));
        format!("{} {what}{of}", self.rival)
    }

    /// By medians and by minima, if both rivals were measured.
    pub(crate) fn measured(&self, measured: &Measured) -> Option<Figure> {
        let figure = measured.figure(&self.rival, self.metric)?;
        let Some(of) = &self.of else { return Some(figure) };
        let of = measured.figure(of, self.metric)?;
        Some(Figure { median: figure.median / of.median, min: figure.min / of.min })
    }

    fn new(rival: impl Into<String>, metric: Metric) -> Self {
        Self { rival: rival.into(), metric, of: None, at_most: 1.0 }
    }
}
