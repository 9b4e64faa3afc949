//! Runs all benchmarks with hardly any items, so that they do not rot. That each name in a target,
//! the scaling or the counts is a rival's is looked up first.

use std::process::Command;

#[test]
fn every_rival_gives_the_right_answer_to_every_workload() {
    let bench = Command::new(env!("CARGO_BIN_EXE_spinney-benches")).arg("--check").output();
    let output = bench.expect("the program was built with this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
