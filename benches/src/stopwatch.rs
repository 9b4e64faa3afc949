//! [`Stopwatch`] and [`Outcome`]: the cost of one run of a rival, and its answer.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

/// The answer and the cost of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: u64,
    pub(crate) wall: Duration,
    /// Of all threads of the process.
    pub(crate) cpu: Duration,
}

/// Measures wall time, and the CPU time of this process.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: ProcessTime,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self::start_at(Instant::now())
    }

    /// As if started at `moment`, except for the CPU time.
    pub(crate) fn start_at(moment: Instant) -> Self {
        Self { wall: moment, cpu: ProcessTime::now() }
    }

    pub(crate) fn stop(self, answer: u64) -> Outcome {
        Outcome { answer, wall: self.wall.elapsed(), cpu: self.cpu.elapsed() }
    }
}

/// The return value of a rival: its answer alone, or an [`Outcome`] if only a part of its work is
/// measured.
pub(crate) trait Answer {
    /// `stopwatch` was started before the rival.
    fn outcome(self, stopwatch: Stopwatch) -> Outcome;
}

impl Answer for u64 {
    fn outcome(self, stopwatch: Stopwatch) -> Outcome {
        stopwatch.stop(self)
    }
}

impl Answer for Outcome {
    fn outcome(self, _: Stopwatch) -> Outcome {
        self
    }
}
