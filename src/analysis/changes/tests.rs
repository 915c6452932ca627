use proptest::prelude::*;

use super::*;
use crate::analysis::fixture;

mod effects;
mod worlds;

const ONSET: i64 = 10_000;

fn change(secs: i64, kind: &str, service: &str, summary: &str, diff: Option<&str>) -> Change {
    Change {
        at: Timestamp::from_secs(secs),
        kind: kind.into(),
        service: service.into(),
        reference: Text::new(&format!("{summary}@{secs}")),
        summary: Text::new(summary),
        author: Text::default(),
        diff: diff.map(Text::new),
    }
}

fn mark(service: &str, secs: i64, strength: f64) -> Mark {
    let step = Duration::from_secs(30);
    Mark { service: service.into(), at: Timestamp::from_secs(secs), step, strength, what: "latency".into() }
}

/// `pay` is the first suspect and `web`, which calls it, the second.
struct Scene {
    suspects: BTreeMap<String, f64>,
    graph: Vec<GraphEdge>,
    marks: Vec<Mark>,
    symptoms: Symptoms,
    load: Option<Timestamp>,
}

fn scene() -> Scene {
    Scene {
        suspects: BTreeMap::from([("pay".to_owned(), 0.8), ("web".to_owned(), 0.3)]),
        graph: vec![GraphEdge { client: "web".into(), server: "pay".into() }],
        marks: vec![mark("pay", ONSET, 0.8), mark("web", ONSET + 30, 0.5)],
        symptoms: Symptoms::default(),
        load: None,
    }
}

impl Scene {
    fn case(&self) -> Case<'_> {
        Case {
            observed: TimeRange::new(Timestamp::from_secs(ONSET - 5_400), Timestamp::from_secs(ONSET + 1_200)),
            suspects: &self.suspects,
            graph: &self.graph,
            marks: &self.marks,
            alerted: Timestamp::from_secs(ONSET + 120),
            symptoms: &self.symptoms,
            load: self.load,
        }
    }

    fn blamed(&self, changes: &[Change]) -> Vec<usize> {
        judge(changes, self.case()).blamed.iter().map(|finding| finding.index).collect()
    }
}

#[test]
fn what_breaks_at_once_is_blamed_and_decoys_are_told_why_not() {
    let all = [
        change(ONSET - 5_000, "deploy", "pay", "an old one", None),
        change(ONSET - 100, "commit", "", "not running yet", None),
        change(ONSET - 50, "deploy", "pay", "retry less", Some("@@ pay.go @@\n-  retries = 5\n+  retries = 0")),
        change(ONSET - 40, "deploy", "web", "restyle button", Some("@@ web/button.css @@\n-  a\n+  b")),
        change(ONSET - 20, "deploy", "mail", "elsewhere", None),
        change(ONSET + 300, "deploy", "pay", "after the onset", None),
    ];
    let judgement = judge(&all, scene().case());
    assert_eq!(judgement.blamed.iter().map(|finding| finding.index).collect::<Vec<_>>(), [2]);
    assert!(judgement.blamed[0].why.contains("pay is the first suspect"), "{}", judgement.blamed[0].why);
    let why = |index: usize| &judgement.ruled_out.iter().find(|finding| finding.index == index).unwrap().why;
    for (index, words) in [
        (0, "too long before"),
        (1, "nothing says that it runs"),
        (3, "looks, tests, papers"),
        (4, "nothing abnormal"),
        (5, "after the onset"),
    ] {
        assert!(why(index).contains(words), "{index}: {}", why(index));
    }
}

#[test]
fn no_change_explains_it_and_that_is_said() {
    let all = [
        change(ONSET - 4_000, "deploy", "pay", "long ago", None),
        change(ONSET - 10, "deploy", "mail", "elsewhere", None),
        change(ONSET + 600, "restart", "pay", "crash", None),
    ];
    let scene = scene();
    assert!(scene.blamed(&all).is_empty());
    let text = without_change(&all, &judge(&all, scene.case()), scene.case()).unwrap();
    assert!(text.starts_with("no change explains this: 3 looked at"), "{text}");
    let nothing = Scene { suspects: BTreeMap::new(), ..scene };
    assert!(nothing.blamed(&all).is_empty());
}

#[test]
fn a_slow_burn_is_dated_to_its_beginning() {
    let all = [
        change(ONSET - 4_030, "deploy", "pay", "keep sessions", None),
        change(ONSET - 200, "deploy", "pay", "another", None),
    ];
    let mut slow = scene();
    slow.marks.extend([mark("pay", ONSET - 4_000, 0.8), mark("pay", ONSET - 3_970, 0.7)]);
    assert_eq!(slow.blamed(&all), [0]);
}

#[test]
fn a_rise_of_the_load_needs_no_change() {
    let all = [change(ONSET - 420, "deploy", "pay", "something", None)];
    assert_eq!(scene().blamed(&all), [0]);
    let load = Some(Timestamp::from_secs(ONSET - 60));
    assert!(Scene { load, ..scene() }.blamed(&all).is_empty());
}

#[test]
fn a_deploy_speaks_for_the_commits_it_carries() {
    let diff = "@@ pool.go @@\n-\tdefer conn.Release()\n \tq(conn)";
    let mut commit = change(ONSET - 900, "commit", "pay", "tidy", Some(diff));
    commit.reference = Text::new("0123456789abcdef");
    let mut deploy = change(ONSET - 60, "deploy", "pay", "v2", None);
    deploy.reference = Text::new("0123456789ab");
    let judgement = judge(&[commit, deploy], scene().case());
    assert_eq!(judgement.blamed[0].index, 1);
    assert!(judgement.blamed[0].why.contains("a commit it carries no longer calls conn.Release()"), "{judgement:?}");
    assert!(judgement.blamed.len() == 1);
}

#[test]
fn a_restart_goes_with_its_deploy() {
    let all = [change(ONSET - 90, "deploy", "pay", "v2", None), change(ONSET - 60, "restart", "pay", "1 pod", None)];
    assert_eq!(scene().blamed(&all), [0]);
}

#[test]
fn what_the_symptoms_name_is_blamed_before_what_they_do_not() {
    let mut scene = scene();
    let mut alert = fixture::alert(&[("service", "pay")], "");
    alert.annotations = [("summary", "relation \"coupon_uses\" is missing")].into_iter().collect();
    scene.symptoms = Symptoms::of(&fixture::snapshot(alert, Vec::new()).incident, &[], &[]);
    let all = [
        change(ONSET - 60, "deploy", "pay", "a", Some("@@ a.py @@\n+    rows = db.fetch(\"FROM coupon_uses\")")),
        change(ONSET - 40, "deploy", "pay", "b", Some("@@ b.py @@\n+    rows = db.fetch(\"FROM carts\")")),
    ];
    assert_eq!(scene.blamed(&all)[0], 0);
}

#[test]
fn a_title_holds_version_size_and_author() {
    let mut one = change(0, "deploy", "pay", "smaller pool", Some("-a\n+b\n+c"));
    one.reference = Text::new("v2.41");
    one.author = Text::new("ann");
    assert_eq!(title(&one).as_str(), "deploy pay v2.41 smaller pool ann +2 −1");
}

proptest! {
    #[test]
    fn no_diff_panics(diff in "([-+ @#/*\"'a-z0-9(){}.:=\n]|if |\\PC){0,300}", at in 0_i64..20_000) {
        let all = [change(at, "deploy", "pay", &diff, Some(&diff))];
        let judgement = judge(&all, scene().case());
        prop_assert!(judgement.blamed.iter().all(|finding| (0.0..=1.0).contains(&finding.score)));
        let _ = title(&all[0]);
    }

    #[test]
    fn neither_order_nor_the_clock_matters(
        given in prop::collection::vec((0_i64..11_000, 0..4_usize, 0..3_usize), 0..12),
        turn in 0..12_usize,
        shift in -9_000_i64..9_000,
    ) {
        let of = |shift: i64| -> Vec<Change> {
            given.iter().map(|(at, kind, service)| {
                let kind = ["deploy", "commit", "flag", "restart"][*kind];
                change(at + shift, kind, ["pay", "web", "mail"][*service], "x", None)
            }).map(|one| Change { reference: Text::new("r"), ..one }).collect()
        };
        let told = |changes: &[Change], judgement: &Judgement, shift: i64| {
            judgement.blamed.iter().chain(&judgement.ruled_out)
                .map(|one| {
                    let change = &changes[one.index];
                    (change.at.secs() - shift, change.kind.clone(), change.service.clone(), one.score.to_bits(), one.why.clone())
                })
                .collect::<Vec<_>>()
        };
        let all = of(0);
        let before = judge(&all, scene().case());
        let mut turned = all.clone();
        if !turned.is_empty() {
            let by = turn % turned.len();
            turned.rotate_left(by);
        }
        prop_assert_eq!(told(&all, &before, 0), told(&turned, &judge(&turned, scene().case()), 0));
        let mut later = scene();
        for mark in &mut later.marks {
            mark.at = Timestamp::from_secs(mark.at.secs() + shift);
        }
        let case = later.case();
        let moved = |at: Timestamp| Timestamp::from_secs(at.secs() + shift);
        let case = Case {
            observed: TimeRange::new(moved(case.observed.start), moved(case.observed.end)),
            alerted: moved(case.alerted),
            ..case
        };
        let shifted = of(shift);
        prop_assert_eq!(told(&all, &before, 0), told(&shifted, &judge(&shifted, case), shift));
    }
}
