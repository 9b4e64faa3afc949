//! Tests of chains, groups and chords within each other.

use serde_json::{Value, json};

use super::Parts;
use crate::message::Signature;

fn task(name: &str) -> Value {
    json!({ "task": name, "options": { "task_id": name } })
}

fn of(kind: &str, tasks: &[Value]) -> Value {
    json!({ "task": format!("celery.{kind}"), "kwargs": { "tasks": tasks }, "subtask_type": kind })
}

fn chord(header: &[Value], body: &Value) -> Value {
    let kwargs = json!({ "header": header, "body": body });
    json!({ "task": "celery.chord", "kwargs": kwargs, "subtask_type": "chord" })
}

fn signature(value: Value) -> Signature {
    serde_json::from_value(value).unwrap()
}

fn names(signatures: &[Signature]) -> Vec<&str> {
    signatures.iter().map(|signature| &*signature.task).collect()
}

fn head_of(chain: &Signature) -> Signature {
    let Parts::Chain(tasks) = chain.parts() else { panic!("no chain") };
    chain.head_of(tasks).unwrap()
}

#[test]
fn nested_chains_and_groups_are_unrolled() {
    let inner = of("group", &[task("a"), of("group", &[task("b"), task("c")])]);
    let Parts::Group(tasks) = signature(of("group", &[inner, task("d")])).parts() else { panic!() };
    assert_eq!(names(&tasks), ["a", "b", "c", "d"]);
    let chain = of("chain", &[task("a"), of("chain", &[task("b"), task("c")]), task("d")]);
    let head = head_of(&signature(chain));
    assert_eq!((&*head.task, names(&head.signatures("chain"))), ("a", vec!["d", "c", "b"]));
}

#[test]
fn group_before_a_task_is_the_header_of_a_chord() {
    let group = of("group", &[task("a"), task("b")]);
    let chain = of("chain", &[task("first"), group, task("body"), task("last")]);
    let rest = head_of(&signature(chain)).signatures("chain");
    assert_eq!(names(&rest), ["last", "celery.chord"]);
    let Parts::Chord { header, body, .. } = rest[1].parts() else { panic!() };
    assert_eq!((names(&header), &*body.unwrap().task), (vec!["a", "b"], "body"));
}

#[test]
fn chord_counts_the_last_tasks_of_its_header() {
    let group = of("group", &[task("a"), task("b")]);
    let chain = of("chain", &[task("first"), group]);
    assert_eq!(signature(chain.clone()).reports(), 2);
    let inner = chord(&[task("c"), task("d"), task("e")], &task("body"));
    assert_eq!(signature(of("group", &[chain, inner, task("f")])).reports(), 4);
}

#[test]
fn chord_of_a_chain_is_that_of_its_last_tasks() {
    let group = of("group", &[task("a"), task("b")]);
    let mut chain = signature(of("chain", &[task("first"), group]));
    chain.join_group("header", 7);
    chain.options.insert("chord".into(), task("body"));
    let mut rest = head_of(&chain).signatures("chain");
    let members = rest[0].members();
    assert_eq!(names(&members), ["a", "b"]);
    for member in &members {
        assert_eq!(member.text("group_id"), Some("header"));
        assert_eq!(names(&member.signatures("chord")), ["body"]);
    }
}

#[test]
fn what_follows_a_chord_follows_its_body() {
    let mut outer = signature(chord(&[task("a")], &of("chain", &[task("b"), task("c")])));
    outer.then(vec![signature(task("after"))]);
    let Parts::Chord { body: Some(mut body), .. } = outer.parts() else { panic!() };
    outer.hand_on_to_body(&mut body);
    let head = head_of(&body);
    assert_eq!((&*head.task, names(&head.signatures("chain"))), ("b", vec!["after", "c"]));
}

#[test]
fn every_task_of_an_unsent_chain_is_an_end() {
    let group = of("group", &[task("b"), task("c")]);
    let chain = signature(of("chain", &[task("a"), group, task("d")]));
    assert_eq!(names(&chain.ends()), ["a", "b", "c", "d"]);
    let chord = signature(chord(&[task("a")], &of("group", &[task("b"), task("c")])));
    assert_eq!(names(&chord.ends()), ["b", "c"]);
}

#[test]
fn frozen_ids_are_nested_as_results_are() {
    let group = of("group", &[task("a"), task("b")]);
    let mut chain = signature(of("chain", &[task("first"), group]));
    let ids = chain.freeze();
    assert_eq!(ids[1], json!([[["a", null], null], [["b", null], null]]));
    assert_eq!(ids, chain.freeze(), "an id stays");
    assert_eq!(signature(task("a")).freeze(), json!([["a", null], null]));
}
