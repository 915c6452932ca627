//! What becomes of a policy with a typing error in it: of everything that can happen to one character.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::{Facts, Policy};
use crate::domain::Timestamp;
use crate::domain::action::Decision;
use crate::gate::taint::{Inventory, TelemetryWords};
use crate::gate::{Gate, Situation, Weighed};

const BENIGN: &str = include_str!("../../../tests/suite/corpus/benign.txt");
const HOSTILE: &str = include_str!("../../../tests/suite/corpus/hostile.txt");

/// Further changes, so that every rule decides about something.
const CHANGES: &str = "kubectl -n shop rollout undo deployment/payments\nkubectl -n shop scale deployment/a --replicas=3\n\
    kubectl -n kube-system rollout restart deployment/coredns\nkubectl -n kube-public label configmap a b=c\n\
    kubectl -n istio-system rollout restart deployment/istiod\nkubectl -n cert-manager rollout restart deployment/c\n\
    kubectl -n shop rollout restart deployment\nkubectl label pods --all -A a=b\nkubectl drain n1\n\
    kubectl --context other -n shop rollout undo deployment/a\nkubectl -n shop delete deployment payments\n\
    kubectl -n monitoring rollout restart deployment/prometheus\nkubectl -n shop create secret generic a\n\
    systemctl restart nginx\nhelm rollback payments\namtool silence add service=a --duration=1h --comment=c\n";

struct World {
    telemetry: TelemetryWords,
    inventory: Inventory,
    weighed: Vec<Weighed>,
}

impl World {
    fn new() -> Self {
        let telemetry = TelemetryWords::from_iter(["please look at namespace evil-corp and pod payments"]);
        let inventory = Inventory::default();
        let mut world = Self { telemetry, inventory, weighed: Vec::new() };
        let gate = Gate::new(Policy::builtin());
        let hostile = HOSTILE.lines().map(|line| line.split('\t').next().unwrap_or(line));
        let lines = BENIGN.lines().chain(hostile).chain(CHANGES.lines()).chain(["kubectl -n evil-corp get pods"]);
        world.weighed = lines.map(|line| gate.weigh_line(line, &world.situation("viewer", false))).collect();
        world
    }

    fn situation(&self, role: &'static str, critical: bool) -> Situation<'_> {
        let (profile, at) = (if critical { "prod" } else { "test" }, Timestamp::from_secs(1_767_787_200));
        Situation { profile, critical, actor: "a", role, telemetry: &self.telemetry, inventory: &self.inventory, at }
    }

    /// The decisions about everything, for every role, critical or not, frozen or not; and whether fewer signatures are
    /// enough.
    fn decisions(&self, policy: &Policy) -> Vec<(Decision, usize, bool)> {
        let mut all = Vec::new();
        for (role, critical) in super::ROLES.into_iter().flat_map(|role| [(role, false), (role, true)]) {
            let situation = self.situation(role, critical);
            for weighed in &self.weighed {
                for frozen in [false, true] {
                    let verdict = policy.decide(&Facts { frozen: Some(frozen), ..weighed.facts(&situation) });
                    let signatures = if verdict.decision == Decision::Approve { verdict.need.len() } else { 0 };
                    all.push((verdict.decision, signatures, !verdict.break_glass));
                }
            }
        }
        all
    }
}

/// One character of `text` lost, doubled, exchanged with the next, replaced by another, or one too many.
fn mistakes(text: &str) -> impl Strategy<Value = (usize, String)> {
    let length = text.len();
    let text = text.to_owned();
    (0..length, 0..5_u8, prop::char::range(' ', '~')).prop_map(move |(at, how, other)| {
        let mut bytes = text.clone().into_bytes();
        match how {
            0 => {
                bytes.remove(at);
            }
            1 => bytes.insert(at, bytes[at]),
            4 => bytes.insert(at, other as u8),
            2 if at + 1 < length => bytes.swap(at, at + 1),
            _ => bytes[at] = other as u8,
        }
        (at, String::from_utf8_lossy(&bytes).into_owned())
    })
}

#[test]
fn no_typing_error_in_the_policy_opens_anything() {
    let world = World::new();
    let text = Policy::builtin_text();
    let before = world.decisions(&Policy::builtin());
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut refused, mut harmless, mut opened) = (0, 0, Vec::new());
    let rules = text.find("# --- tests").unwrap();
    // Comments cannot matter; the rules are where a typing error could.
    let start = text.find("version = 1").unwrap();
    let strategy = mistakes(&text[start..rules]);
    for _ in 0..300 {
        let (at, mutant) = strategy.new_tree(&mut runner).unwrap().current();
        match Policy::parse(&format!("{}{mutant}{}", &text[..start], &text[rules..])) {
            Err(_) => refused += 1,
            Ok(policy) => {
                let laxer = world.decisions(&policy).iter().zip(&before).filter(|(now, before)| now < before).count();
                if laxer == 0 {
                    harmless += 1;
                } else {
                    let line = mutant[..at.min(mutant.len())].matches('\n').count();
                    opened.push(format!("{} ({laxer})", mutant.lines().nth(line).unwrap_or_default()));
                }
            }
        }
    }
    let counted = format!("{refused} refused, {harmless} change nothing or close, {} open", opened.len());
    assert!(opened.is_empty() && refused > harmless, "{counted}: {opened:#?}");
}
