//! Runs all benchmarks with hardly any items, so that they keep working. First it looks up each
//! name in a target, the scaling or the counts.

use std::process::Command;

#[test]
fn every_rival_answers_every_workload_correctly() {
    let bench = Command::new(env!("CARGO_BIN_EXE_spinney-benches")).arg("--check").output();
    let output = bench.expect("the program was built with this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
