//! The benchmarks: spinney and what one would use instead, side by side.
//!
//! `cargo xtask bench` runs everything; `--help` after it lists the arguments. The times of one
//! machine say little. What carries over is the ratio to a rival, of the minima where the machine
//! is busy with other things.

mod answers;
mod args;
mod contest;
mod load;
mod machine;
mod on;
mod results;
mod solo;
mod stopwatch;
mod table;
mod target;
mod workload;
mod workloads;

use std::error::Error;
use std::process::ExitCode;

use args::{Args, Task};
use load::Load;
use machine::Machine;
use results::Results;
use workload::Workload;

fn main() -> ExitCode {
    match Args::read().map_err(Into::into).and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let workloads = workloads::all();
    match &args.task {
        Task::Measure => measure(&workloads, args),
        Task::Solo(who) => run_solo(&workloads, who, args),
        Task::Show(_) | Task::CountInstructions | Task::KeepInstructions => Err("not yet".into()),
        Task::Help => {
            println!("{}", args::HELP);
            Ok(())
        }
    }
}

/// `who` is `W3/LocalHub map`, for example.
fn run_solo(workloads: &[Workload], who: &str, args: &Args) -> Result<(), Box<dyn Error>> {
    let (workload, rival) = workloads::find(workloads, who)?;
    let Load { items, slots } = workload.load;
    let load = Load { items: args.items.unwrap_or(items), slots: args.slots.unwrap_or(slots) };
    if args.once {
        solo::once(workload, rival, load)?;
    } else {
        println!("{}", serde_json::to_string(&solo::sample(workload, rival, load)?)?);
    }
    Ok(())
}

/// Measures what was asked for, and shows and keeps it as it comes.
fn measure(workloads: &[Workload], args: &Args) -> Result<(), Box<dyn Error>> {
    let mut results = Results {
        machine: Machine::this(),
        rounds: args.rounds(),
        workloads: Vec::new(),
        scaling: Vec::new(),
    };
    println!("{}; {} rounds", results.machine.describe(), results.rounds);
    for workload in workloads.iter().filter(|workload| args.takes(workload.id)) {
        let measured = contest::run(workload, args.size.of(workload.load), args)?;
        println!("\n{}: {}; {} items\n", workload.id, workload.title, measured.load.items);
        println!("{}", table::measured(workload, &measured));
        println!("{}", table::targets([(workload, &measured)]));
        results.workloads.push(measured);
        if let Some(path) = &args.save {
            results.write(path)?;
        }
    }
    Ok(())
}
