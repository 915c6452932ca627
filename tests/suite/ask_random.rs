//! Free questions to a real server with a model of random weights: whatever a step may say, it says it here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use stanch::copilot::call::{CallOutcome, Leaving, Witness};
use stanch::copilot::online::Sampling;
use stanch::copilot::questions::{
    AskError, Inquirer, Limits, Line, NotTold, Seat, Subject, Thread, Told, Toolbox, ask,
};
use stanch::domain::diagnosis::Bill;
use stanch::domain::metric::{Sample, Series};
use stanch::domain::query::{Answer, Asked, Data, Planned};
use stanch::domain::question::StepOutcome;
use stanch::domain::settings::{EndpointSettings, Protocol};
use stanch::domain::{Text, TimeRange, Timestamp};
use stanch::llm::{LlmClient, LlmErrorKind};
use stanch::prompts::Library;
use tokio_util::sync::CancellationToken;

use crate::llm_real::llama;
use crate::secrets::NoSecrets;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// Counts what is written down.
#[derive(Default)]
struct Notes {
    sent: usize,
    ended: usize,
}

impl Witness for Notes {
    fn before_send<'a>(&'a mut self, _: &'a Leaving<'a>) -> BoxFuture<'a, Result<(), String>> {
        self.sent += 1;
        Box::pin(async { Ok(()) })
    }
    fn after<'a>(&'a mut self, _: &'a CallOutcome) -> BoxFuture<'a, Result<(), String>> {
        self.ended += 1;
        Box::pin(async { Ok(()) })
    }
}

struct One {
    client: Option<LlmClient>,
    notes: Notes,
    passed: Vec<String>,
    shaped: usize,
}

impl Line for One {
    fn next<'a>(&'a mut self, _: &'a mut (dyn FnMut(String) + Send)) -> BoxFuture<'a, Option<Seat>> {
        let seat = self.client.take().map(|client| Seat { client, pack_budget: 500 });
        Box::pin(async { seat })
    }
    fn refuses(&self, _: usize) -> Option<String> {
        None
    }
    fn witness(&mut self) -> &mut dyn Witness {
        &mut self.notes
    }
    fn ended(&mut self, _: &CallOutcome, problems: Option<&[String]>) {
        self.shaped += usize::from(problems.is_some());
    }
    fn again(&mut self, _: &LlmErrorKind) -> Option<Duration> {
        None
    }
    fn pass(&mut self, why: String) {
        self.passed.push(why);
    }
    fn passed(&self) -> &[String] {
        &self.passed
    }
    fn bill(&self) -> Option<Bill> {
        None
    }
}

fn told(text: &str) -> Told {
    let range = TimeRange::new(NOW, NOW);
    Told { title: "told".into(), text: text.into(), items: 1, source: "stanch".into(), range }
}

/// Answers everything; runs nothing.
#[derive(Default)]
struct Tools {
    commands: AtomicUsize,
}

impl Toolbox for Tools {
    fn now(&self) -> Timestamp {
        NOW
    }
    fn query<'a>(&'a self, planned: &'a Planned) -> BoxFuture<'a, (Asked, Option<Answer>)> {
        Box::pin(async move {
            let labels = [("service", "payments")].into_iter().collect();
            let series = Series { labels, samples: vec![Sample { at: NOW, value: 0.0 }] };
            let asked = Asked {
                planned: planned.clone(),
                source: "prometheus".into(),
                at: NOW,
                elapsed_ms: 1,
                outcome: Ok(1),
                notes: Vec::new(),
            };
            (asked, Some(Answer::new(Data::Series(vec![series]))))
        })
    }
    fn incidents(&self) -> BoxFuture<'_, Result<Told, NotTold>> {
        Box::pin(async { Ok(told("1 open")) })
    }
    fn suspects<'a>(&'a self, _: Option<&'a str>) -> BoxFuture<'a, Result<Told, NotTold>> {
        Box::pin(async { Ok(told("1 payments")) })
    }
    fn kubectl<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, Result<Told, NotTold>> {
        self.commands.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Err(NotTold::Refused(Text::from("not here"))) })
    }
    fn runbook<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Told, NotTold>> {
        Box::pin(async { Ok(told("none")) })
    }
}

#[tokio::test]
async fn steps_of_nonsense_stay_bounded_and_nothing_invented_looks_supported() {
    let server = llama(32_768).await;
    let library = Library::builtin();
    let tools = Tools::default();
    let limits = Limits { steps: 3, time: Duration::from_mins(3), ..Limits::default() };
    let (mut shaped, mut steps) = (0, 0);
    for seed in 1..=8 {
        let settings = EndpointSettings {
            url: Some(format!("{}/v1", server.url())),
            answer_tokens: 1_500,
            ..EndpointSettings::new("local", Protocol::OpenaiChat, "tiny-random")
        };
        let client = LlmClient::new(settings, Arc::new(NoSecrets)).expect("settings that work");
        let mut one = One { client: Some(client), notes: Notes::default(), passed: Vec::new(), shaped: 0 };
        let inquirer = Inquirer {
            library: &library,
            toolbox: &tools,
            sources: "Live sources.",
            limits,
            sampling: Sampling { temperature: Some(1.0), seed: Some(seed) },
            shown: None,
        };
        let mut thread = Thread::new(Subject::System(told("1 open of 1 incidents")));
        let cancel = CancellationToken::new();
        let question = "which services were down in the last 10 minutes?";
        let result = ask(&inquirer, &mut thread, question, &mut one, |_| {}, &cancel).await;
        assert_eq!(one.notes.sent, one.notes.ended, "each intent has its outcome");
        assert!(one.notes.sent <= 2 * limits.steps, "{} requests", one.notes.sent);
        shaped += one.shaped;
        let reply = match result {
            Ok(reply) => reply,
            Err(AskError::Llm(why)) => panic!("{why:?}"),
            Err(error) => panic!("{error}"),
        };
        assert!(reply.steps.len() < limits.steps);
        assert!(reply.steps.iter().all(|step| step.outcome != StepOutcome::UnderWay));
        steps += reply.steps.len();
        let diagnosed = &reply.diagnosed;
        assert!(diagnosed.diagnosis.actions.is_empty());
        let refuted = |path: &str| diagnosed.unsupported.iter().any(|claim| claim.path == path);
        for (at, claim) in diagnosed.diagnosis.observations.iter().enumerate() {
            let path = format!("observations[{at}]");
            for id in &claim.evidence {
                assert!(reply.evidence.iter().any(|item| item.id.to_string() == *id), "an invented id is shown: {id}");
            }
            assert!(!claim.evidence.is_empty() || refuted(&path), "{path} looks supported and is not");
        }
        if diagnosed.diagnosis.observations.is_empty() && !diagnosed.diagnosis.summary.trim().is_empty() {
            assert!(refuted("summary"), "an answer without a claim looks supported");
        }
    }
    assert!(shaped > 0, "no step came to its end");
    eprintln!("{shaped} steps came to their end, {steps} tools were called, {:?} commands refused", tools.commands);
}
