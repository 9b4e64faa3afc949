//! [`Args`]: what the command line asks for.

use lexopt::{Arg, ValueExt};

const HELP: &str = "\
ARGS: [--quick] [--items N] [--rounds N] [FILTER]

  --quick       few items and one round, to see that everything runs
  --items N     how many items each rival works on
  --rounds N    how often each rival is measured
  FILTER        only the rivals with this in their name, which is `contest/rival`";

/// What the command line of a benchmark asks for.
#[derive(Debug, Default)]
pub struct Args {
    pub(crate) quick: bool,
    pub(crate) items: Option<u32>,
    pub(crate) rounds: Option<usize>,
    pub(crate) filter: String,
}

impl Args {
    /// Reads the command line. Without the `--bench` that `cargo bench` adds, as under
    /// `cargo test`, it is the quick run.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the command line; also the help, if that is asked for.
    pub fn read() -> Result<Self, lexopt::Error> {
        let mut args = Self { quick: true, ..Self::default() };
        let mut quick = false;
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("bench") => args.quick = false,
                Arg::Long("quick") => quick = true,
                Arg::Long("items") => args.items = Some(parser.value()?.parse()?),
                Arg::Long("rounds") => args.rounds = Some(parser.value()?.parse()?),
                Arg::Long("help") => return Err(HELP.into()),
                Arg::Value(filter) => args.filter = filter.string()?,
                other => return Err(other.unexpected()),
            }
        }
        args.quick |= quick;
        Ok(args)
    }

    /// Whether it is only to be seen that everything runs.
    pub fn is_quick(&self) -> bool {
        self.quick
    }

    /// How many items each rival works on: `items` unless the command line says otherwise, and a
    /// hundredth of that in the quick run.
    pub fn items(&self, items: u32) -> u32 {
        self.items.unwrap_or(if self.quick { items / 100 } else { items })
    }
}
