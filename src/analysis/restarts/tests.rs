use proptest::prelude::*;

use super::*;
use crate::analysis::fixture::{BEGIN, END, WINDOW, alert, answer, at, snapshot};
use crate::domain::metric::Sample;

/// A series with a sample every half minute between two times.
fn series(pairs: &[(&str, &str)], from: i64, to: i64, value: impl Fn(i64) -> f64) -> Series {
    let samples = (from..=to).step_by(30).map(|secs| Sample { at: at(secs), value: value(secs) }).collect();
    Series { labels: pairs.iter().copied().collect(), samples }
}

fn told(answers: Vec<(&str, Vec<Series>)>) -> Vec<(i64, String, String, String, String)> {
    let answers = answers
        .into_iter()
        .map(|(metric, series)| answer(Purpose::Restart { metric: metric.into() }, metric, series))
        .collect();
    seen(&snapshot(alert(&[("service", "pay")], ""), answers))
        .into_iter()
        .map(|one| {
            let change = one.change;
            assert!(!one.provenance.expr.is_empty());
            (change.at.secs(), change.kind, change.service, change.reference.to_string(), change.summary.to_string())
        })
        .collect()
}

fn one(at: i64, kind: &str, reference: &str, summary: &str) -> (i64, String, String, String, String) {
    (at, kind.into(), "pay".into(), reference.into(), summary.into())
}

#[test]
fn a_start_inside_is_a_restart_and_one_before_is_none() {
    let began = WINDOW - 100;
    let again = series(&[("service", "pay")], BEGIN, END, |secs| if secs < began { 100.0 } else { began as f64 });
    let old = series(&[("service", "web")], BEGIN, END, |_| 100.25);
    assert_eq!(told(vec![("process_start_time_seconds", vec![again, old])]), [one(began, "restart", "", "1 restart")]);
}

#[test]
fn another_version_with_new_pods_is_one_rollout() {
    let info = |version, from, to| series(&[("service", "pay"), ("version", version)], from, to, |_| 1.0);
    let pod = |pod, from, to, start: i64| series(&[("pod", pod), ("service", "pay")], from, to, move |_| start as f64);
    let found = told(vec![
        ("app_build_info", vec![info("v2.40", BEGIN, WINDOW), info("v2.41", WINDOW - 60, END)]),
        ("kube_pod_start_time", vec![pod("pay-0", BEGIN, WINDOW, 100), pod("pay-1", WINDOW - 60, END, WINDOW - 90)]),
    ]);
    assert_eq!(found, [one(WINDOW - 90, "rollout", "v2.41", "version v2.40 → v2.41, 1 new replica")]);
}

#[test]
fn a_crash_loop_is_one_change_with_its_count() {
    let counter = series(&[("service", "pay")], BEGIN, END, |secs| ((secs - WINDOW).max(0) / 120) as f64);
    let reason = series(&[("service", "pay"), ("reason", "OOMKilled")], BEGIN, END, |_| 1.0);
    let found = told(vec![
        ("kube_pod_container_status_restarts_total", vec![counter]),
        ("kube_pod_container_status_last_terminated_reason", vec![reason]),
    ]);
    assert_eq!(found, [one(WINDOW + 120, "restart", "", "10 restarts within 18m (OOMKilled)")]);
}

#[test]
fn images_are_told_by_their_tags() {
    let of = |image: &str| version_of(&[("image", image)].into_iter().collect());
    assert_eq!(of("registry:5000/shop/pay:v2").as_deref(), Some("v2"));
    assert_eq!(of("shop/pay@sha256:0123456789abcdef").as_deref(), Some("0123456789ab"));
    assert_eq!(of("pay").as_deref(), Some("pay"));
}

#[test]
fn more_replicas_are_no_rollout() {
    let pod = |pod, from, start: i64| series(&[("pod", pod), ("service", "pay")], from, END, move |_| start as f64);
    let found = told(vec![("kube_pod_start_time", vec![pod("pay-0", BEGIN, 100), pod("pay-1", WINDOW, WINDOW - 20)])]);
    assert_eq!(found, [one(WINDOW - 20, "scale", "", "1 more replica")]);
}

#[test]
fn a_rollout_that_is_listed_is_not_told_twice() {
    let info = |version, from, to| series(&[("service", "pay"), ("version", version)], from, to, |_| 1.0);
    let metrics = vec![answer(
        Purpose::Restart { metric: "app_build_info".into() },
        "app_build_info",
        vec![info("1", BEGIN, WINDOW), info("2", WINDOW, END)],
    )];
    let mut both = snapshot(alert(&[("service", "pay")], ""), metrics);
    let listed = Change { at: at(WINDOW - 60), kind: "deploy".into(), ..seen(&both)[0].change.clone() };
    both.changes.push(listed);
    assert_eq!(seen(&both)[0].change.kind, "restart");
}

proptest! {
    #[test]
    fn no_samples_panic(
        kind in 0..5_usize,
        values in prop::collection::vec((0..12_000_i64, any::<f64>()), 0..40),
    ) {
        let metric = ["process_start_time_seconds", "restarts_total", "x_info", "y_generation", "z_created"][kind];
        let samples = values.into_iter().map(|(secs, value)| Sample { at: at(secs), value }).collect();
        let labels = [("service", "pay"), ("version", "1")].into_iter().collect();
        let _ = told(vec![(metric, vec![Series { labels, samples }])]);
    }
}
