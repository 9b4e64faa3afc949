//! Our behaviour is that of gevent and eventlet: the corpus of scenarios that they ran.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use spinney_tests::conformance::{
    LIMIT, Report, Scenario, Verdict, allowed_tags, default_corpus, read,
};

fn corpus() -> Vec<Scenario> {
    read(&default_corpus()).expect("the corpus is in the repository")
}

#[test]
fn each_scenario_of_the_corpus_passes() {
    let report = Report::of(corpus());
    assert_eq!((report.passed(), report.failed()), (2271, 0), "{report}");
    for (scenario, verdict) in report.verdicts() {
        if let Verdict::AsDocumented(tags) = verdict {
            assert!(tags.iter().all(|tag| scenario.has_tag(tag)), "{}: {tags:?}", scenario.id());
        }
    }
}

#[test]
fn barging_pool_is_detected() {
    let pools: Vec<_> = corpus().into_iter().filter(|it| it.has_tag("obj:pool")).collect();
    let report = Report::judged_by(Scenario::judge_on_a_broken_pool, pools, LIMIT);
    assert!(report.failed() > 30, "{report}");
}

/// A scenario of one actor with one op, which sleeps for no time.
fn scenario(id: &str, op: &str) -> Scenario {
    let line = format!(
        r#"{{"id":"{id}","api":"gevent","tags":[],"objects":{{}},"last_tick":0,
        "actors":[{{"name":"A","at":0,"ops":[{{"op":"{op}","d":0}}]}}],
        "trace":[[0,"A","start",null],[0,"A","end",{{"ok":null}}]],
        "final":{{"objects":{{}},"tasks":{{}},"blocked":[]}}}}"#
    );
    Scenario::parse(&line).unwrap()
}

#[test]
fn unknown_op_fails_its_scenario_alone() {
    let scenarios = ["sleep", "levitate", "sleep"].map(|op| scenario(op, op));
    let report = Report::of(scenarios.to_vec());
    assert_eq!((report.passed(), report.failed()), (2, 1), "{report}");
    assert!(report.to_string().contains("no such op"), "{report}");
}

#[test]
fn hanging_or_panicking_scenario_fails_alone() {
    let judge = |scenario: &Scenario| match scenario.id() {
        "hangs" => loop {
            thread::park();
        },
        "panics" => panic!("on purpose"),
        _ => scenario.judge(),
    };
    let scenarios = ["a", "hangs", "b", "panics", "c"].map(|id| scenario(id, "sleep"));
    let report = Report::judged_by(judge, scenarios.to_vec(), Duration::from_secs(2));
    let failed: Vec<_> = report.verdicts().filter(|(_, verdict)| !verdict.is_pass()).collect();
    let failed: Vec<_> = failed.iter().map(|(scenario, _)| scenario.id()).collect();
    assert_eq!(failed, ["hangs", "panics"], "{report}");
}

#[test]
fn page_of_differences_has_a_row_for_each_tag() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let page = fs::read_to_string(page).unwrap();
    for tag in allowed_tags() {
        assert!(page.contains(&format!("| `{tag}` |")), "no row for {tag}");
    }
}
