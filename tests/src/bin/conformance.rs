//! Runs scenarios: `conformance FILE.. [--only ID]`.

use std::process::ExitCode;

use spinney_tests::conformance::Scenario;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut only, mut files) = (None, Vec::new());
    while let Some(arg) = args.next() {
        if arg == "--only" { only = args.next() } else { files.push(arg) }
    }
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file");
        for line in text.lines() {
            let scenario = Scenario::parse(line).expect("a scenario");
            if only.as_ref().is_some_and(|only| only != scenario.id()) {
                continue;
            }
            let expected = scenario.expected();
            let run = std::panic::catch_unwind(|| scenario.run());
            let tags: Vec<_> = scenario
                .tags()
                .filter(|t| !t.starts_with("op:") && !t.starts_with("obj:"))
                .collect();
            match run {
                Ok(observed) if observed == expected => passed += 1,
                Ok(observed) => {
                    failed += 1;
                    println!("FAILED {} {tags:?}", scenario.id());
                    let n = observed
                        .trace
                        .iter()
                        .zip(&expected.trace)
                        .take_while(|(a, b)| a == b)
                        .count();
                    if n < observed.trace.len().max(expected.trace.len()) {
                        println!(
                            "   expected {:?}",
                            expected.trace.get(n).map(ToString::to_string)
                        );
                        println!(
                            "   observed {:?}",
                            observed.trace.get(n).map(ToString::to_string)
                        );
                    } else {
                        println!("   expected {}", expected.end);
                        println!("   observed {}", observed.end);
                    }
                }
                Err(_) => {
                    failed += 1;
                    println!("PANICKED {} {tags:?}", scenario.id());
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    ExitCode::SUCCESS
}
