use std::sync::LazyLock;

use super::super::fixture::{self, at, change, edge, log, metric, shop};
use super::*;
use crate::domain::evidence::{Detail, LogChange};
use crate::domain::query::Note;

use crate::copilot::actions::actions;

static PLAYBOOKS: LazyLock<Playbooks> = LazyLock::new(Playbooks::builtin);

fn offline(analysis: &Analysis) -> Diagnosed {
    let diagnosed = diagnose(analysis, &PLAYBOOKS);
    assert_eq!(diagnosed.unsupported, [], "the offline analyst must stand its own test");
    assert_eq!(diagnosed.unknown_ids, []);
    assert_eq!(diagnosed, diagnose(analysis, &PLAYBOOKS), "same input, same words");
    diagnosed
}

fn commands(diagnosed: &Diagnosed) -> Vec<String> {
    actions("I-1", diagnosed).iter().map(|action| action.argv.join(" ")).collect()
}

/// The cause of the first hypothesis, for one suspect with this evidence.
fn cause(items: Vec<Evidence>) -> String {
    offline(&shop(items)).diagnosis.hypotheses[0].cause.to_string()
}

#[test]
fn a_deploy_that_exhausts_a_pool_is_named_and_can_be_rolled_back() {
    let diagnosed = offline(&fixture::pool());
    let first = &diagnosed.diagnosis.hypotheses[0];
    assert_eq!(first.service, "payments");
    assert_eq!(first.confidence, Confidence::High);
    assert_eq!(first.cause, "payments has used up its connection pool since deploy v2.41 at 14:01:52");
    assert!(first.checks.iter().any(|check| check.query.contains("pool_in_use")));
    let commands = commands(&diagnosed);
    for wanted in [
        "kubectl -n shop rollout undo deployment/payments",
        "kubectl -n shop get pods -l app=payments",
        "uptime",
        "date -u",
    ] {
        assert!(commands.iter().any(|command| command == wanted), "{wanted} is not in {commands:#?}");
    }
    let rollback = actions("I-1", &diagnosed).remove(0);
    assert_eq!(rollback.argv.join(" "), "kubectl -n shop rollout undo deployment/payments");
    assert!(rollback.verify.unwrap().query.starts_with("max(pool_in_use"));
    assert!(diagnosed.diagnosis.missing.iter().any(|text| text.contains("deployment/payments")), "the guess is said");
}

#[test]
fn nothing_found_means_no_hypothesis() {
    let diagnosed = offline(&fixture::quiet());
    assert!(diagnosed.diagnosis.hypotheses.is_empty());
    assert!(diagnosed.diagnosis.actions.is_empty());
    assert!(diagnosed.diagnosis.summary.contains("Nothing deviates"));
}

#[test]
fn the_usual_causes_are_told_apart() {
    let new = LogChange::New;
    let full = log(1, "search-index", "write failed: no space left on device", new, 0.9);
    assert!(cause(vec![full]).contains("disk"));
    let dns = log(1, "web", "dial tcp: lookup payments: no such host", new, 0.9);
    assert!(cause(vec![dns]).contains("resolve"));
    let certificate = log(1, "web", "x509: certificate has expired or is not yet valid", new, 0.9);
    assert!(cause(vec![certificate]).contains("certificate"));
    let memory = metric(1, "cart", "container_memory_working_set_bytes", 1e8, 5e8, 0.9);
    let killed = log(1, "cart", "container cart exited with code 137 (OOMKilled)", new, 0.8);
    assert!(cause(vec![memory.clone(), killed]).contains("killed"));
    assert!(cause(vec![memory]).contains("grows"));
    let cpu = metric(1, "cart", "container_cpu_usage_seconds_total", 0.2, 2.0, 0.9);
    assert!(cause(vec![cpu]).contains("CPU"));
    let lag = metric(1, "orders", "kafka_consumergroup_lag", 10.0, 90_000.0, 0.9);
    assert!(cause(vec![lag]).contains("queue"));
    assert!(cause(vec![edge(1, "web", "cart", 0.08)]).contains("network"));
    let flag = change(1, "flag", "cart", 100);
    let odd = log(1, "cart", "price computed with the new engine", new, 0.6);
    assert!(cause(vec![odd, flag]).contains("flag v2.41"));
    let deploy = change(1, "deploy", "cart", 100);
    let error = log(1, "cart", "error: cannot read property total", new, 0.9);
    assert!(cause(vec![error.clone(), deploy]).contains("deploy v2.41"));
    assert!(cause(vec![error]).contains("did not have before"));
}

#[test]
fn a_change_that_the_cause_names_is_cited_however_much_else_there_is() {
    let mut items: Vec<Evidence> =
        (1..12).map(|n| log(n, "cart", &format!("error: cannot read property p{n}"), LogChange::New, 0.9)).collect();
    items.push(change(1, "deploy", "cart", 100));
    let first = offline(&shop(items)).diagnosis.hypotheses[0].clone();
    assert!(first.cause.contains("deploy v2.41"), "{}", first.cause);
    assert!(first.supporting.iter().any(|claim| claim.evidence == ["C1"]));
}

#[test]
fn a_change_after_the_first_signal_is_not_its_cause() {
    let error = log(1, "cart", "error: cannot read property total", LogChange::New, 0.9);
    let late = change(1, "deploy", "cart", 400);
    assert!(!cause(vec![error.clone(), late]).contains("deploy"));
    let mut analysis = shop(vec![error, change(1, "deploy", "cart", 100)]);
    analysis.changes.clear();
    assert!(!offline(&analysis).diagnosis.hypotheses[0].cause.contains("deploy"), "what is not ranked is no cause");
}

#[test]
fn without_a_matching_playbook_the_first_suspect_still_has_a_hypothesis() {
    let odd = metric(1, "cart", "basket_items", 3.0, 1.0, 0.9);
    let diagnosed = offline(&shop(vec![odd]));
    let first = &diagnosed.diagnosis.hypotheses[0];
    assert!(first.cause.contains("no known pattern"));
    assert_eq!(first.confidence, Confidence::Low);
    assert_eq!(first.supporting[0].evidence, ["M1"]);
}

#[test]
fn the_ranking_of_services_is_kept() {
    let mut analysis = fixture::pool();
    let (mut second, mut first) = (analysis.suspects.remove(0), analysis.suspects.remove(0));
    (first.rank, first.score, second.rank, second.score) = (1, 0.9, 2, 0.89);
    analysis.suspects = vec![first, second];
    assert_eq!(offline(&analysis).diagnosis.hypotheses[0].service, "postgres");
}

#[test]
fn what_no_label_names_is_left_out_and_said() {
    let mut analysis = shop(vec![metric(1, "cart", "basket_items", 3.0, 1.0, 0.9)]);
    analysis.incident.alerts.clear();
    for item in &mut analysis.evidence {
        item.provenance.expr = "basket_items".into();
        if let Detail::Alert(alert) = &mut item.detail {
            alert.labels.remove("namespace");
        }
    }
    let diagnosed = offline(&analysis);
    assert_eq!(commands(&diagnosed), ["uptime", "date -u"]);
    assert!(diagnosed.diagnosis.missing.iter().any(|text| text.contains("namespace of cart")));
}

#[test]
fn hostile_names_do_not_become_flags() {
    let mut item = log(1, "cart", "error: x", LogChange::New, 0.9);
    if let Detail::Log(detail) = &mut item.detail {
        let labels = [("namespace", "--all-namespaces"), ("pod", "../x"), ("app", "cart")].into_iter().collect();
        detail.exemplars[0].labels = std::sync::Arc::new(labels);
    }
    for command in commands(&offline(&shop(vec![item]))) {
        assert!(!command.contains("--all") && !command.contains("../x"), "{command}");
    }
}

#[test]
fn what_was_cut_is_said() {
    let mut analysis = fixture::pool();
    analysis.graph.clear();
    analysis.notes =
        (0..9).map(|i| Note { kind: NoteKind::Cut, text: Text::new(&format!("loki: cut at {i}")) }).collect();
    let missing = offline(&analysis).diagnosis.missing;
    assert!(missing.iter().any(|text| text.contains("call graph")));
    assert!(missing.iter().any(|text| text.contains("4 further")));
}

#[test]
fn not_a_number_harms_nothing() {
    let mut analysis = fixture::pool();
    for item in &mut analysis.evidence {
        item.strength = f64::NAN;
        if let Detail::Metric(metric) = &mut item.detail {
            metric.peak = f64::INFINITY;
            metric.baseline.median = f64::NAN;
        }
    }
    for suspect in &mut analysis.suspects {
        suspect.score = f64::NAN;
    }
    assert_eq!(analysis.suspects[0].signals[0].onset, Some(at(140)));
    diagnose(&analysis, &PLAYBOOKS);
}
