//! [`Stopwatch`] and [`Outcome`]: what one run of a rival took, and what came out.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

/// What came out of a run, and what it took.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: u64,
    pub(crate) wall: Duration,
    /// Of all threads of the process.
    pub(crate) cpu: Duration,
}

/// Measures time, and the time that this process was on a core.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: ProcessTime,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self::start_at(Instant::now())
    }

    /// As if it had been started at `moment`, but for the cores' time.
    pub(crate) fn start_at(moment: Instant) -> Self {
        Self { wall: moment, cpu: ProcessTime::now() }
    }

    pub(crate) fn stop(self, answer: u64) -> Outcome {
        Outcome { answer, wall: self.wall.elapsed(), cpu: self.cpu.elapsed() }
    }
}

/// What a rival gives back: its answer alone, or an [`Outcome`] if only a part of what it does is
/// to be measured.
pub(crate) trait Answer {
    /// `stopwatch` was started before the rival was.
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
