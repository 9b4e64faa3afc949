//! [`Steps`]: runs and times steps one after another, or two lists side by side, and stops at the
//! first failure.

use std::fmt::Display;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use xshell::Cmd;

use crate::Result;

/// The steps done so far.
pub(crate) struct Steps {
    began: Instant,
    done: usize,
    /// Whether a step failed, here or in a list beside this one.
    failed: Arc<AtomicBool>,
}

impl Steps {
    fn new() -> Self {
        Self { began: Instant::now(), done: 0, failed: Arc::default() }
    }

    /// Runs the steps of `run`, and reports success.
    pub(crate) fn all(run: impl FnOnce(&mut Self) -> Result) -> Result {
        let mut steps = Self::new();
        run(&mut steps)?;
        println!("all {} steps passed ({})", steps.done, seconds(steps.began.elapsed()));
        Ok(())
    }

    /// Runs one command as a step.
    pub(crate) fn cmd(&mut self, name: &str, cmd: Cmd<'_>) -> Result {
        let again = cmd.to_string();
        self.step(name, &again, || Ok(cmd.quiet().run()?))
    }

    /// Runs `work` as a step; `again` is the command that runs only this step.
    pub(crate) fn step(
        &mut self,
        name: &str,
        again: impl Display,
        work: impl FnOnce() -> Result,
    ) -> Result {
        if self.failed.load(Ordering::Relaxed) {
            return Err(format!("{name} was not run").into());
        }
        let began = Instant::now();
        work().map_err(|error| {
            self.failed.store(true, Ordering::Relaxed);
            let took = seconds(began.elapsed());
            format!("FAIL {name} ({took}): {error}\nrerun only this step: {again}")
        })?;
        println!("ok   {name} ({})", seconds(began.elapsed()));
        self.done += 1;
        Ok(())
    }

    /// Runs the steps of `here` and, on another thread, those of `aside`. After a failure neither
    /// list starts another step.
    pub(crate) fn beside(
        &mut self,
        aside: impl FnOnce(&mut Self) -> Result + Send,
        here: impl FnOnce(&mut Self) -> Result,
    ) -> Result {
        let mut others = Self { done: 0, failed: Arc::clone(&self.failed), ..*self };
        let (here, aside) = thread::scope(|scope| {
            let aside = scope.spawn(|| aside(&mut others).map_err(|error| error.to_string()));
            (here(self), aside.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        self.done += others.done;
        match (here, aside) {
            (Err(here), Err(aside)) => Err(format!("{here}\n{aside}").into()),
            (here, aside) => here.and(aside.map_err(Into::into)),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::Steps;

    #[test]
    fn failing_step_names_itself_and_the_command_to_rerun() {
        let fails = Steps::new().step("paint", "cargo paint --wall", || Err("no brush".into()));
        let error = fails.unwrap_err().to_string();
        for part in ["paint", "no brush", "rerun only this step: cargo paint --wall"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn failure_stops_the_steps_beside_it() {
        let mut steps = Steps::new();
        let both = Barrier::new(2);
        let aside = |steps: &mut Steps| {
            let ended = steps.step("paint", "", || {
                both.wait();
                Err("no brush".into())
            });
            both.wait();
            ended
        };
        let here = |steps: &mut Steps| {
            steps.step("plaster", "", || {
                both.wait();
                both.wait();
                Ok(())
            })?;
            steps.step("paper", "", || unreachable!("a step failed before"))
        };
        let error = steps.beside(aside, here).unwrap_err().to_string();
        assert!(error.contains("no brush") && error.contains("paper was not run"), "{error}");
        assert_eq!(steps.done, 1);
    }

    #[test]
    fn steps_on_both_sides_are_counted() {
        let mut steps = Steps::new();
        let step = |steps: &mut Steps| steps.step("paint", "", || Ok(()));
        steps.beside(step, step).unwrap();
        assert_eq!(steps.done, 2);
    }
}
