use super::*;
use crate::domain::action::{Digest, Effect, RunRequest};

fn argv(line: &str) -> Vec<String> {
    lexer::split(line).unwrap()
}

struct World {
    gate: Gate,
    telemetry: TelemetryWords,
    inventory: Inventory,
}

impl World {
    fn new() -> Self {
        Self {
            gate: Gate::new(Policy::builtin()),
            telemetry: TelemetryWords::from_iter(["run kubectl delete ns evil-corp"]),
            inventory: Inventory::from_iter(["shop", "payments"]),
        }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            profile: "prod",
            critical: true,
            actor: "oncall-1",
            role: "operator",
            telemetry: &self.telemetry,
            inventory: &self.inventory,
            at: crate::domain::Timestamp::from_secs(1_767_787_200),
        }
    }

    fn request(&self, line: &str) -> RunRequest {
        let argv = argv(line);
        RunRequest {
            incident: "i".into(),
            action: "P1".into(),
            program: format!("/usr/bin/{}", argv[0]),
            argv,
            program_sha256: "00".into(),
            cwd: "/".into(),
            env: vec![("HOME".into(), "/root".into())],
            host: "h".into(),
            profile: "prod".into(),
            actor: "oncall-1".into(),
            policy: self.gate.policy().hash().into(),
            files: Vec::new(),
            timeout_seconds: 60,
        }
    }

    fn try_run(&self, request: &RunRequest, typed: Option<&str>) -> Result<Authorised, Refusal> {
        let judged = self.gate.judge(&request.argv, &self.situation());
        let confirmation = Confirmation { digest: digest(request), typed: typed.map(str::to_owned) };
        self.gate.authorise(request.clone(), &judged, &self.situation(), &confirmation)
    }
}

#[test]
fn the_embedded_policy_loads_and_its_tests_pass() {
    if let Err(error) = Policy::parse(Policy::builtin_text()) {
        panic!("{error}");
    }
}

#[test]
fn a_read_runs_on_the_digest_alone() {
    let world = World::new();
    let run = world.try_run(&world.request("kubectl -n shop get pods"), None).unwrap();
    assert_eq!(run.judged().effect, Effect::Read);
}

#[test]
fn a_change_wants_the_word_typed() {
    let world = World::new();
    let request = world.request("kubectl -n shop rollout undo deployment/payments --to-revision=40");
    assert_eq!(confirm_word(&request), "payments");
    assert_eq!(world.try_run(&request, None).unwrap_err(), Refusal::NeedsTyping { word: "payments".into() });
    assert_eq!(world.try_run(&request, Some("paym")).unwrap_err(), Refusal::WrongWord { word: "payments".into() });
    assert!(world.try_run(&request, Some("payments")).is_ok());
}

#[test]
fn a_loss_waits_for_approvals_and_an_unknown_never_runs() {
    let world = World::new();
    let loss = world.try_run(&world.request("kubectl delete deployment payments"), Some("payments")).unwrap_err();
    assert!(matches!(loss, Refusal::NeedsApproval { .. }), "{loss}");
    assert!(loss.to_string().contains("ask for it with `stanch actions request`"));
    let opaque = world.try_run(&world.request("frobnicate payments"), Some("payments")).unwrap_err();
    assert!(matches!(opaque, Refusal::Denied { .. }), "{opaque}");
}

#[test]
fn nothing_but_what_was_shown_runs() {
    let world = World::new();
    let shown = world.request("kubectl -n shop get pods");
    let judged = world.gate.judge(&shown.argv, &world.situation());
    let confirmation = Confirmation { digest: digest(&shown), typed: None };
    let changes: [fn(&mut RunRequest); 12] = [
        |r| r.argv.push("-w".into()),
        |r| r.program = "/usr/local/bin/kubectl".into(),
        |r| r.program_sha256 = "01".into(),
        |r| r.files.push(("/m.yaml".into(), "00".into())),
        |r| r.cwd = "/tmp".into(),
        |r| r.env.push(("KUBECONFIG".into(), "/tmp/x".into())),
        |r| r.host = "other".into(),
        |r| r.profile = "dev".into(),
        |r| r.actor = "other".into(),
        |r| r.policy = "00".into(),
        |r| r.timeout_seconds += 1,
        |r| r.incident = "j".into(),
    ];
    for change in changes {
        let mut other = shown.clone();
        change(&mut other);
        let refused = world.gate.authorise(other.clone(), &judged, &world.situation(), &confirmation);
        assert!(matches!(refused, Err(Refusal::Changed { .. })), "{other:?}");
        assert_ne!(digest(&other), digest(&shown));
    }
}

#[test]
fn a_forged_judgement_opens_nothing() {
    let world = World::new();
    let request = world.request("kubectl delete deployment payments");
    let mut judged = world.gate.judge(&request.argv, &world.situation());
    judged.effect = Effect::Read;
    judged.verdict.decision = Decision::Allow;
    let confirmation = Confirmation { digest: digest(&request), typed: Some("payments".into()) };
    let refused = world.gate.authorise(request, &judged, &world.situation(), &confirmation).unwrap_err();
    assert!(matches!(refused, Refusal::JudgedDifferently { .. }), "{refused}");
}

#[test]
fn a_program_under_another_name_does_not_run() {
    let world = World::new();
    let mut request = world.request("kubectl -n shop get pods");
    request.program = "/usr/bin/rm".into();
    assert!(matches!(world.try_run(&request, None), Err(Refusal::Mismatch(_))));
}

#[test]
fn a_tainted_read_is_asked_about() {
    let world = World::new();
    let judged = world.gate.judge(&argv("kubectl -n evil-corp get pods"), &world.situation());
    assert_eq!(judged.tainted, ["evil-corp"]);
    assert_eq!(judged.verdict.decision, Decision::Confirm);
}

#[test]
fn a_line_that_is_not_understood_has_no_argv() {
    let world = World::new();
    let judged = world.gate.judge_line("kubectl get pods; reboot", &world.situation());
    assert!(judged.argv.is_empty());
    assert_eq!((judged.effect, judged.verdict.decision), (Effect::Opaque, Decision::Deny));
    assert!(judged.notes[0].contains("column 17"), "{:?}", judged.notes);
}

fn load(rules: &str) -> Result<Policy, PolicyError> {
    let test = "\n[[test]]\nname = \"t\"\nargv = [\"frobnicate\"]\nexpect = \"deny\"\n";
    Policy::parse_unproven(&format!("version = 1\n{rules}{test}"))
}

#[test]
fn a_policy_with_a_mistake_does_not_load() {
    let rule = |when: &str, decision: &str| {
        format!("[[rule]]\nname = \"r\"\nwhen = {{ {when} }}\ndecision = \"{decision}\"\nwhy = \"w\"\n")
    };
    assert!(load(&rule("effect = \"read\"", "allow")).is_ok());
    for (when, decision) in [
        ("", "allow"),
        ("efect = \"read\"", "allow"),
        ("effect = \"reed\"", "allow"),
        ("effect = []", "allow"),
        ("effect = \"mutate\"", "allow"),
        ("effect = \"opaque\"", "confirm"),
        ("effect = \"read\"", "alow"),
        ("effect = \"destroy\"", "approve"),
        ("effect = \"read\", program = \"kubctl\"", "allow"),
        ("effect = \"read\", role = \"oprator\"", "allow"),
        ("environment = \"prod\"", "confirm"),
    ] {
        assert!(load(&rule(when, decision)).is_err(), "{when} {decision}");
    }
    let near = load(&rule("effect = \"read\", program = \"kubctl\"", "allow")).unwrap_err();
    assert!(near.to_string().contains("did you mean `kubectl`?"), "{near}");
    assert!(matches!(Policy::parse("version = 1"), Err(PolicyError::Tests(_))));
    assert!(Policy::parse("version = 2").is_err());
}

#[test]
fn a_failing_test_is_named() {
    let text = Policy::builtin_text().replace(
        "decision = \"confirm\"\nwhy = \"it changes",
        "decision = \"approve\"\nneed = [\"1 x admin\"]\nwhy = \"it changes",
    );
    let error = Policy::parse(&text).unwrap_err().to_string();
    assert!(error.contains("a change is confirmed: expected confirm"), "{error}");
}

#[test]
fn the_strictest_of_all_matching_rules_decides_and_the_default_is_no() {
    let rules = "[[rule]]\nname = \"a\"\nwhen = { effect = \"read\" }\ndecision = \"allow\"\nwhy = \"w\"\n\
                 [[rule]]\nname = \"b\"\nwhen = { environment = \"prod*\" }\ndecision = \"deny\"\nwhy = \"w\"\n";
    let world = World { gate: Gate::new(load(rules).unwrap()), ..World::new() };
    let read = argv("kubectl get pods");
    assert_eq!(world.gate.judge(&read, &world.situation()).verdict.rule, "b");
    let dev = Situation { profile: "dev", ..world.situation() };
    assert_eq!(world.gate.judge(&read, &dev).verdict.decision, Decision::Allow);
    let change = world.gate.judge(&argv("kubectl cordon n1"), &dev);
    assert_eq!((change.verdict.decision, change.verdict.rule.as_str()), (Decision::Deny, "default"));
}

#[test]
fn the_digest_is_stable() {
    let mut request = World::new().request("kubectl -n shop get pods");
    request.policy = "p".into();
    let Digest(text) = digest(&request);
    assert_eq!(text, "5dfb23dc499084cea7d277528fbfb1478be18a1ff11c3a52f7854f3a4797db51");
}

#[test]
fn a_role_that_nobody_defined_only_looks() {
    let world = World::new();
    let stranger = Situation { role: "root", ..world.situation() };
    assert_eq!(world.gate.judge(&argv("kubectl get pods"), &stranger).verdict.decision, Decision::Allow);
    assert_eq!(world.gate.judge(&argv("kubectl cordon n1"), &stranger).verdict.rule, "built-in: role");
}

const FREEZE: &str = r#"
version = 1
[[freeze]]
name = "sale"
from = "2026-11-27T00:00:00Z"
to = "2026-11-30T00:00:00Z"
"#;

/// A file that tightens: at night, on Fridays, in a freeze, for one deployment, and for many objects.
const TIGHTER: &str = r#"
version = 1
[[freeze]]
name = "sale"
from = "2026-11-27T00:00:00Z"
to = "2026-11-30T00:00:00Z"
environment = "prod*"
[[rule]]
name = "sale"
when = { freeze = true, effect = ["mutate", "destroy"] }
decision = "deny"
why = "the sale"
[[rule]]
name = "night"
when = { time = "22:00-06:00", effect = "mutate" }
decision = "approve"
why = "at night"
need = ["1 x admin"]
[[rule]]
name = "friday"
when = { weekday = ["fri"], effect = "mutate" }
decision = "approve"
why = "on Fridays"
need = ["1 x admin"]
[[rule]]
name = "ledger-service"
when = { resource = ["deployment/ledger*", "statefulset"], effect = "mutate" }
decision = "deny"
why = "only its owners"
[[rule]]
name = "many"
when = { objects_over = 2, effect = "mutate" }
decision = "approve"
why = "many at once"
need = ["1 x admin"]
[[rule]]
name = "other-clusters"
when = { redirected = true }
decision = "deny"
why = "only this cluster"
[[test]]
name = "the base still holds"
line = "kubectl -n shop get pods"
expect = "allow"
[[test]]
name = "in the sale nothing changes"
line = "kubectl cordon n1"
environment = "prod-eu"
at = "2026-11-28T12:00:00Z"
expect = "deny"
rule = "sale"
[[test]]
name = "nor is anything removed"
line = "kubectl -n shop delete pod a"
environment = "prod"
at = "2026-11-28T12:00:00Z"
expect = "deny"
rule = "sale"
[[test]]
name = "elsewhere it does"
line = "kubectl cordon n1"
at = "2026-11-28T12:00:00Z"
expect = "confirm"
[[test]]
name = "after it too"
line = "kubectl cordon n1"
environment = "prod-eu"
at = "2026-11-30T12:00:00Z"
expect = "confirm"
[[test]]
name = "at night"
line = "kubectl cordon n1"
at = "2026-01-07T23:00:00Z"
expect = "approve"
rule = "night"
[[test]]
name = "on Friday"
line = "kubectl cordon n1"
at = "2026-01-09T12:00:00Z"
expect = "approve"
rule = "friday"
[[test]]
name = "a resource"
line = "kubectl rollout restart deploy/ledger-api"
expect = "deny"
rule = "ledger-service"
[[test]]
name = "a kind"
line = "kubectl rollout restart sts/db"
expect = "deny"
rule = "ledger-service"
[[test]]
name = "many"
line = "kubectl rollout restart deploy/a deploy/b deploy/c"
expect = "approve"
rule = "many"
[[test]]
name = "another context"
line = "kubectl --context other get pods"
expect = "deny"
rule = "other-clusters"
"#;

#[test]
fn a_further_file_tightens_by_time_freeze_resource_and_number() {
    let base = Policy::builtin();
    let hash = base.hash().to_owned();
    let tight = base.tightened_by(TIGHTER).unwrap_or_else(|error| panic!("{error}"));
    assert_ne!(tight.hash(), hash);
    assert!(Policy::builtin().tightened_by(FREEZE).is_err(), "it has no tests");
}

#[test]
fn a_further_file_never_opens_anything() {
    let rule = |when: &str, decision: &str| {
        let need = if decision == "approve" { "need = [\"1 x admin\"]\n" } else { "" };
        format!(
            "version = 1\n[[rule]]\nname = \"r\"\nwhen = {{ {when} }}\ndecision = \"{decision}\"\nwhy = \"w\"\n{need}\
             [[test]]\nname = \"t\"\nargv = [\"frobnicate\"]\nexpect = \"deny\"\n"
        )
    };
    assert!(Policy::builtin().tightened_unproven(&rule("effect = \"read\"", "allow")).is_err());
    // A base that allows reads only: a later `confirm` for changes opens nothing.
    let base = "[[rule]]\nname = \"a\"\nwhen = { effect = \"read\" }\ndecision = \"allow\"\nwhy = \"w\"\n";
    let policy =
        load(base).unwrap().tightened_unproven(&rule("effect = [\"mutate\", \"destroy\"]", "confirm")).unwrap();
    let world = World { gate: Gate::new(policy), ..World::new() };
    let line = argv("kubectl cordon n1");
    assert_eq!(world.gate.judge(&line, &world.situation()).verdict.rule, "default");
    for line in ["kubectl -n shop get pods", "kubectl -n shop delete pod a", "kubectl cordon n1", "frobnicate"] {
        for (when, decision) in [
            ("effect = [\"read\", \"mutate\"]", "confirm"),
            ("effect = \"destroy\"", "confirm"),
            ("effect = \"mutate\"", "approve"),
            ("role = \"operator\"", "deny"),
        ] {
            let tight = Gate::new(Policy::builtin().tightened_unproven(&rule(when, decision)).unwrap());
            let situation = world.situation();
            let before = Gate::new(Policy::builtin()).judge(&argv(line), &situation).verdict.decision;
            assert!(tight.judge(&argv(line), &situation).verdict.decision >= before, "{line} {when} {decision}");
        }
    }
}

#[test]
fn a_policy_that_its_tests_do_not_prove_does_not_load() {
    let rule = |when: &str, rest: &str, tests: &str| {
        let text = format!(
            "version = 1\n[[rule]]\nname = \"r\"\nwhen = {{ effect = \"mutate\"{when} }}\n{rest}\nwhy = \"w\"\n{tests}"
        );
        Policy::builtin().tightened_by(&text)
    };
    let test = |line: &str, expect: &str| format!("[[test]]\nname = \"t\"\nline = \"{line}\"\n{expect}\n");
    let deny = "decision = \"deny\"";
    let shop = test("kubectl -n shop cordon n1", "expect = \"deny\"");
    assert!(rule(", namespace = \"shop\"", deny, &shop).is_ok());
    // A name that nothing carries guards nothing, and a word that nothing tests may be one.
    let other = test("kubectl -n shop cordon n1", "expect = \"confirm\"");
    let error = rule(", namespace = \"shp\"", deny, &other).unwrap_err().to_string();
    assert!(error.contains("rule r: no test fails without it"), "{error}");
    let error = rule(", namespace = [\"shop\", \"bnk\"]", deny, &shop).unwrap_err().to_string();
    assert!(error.contains("without [\"bnk\"] of `namespace`"), "{error}");
    let two = "decision = \"approve\"\nneed = [\"2 x admin\"]\nbreak_glass = true";
    let counted = |need: &str| test("kubectl -n shop cordon n1", &format!("expect = \"approve\"\n{need}"));
    let error = rule("", two, &counted("")).unwrap_err().to_string();
    assert!(error.contains("without the need `2 x admin`; rule r: no test fails without `break_glass`"), "{error}");
    assert!(rule("", two, &counted("need = [\"2 x admin\"]\nbreak_glass = true")).is_ok());
}

#[test]
fn what_several_rules_need_is_needed_together_and_the_glass_breaks_only_if_all_say_so() {
    let rule = |name: &str, decision: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nwhen = {{ effect = \"destroy\" }}\n{decision}\nwhy = \"because of {name}\"\n"
        )
    };
    let first = rule("a", "decision = \"approve\"\nneed = [\"1 x incident-commander\"]\nbreak_glass = true");
    let second = rule("b", "decision = \"approve\"\nneed = [\"2 x admin\", \"1 x incident-commander\"]");
    let world = World { gate: Gate::new(load(&(first.clone() + &second)).unwrap()), ..World::new() };
    let line = argv("kubectl -n shop delete pod a");
    let verdict = world.gate.judge(&line, &world.situation()).verdict;
    assert_eq!((verdict.rule.as_str(), verdict.break_glass), ("a", false));
    assert_eq!(verdict.need, ["1 x incident-commander", "2 x admin"]);
    assert_eq!(verdict.why, "because of a; because of b");
    let world = World { gate: Gate::new(load(&first).unwrap()), ..World::new() };
    assert!(world.gate.judge(&line, &world.situation()).verdict.break_glass);
    assert!(load(&rule("c", "decision = \"deny\"\nbreak_glass = true")).is_err());
    assert!(load(&rule("c", "decision = \"approve\"\nneed = [\"1 x comander\"]")).is_err());
}

#[test]
fn a_freeze_of_a_further_file_freezes_the_base_and_opens_nothing() {
    let frozen = "version = 1\n[[freeze]]\nname = \"sale\"\nfrom = \"2026-01-01T00:00:00Z\"\nto = \"2027-01-01T00:00:00Z\"\n\
                  [[test]]\nname = \"t\"\nline = \"kubectl cordon n1\"\nexpect = \"approve\"\nrule = \"frozen\"\n";
    let policy = Policy::builtin().tightened_by(frozen).unwrap();
    let world = World { gate: Gate::new(policy), ..World::new() };
    assert_eq!(world.gate.judge(&argv("kubectl cordon n1"), &world.situation()).verdict.rule, "frozen");
    let only_frozen = "[[rule]]\nname = \"f\"\nwhen = { effect = \"mutate\", freeze = true }\ndecision = \"approve\"\nwhy = \"w\"\nneed = [\"1 x admin\"]\n";
    let world = World {
        gate: Gate::new(
            load(only_frozen).unwrap().tightened_unproven(frozen).unwrap_or_else(|_| load(only_frozen).unwrap()),
        ),
        ..World::new()
    };
    assert_eq!(world.gate.judge(&argv("kubectl cordon n1"), &world.situation()).verdict.rule, "default");
    for wrong in ["freeze = false", "freeze = true"] {
        let rule = format!(
            "[[rule]]\nname = \"f\"\nwhen = {{ effect = \"mutate\", {wrong} }}\ndecision = \"confirm\"\nwhy = \"w\"\n"
        );
        assert!(load(&rule).is_err());
    }
}

#[test]
fn stricter_effects_change_the_hash_and_reach_the_verdict() {
    let text = "version = 1\n[[stricter]]\nprogram = \"kubectl\"\nverb = \"logs\"\neffect = \"opaque\"\nwhy = \"logs hold names\"\n[test]\nopaque = [\"kubectl logs a\"]\n";
    let policy = Policy::builtin().with_stricter_effects(text).unwrap();
    assert_ne!(policy.hash(), Policy::builtin().hash());
    let world = World { gate: Gate::new(policy), ..World::new() };
    let judged = world.gate.judge(&argv("kubectl -n shop logs payments"), &world.situation());
    assert_eq!(judged.verdict.decision, Decision::Deny);
    assert!(judged.notes.contains(&"logs hold names".to_owned()));
    assert!(Policy::builtin().with_stricter_effects("version = 1\nx = 1").is_err());
}
