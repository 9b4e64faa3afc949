//! [`Steps`]: runs one thing after another, times each, and stops at the first that fails.

use std::fmt::Display;
use std::time::{Duration, Instant};

use xshell::Cmd;

use crate::Result;

/// The steps done so far.
pub(crate) struct Steps {
    began: Instant,
    done: usize,
}

impl Steps {
    fn new() -> Self {
        Self { began: Instant::now(), done: 0 }
    }

    /// Runs the steps that `run` makes, and says that all went well.
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
        let began = Instant::now();
        work().map_err(|error| {
            let took = seconds(began.elapsed());
            format!("FAIL {name} ({took}): {error}\nrerun only this step: {again}")
        })?;
        println!("ok   {name} ({})", seconds(began.elapsed()));
        self.done += 1;
        Ok(())
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn a_failing_step_names_itself_and_the_command_to_rerun() {
        let fails = Steps::new().step("paint", "cargo paint --wall", || Err("no brush".into()));
        let error = fails.unwrap_err().to_string();
        for part in ["paint", "no brush", "rerun only this step: cargo paint --wall"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
