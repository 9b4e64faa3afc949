//! [`Contest`]: the same work, done by several rivals.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::table;

/// Rounds of a full run, after one to warm up.
const ROUNDS: usize = 7;
/// How many times fewer items a quick run works on.
const QUICK: u32 = 100;

/// The same work, done by several rivals. The first of them is the baseline.
///
/// In each round all rivals are measured once, in an order drawn anew: so whatever else the
/// machine is doing hits them alike.
#[derive(Debug)]
pub struct Contest {
    name: &'static str,
    items: u32,
    answer: fn(u32) -> u64,
    rivals: Vec<Rival>,
}

struct Rival {
    name: &'static str,
    run: Box<dyn Fn(u32) -> (u64, Duration)>,
}

impl Contest {
    /// A contest without rivals, over `items` items in a full run. Of `answer` every rival's
    /// result is expected, for as many items as it was given.
    #[must_use]
    pub fn new(name: &'static str, items: u32, answer: fn(u32) -> u64) -> Self {
        Self { name, items, answer, rivals: Vec::new() }
    }

    /// Adds a rival, all of whose work is measured.
    #[must_use]
    pub fn rival(self, name: &'static str, run: impl Fn(u32) -> u64 + 'static) -> Self {
        self.timed_rival(name, move |items| {
            let start = Instant::now();
            let answer = run(items);
            (answer, start.elapsed())
        })
    }

    /// Adds a rival that measures itself.
    #[must_use]
    pub fn timed_rival(
        mut self,
        name: &'static str,
        run: impl Fn(u32) -> (u64, Duration) + 'static,
    ) -> Self {
        self.rivals.push(Rival { name, run: Box::new(run) });
        self
    }

    /// Runs the contest and prints its table.
    ///
    /// # Errors
    ///
    /// [`WrongAnswer`] as soon as a rival gives one.
    pub fn run(self, args: &Args) -> Result<(), WrongAnswer> {
        let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { ROUNDS });
        let items = if args.quick { self.items / QUICK } else { self.items };
        let items = args.items.unwrap_or(items).max(1);
        let expected = (self.answer)(items);
        let baseline = self.rivals.first().map_or("", |rival| rival.name);
        let mut entrants = self.entrants(&args.filter);
        if !args.quick {
            for (rival, _) in &entrants {
                rival.measure(self.name, items, expected)?;
            }
        }
        for _ in 0..rounds {
            fastrand::shuffle(&mut entrants);
            for (rival, times) in &mut entrants {
                times.push(rival.measure(self.name, items, expected)?);
            }
        }
        if !entrants.is_empty() {
            println!("\n{}: ns per item, {items} items, {rounds} rounds", self.name);
            let rows = entrants.into_iter().map(|(rival, times)| (rival.name, times));
            print!("{}", table::of(rows, baseline));
        }
        Ok(())
    }

    /// The rivals that take part, and room for what each will need per item, in nanoseconds.
    fn entrants(&self, filter: &str) -> Vec<(&Rival, Vec<f64>)> {
        let named = |rival: &&Rival| format!("{}/{}", self.name, rival.name).contains(filter);
        self.rivals.iter().filter(named).map(|rival| (rival, Vec::new())).collect()
    }
}

impl Rival {
    /// How many nanoseconds it needs per item.
    fn measure(
        &self,
        contest: &'static str,
        items: u32,
        expected: u64,
    ) -> Result<f64, WrongAnswer> {
        let (answer, elapsed) = (self.run)(items);
        if answer == expected {
            Ok(elapsed.as_secs_f64() * 1e9 / f64::from(items))
        } else {
            Err(WrongAnswer { contest, rival: self.name, answer, expected })
        }
    }
}

impl fmt::Debug for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rival").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A rival did not do its work.
#[derive(Debug)]
pub struct WrongAnswer {
    contest: &'static str,
    rival: &'static str,
    answer: u64,
    expected: u64,
}

impl fmt::Display for WrongAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { contest, rival, answer, expected } = self;
        write!(f, "{contest}/{rival} answered {answer}, not {expected}")
    }
}

impl Error for WrongAnswer {}
