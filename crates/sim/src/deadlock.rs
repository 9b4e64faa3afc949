//! [`Deadlock`]: a state in which no task can go on.

use std::error::Error;
use std::fmt;

use crate::tasks::Stuck;

/// No task is ready, no timer is set, and the main future has not finished: only another thread
/// could still wake it.
///
/// Its text has a line for the main future and for each stuck task: its label, and what it waits
/// for, as far as known. The label of a greenlet is its number and name. A wait for a greenlet or a
/// pool, or in `spinney-sync`, names the line of the program that waits, or the line of the library
/// that waits on its behalf.
///
/// ```
/// use spinney_sim::SimHub;
/// use spinney_sync::Event;
///
/// let never = Event::new();
/// let deadlock = SimHub::new().try_block_on(never.wait()).unwrap_err();
/// assert!(deadlock.to_string().contains("the main future waits for Event::wait at "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    main: Stuck,
    tasks: Vec<Stuck>,
}

impl Deadlock {
    pub(crate) fn new(main: Stuck, tasks: Vec<Stuck>) -> Self {
        Self { main, tasks }
    }

    /// How many tasks are stuck, in addition to the main future.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadlock: nothing is ready to run and no timer is set")?;
        write!(f, "\n  the main future {}", self.main.waits())?;
        for task in &self.tasks {
            write!(f, "\n  {}", task.line())?;
        }
        Ok(())
    }
}

impl Error for Deadlock {}
