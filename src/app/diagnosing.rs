//! A diagnosis with its actions judged: by the offline analyst or by a language model.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::context::{Redactor, redactor_for};
use crate::copilot::call::request_tokens;
use crate::copilot::online::{self, Attempt, Case, OnlineError, Progress, Sampling};
use crate::copilot::{actions, answer, offline};
use crate::core::message::{Draft, PackPreview, Receiver};
use crate::domain::action::{Action, Judged, Origin};
use crate::domain::analysis::Analysis;
use crate::domain::canonical::hex;
use crate::domain::diagnosis::{Bill, Diagnosed, Earlier, Usage};
use crate::domain::evidence::Evidence;
use crate::domain::labels::Labels;
use crate::domain::pack::Pack;
use crate::domain::settings::{EndpointSettings, Protocol, Sees};
use crate::domain::text::neutralise;
use crate::domain::{Outgoing, Text};
use crate::llm::{Admission, ChatRequest, Endpoint, LlmClient, LlmError};
use crate::prompts::Library;

use super::drafting::Board;
use super::engine::Engine;
use super::failure::Failure;
use super::investigate::Investigated;
use super::spending;
use super::standing::Standing;
use super::turns::{Turn, Turns};
use super::witness::LedgerWitness;

/// A finished diagnosis, its actions with what the gate says of them, and the standing they were judged from.
#[derive(Debug, Clone)]
pub struct Concluded {
    /// The diagnosis.
    pub diagnosed: Diagnosed,
    /// Its actions.
    pub actions: Vec<(Action, Judged)>,
    /// Who would act, with the words that telemetry brought in.
    pub standing: Standing,
}

/// Diagnoses without a language model. Sends nothing, and is the same every time.
pub async fn offline(engine: &Engine, investigated: &Investigated) -> Concluded {
    let diagnosed = offline::diagnose(&investigated.analysis, &engine.playbooks);
    conclude(engine, investigated, diagnosed).await
}

/// What to ask a language model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// The end point; all in their order when `None`.
    pub endpoint: Option<&'a str>,
    /// Answers to questions that were asked on the way: evidence beside that of the analysis.
    pub answers: &'a [Evidence],
    /// SHA-256 of the pack that a person looked at and agreed to send, lower-case hex. No other leaves then.
    pub shown: Option<&'a str>,
}

/// The digest of a pack's text, by which a person agrees to send it.
pub fn pack_digest(pack: &Pack) -> String {
    hex(&Sha256::digest(&pack.text))
}

/// Diagnoses with a language model: the end points are tried in their order until one gives a whole answer. What
/// leaves is in the ledger first. An answer that breaks off is kept, and the next end point begins from zero; when none
/// gives a whole one, the longest of them is what is shown. Fails when none had anything to say; the offline analyst is
/// still there then.
pub async fn online(
    engine: &Engine,
    investigated: &Investigated,
    wanted: Wanted<'_>,
    cancel: &CancellationToken,
    draft: impl FnMut(Draft) + Send,
) -> Result<Concluded, Failure> {
    let library = Library::builtin();
    let analysis = Arc::new(with_answers(&investigated.analysis, wanted.answers));
    let mut turns = Turns::new(engine, wanted.endpoint, Some(&analysis.incident.id)).await?;
    let board = Board::new(draft, turns.bill.clone());
    let mut earlier: Vec<Earlier> = Vec::new();
    let mut best: Option<(Diagnosed, LedgerWitness)> = None;
    while let Some(mut turn) = turns.next(|text| board.stage(&text)).await {
        let settings = turn.endpoint.settings().clone();
        let Package { pack, request, tokens } = package(engine, &analysis, &turn, &library).await?;
        if wanted.shown.is_some_and(|digest| digest != pack_digest(&pack)) {
            let why = "it would be sent other evidence than what was looked at (p shows it)";
            turns.passed.push(format!("{}: {why}", settings.name));
            continue;
        }
        if let Some(why) = turns.refuses(&turn, tokens) {
            turns.passed.push(format!("{}: {why}", settings.name));
            continue;
        }
        let sees = turn.sees;
        let case = Case {
            client: &turn.client.clone(),
            library: &library,
            playbooks: &engine.playbooks,
            analysis: &analysis,
            pack: &pack,
            request: Some(&request),
            repack: &|budget| crate::context::pack_for(&analysis, budget, sees),
            sampling: Sampling::default(),
        };
        let mut witness = turns.witness(&turn);
        board.begin(&settings, sees, &earlier);
        let endpoint = turn.endpoint.clone();
        let attempt = {
            let follow = |progress: Progress| {
                if let Progress::Ended { outcome, problems } = &progress {
                    turns.ended(&mut turn, outcome, problems.as_deref());
                    board.bill(&turns.bill);
                }
                board.follow(&settings, &endpoint, progress);
            };
            board.beside(&endpoint, online::diagnose(&case, &mut witness, follow, cancel)).await
        };
        match attempt {
            Ok(attempt) => {
                let Attempt { mut diagnosed, broke, text, .. } = attempt;
                let Some(error) = broke.filter(LlmError::is_transient) else {
                    diagnosed.earlier = earlier;
                    return Ok(finish(engine, investigated, &turns, diagnosed, &witness).await);
                };
                earlier.push(Earlier {
                    endpoint: settings.name.clone(),
                    why: Text::new(&error.kind.to_string()),
                    text: Text::new(&text).truncated(EARLIER_KEPT),
                });
                if best.as_ref().is_none_or(|(kept, _)| kept.usage.output_tokens < diagnosed.usage.output_tokens) {
                    best = Some((diagnosed, witness));
                }
            }
            Err(OnlineError::Llm(error)) => {
                turns.passed.push(format!("{}: {}", settings.name, error.kind));
                if let Some(after) = turns.again(&turn, &error.kind) {
                    board.stage(&format!("{} asks to wait {} s", settings.name, after.as_secs().max(1)));
                    tokio::select! {
                        () = tokio::time::sleep(after) => {}
                        () = cancel.cancelled() => return Err(Failure::failed("cancelled")),
                    }
                }
            }
            Err(error) => return Err(Failure::failed(error.to_string())),
        }
    }
    match best {
        Some((mut diagnosed, witness)) => {
            // The one that is shown is not an earlier one.
            earlier.retain(|one| Some(&one.endpoint) != diagnosed.analyst.endpoint.as_ref());
            diagnosed.earlier = earlier;
            Ok(finish(engine, investigated, &turns, diagnosed, &witness).await)
        }
        None => Err(Failure::of_parts(std::mem::take(&mut turns.passed), "the offline analyst works without it")),
    }
}

/// Characters kept of an answer that broke off.
const EARLIER_KEPT: usize = 16_000;

async fn finish(
    engine: &Engine,
    investigated: &Investigated,
    turns: &Turns<'_>,
    mut diagnosed: Diagnosed,
    witness: &LedgerWitness,
) -> Concluded {
    diagnosed.remarks.extend(turns.passed.iter().map(|why| neutralise(why).into_owned()));
    diagnosed.bill = Some(turns.bill.clone());
    if !diagnosed.complete {
        let other = "the offline diagnosis is still there: o on the screens, --offline on the command line";
        diagnosed.remarks.push(other.to_owned());
    }
    let concluded = conclude(engine, investigated, diagnosed).await;
    witness.diagnosed(&concluded).await;
    concluded
}

/// Judges an answer that a person brought from a model elsewhere: validated, verified and judged like any other, and
/// written down.
pub async fn pasted(
    engine: &Engine,
    investigated: &Investigated,
    answers: &[Evidence],
    pack: &Pack,
    text: &str,
) -> Result<Concluded, Failure> {
    let ledger = engine.ledger().await?;
    let library = Library::builtin();
    let prompt = library.get(online::PROMPT).map_err(|error| Failure::failed(error.to_string()))?;
    let analysis = with_answers(&investigated.analysis, answers);
    let diagnosed = answer::pasted(&analysis, pack, prompt.reference().clone(), text);
    let concluded = conclude(engine, investigated, diagnosed).await;
    LedgerWitness::new(engine, &ledger, Some(&analysis.incident.id), None).diagnosed(&concluded).await;
    Ok(concluded)
}

/// The analysis with answers that were asked for on the way among its evidence.
pub fn with_answers(analysis: &Analysis, answers: &[Evidence]) -> Analysis {
    let mut analysis = analysis.clone();
    analysis.evidence.extend(answers.iter().cloned());
    analysis
}

/// What would be sent to an end point.
pub struct Package {
    /// The evidence.
    pub pack: Pack,
    /// The request.
    pub request: ChatRequest,
    /// Its tokens, by our own count.
    pub tokens: usize,
}

async fn package(
    engine: &Engine,
    analysis: &Arc<Analysis>,
    turn: &Turn,
    library: &Library,
) -> Result<Package, Failure> {
    let answer_tokens = turn.endpoint.settings().answer_tokens;
    let empty = Pack::default();
    let fixed = online::request(library, &engine.playbooks, &empty, Redactor::for_receiver(turn.sees), answer_tokens)
        .map(|request| request_tokens(&request))
        .map_err(|error| Failure::failed(error.to_string()))?;
    let budget = turn.pack_budget(engine, fixed);
    packed(engine, analysis, budget, turn.sees, answer_tokens, library).await
}

/// The request with a pack of this budget, for a reader who may see so much.
async fn packed(
    engine: &Engine,
    analysis: &Arc<Analysis>,
    budget: usize,
    sees: Sees,
    answer_tokens: u32,
    library: &Library,
) -> Result<Package, Failure> {
    let shared = Arc::clone(analysis);
    let pack = tokio::task::spawn_blocking(move || crate::context::pack_for(&shared, budget, sees))
        .await
        .map_err(|error| Failure::failed(format!("packing failed: {error}")))?;
    let redactor = redactor_for(analysis, sees);
    let request = online::request(library, &engine.playbooks, &pack, redactor, answer_tokens)
        .map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Package { tokens: request_tokens(&request), pack, request })
}

async fn conclude(engine: &Engine, investigated: &Investigated, diagnosed: Diagnosed) -> Concluded {
    let mut standing = engine.standing.having_read(&investigated.snapshot, &targets(engine, investigated).await);
    let mut judged_actions = Vec::new();
    if diagnosed.complete {
        for action in actions::actions(&investigated.analysis.incident.id, &diagnosed) {
            // What a model says, it may have read in a log line, in whatever disguise: only names that are known
            // otherwise are not marked.
            if matches!(action.origin, Origin::Model(_)) {
                standing = standing.remembering(&action.argv);
            }
            let action = in_context(action, engine);
            let judged = standing.judge(&action.argv);
            judged_actions.push((action, judged));
        }
    }
    Concluded { diagnosed, actions: judged_actions, standing }
}

/// Names the configured cluster in commands that would otherwise act on whichever one happens to be current.
pub(super) fn in_context(mut action: Action, engine: &Engine) -> Action {
    let context = engine.profile.kubernetes.as_ref().and_then(|kubernetes| kubernetes.context.as_deref());
    if let Some(context) = context {
        let add = |argv: &mut Vec<String>| {
            let flag = match argv.first().map(String::as_str) {
                Some("kubectl") => "--context",
                Some("helm") => "--kube-context",
                _ => return,
            };
            if !argv.iter().any(|word| word.starts_with(flag)) {
                argv.insert(1, format!("{flag}={context}"));
            }
        };
        add(&mut action.argv);
        action.rollback.iter_mut().for_each(add);
    }
    action
}

/// The label sets that the site's own scrape configuration made: targets of a live Prometheus, or the recorded
/// series where there is none to ask.
async fn targets(engine: &Engine, investigated: &Investigated) -> Vec<Labels> {
    let targets = engine.targets().await;
    if targets.is_empty() && engine.bundle().is_some() {
        let series = investigated.snapshot.metrics.iter().flat_map(|answer| &answer.series);
        return series.map(|series| series.labels.clone()).collect();
    }
    targets
}

/// The pack as it would be sent now, to the first end point that may be asked, and at which cost. Sends nothing. With
/// no end point: as a person would carry it to a model elsewhere. `name` is the end point that is wanted, where one is.
pub async fn preview(
    engine: &Engine,
    investigated: &Investigated,
    answers: &[Evidence],
    name: Option<&str>,
) -> Result<PackPreview, Failure> {
    let library = Library::builtin();
    let analysis = Arc::new(with_answers(&investigated.analysis, answers));
    let most = engine.profile.sees.unwrap_or(Sees::Production);
    let mut notes = blind(engine);
    if most == Sees::Nothing {
        let why = "nothing of this environment may be sent to any language model (profile, sees = \"nothing\")";
        return Err(Failure::failed(why));
    }
    let Some(endpoint) = first_endpoint(engine, name) else {
        if !engine.pool.endpoints().is_empty() {
            notes.push(Text::from("no configured end point would be sent this: it is for a person to carry elsewhere"));
        }
        let defaults = EndpointSettings::new("", Protocol::OpenaiChat, "");
        let Package { pack, request, tokens } =
            packed(engine, &analysis, defaults.pack_tokens, most, defaults.answer_tokens, &library).await?;
        return Ok(PackPreview {
            digest: pack_digest(&pack),
            at: None,
            around: around(&request),
            request: words(&request),
            pack,
            tokens,
            endpoint: None,
            notes,
        });
    };
    let client = endpoint.client().map_err(|error| Failure::failed(error.to_string()))?;
    let turn = Turn::looking(endpoint, client);
    let Package { pack, request, tokens } = package(engine, &analysis, &turn, &library).await?;
    Ok(PackPreview {
        digest: pack_digest(&pack),
        at: None,
        pack,
        around: around(&request),
        request: words(&request),
        tokens,
        endpoint: Some(receiver(engine, endpoint, client, &request, turn.sees).await),
        notes,
    })
}

/// Which end points get nothing, each with why.
pub(super) fn blind(engine: &Engine) -> Vec<Text> {
    let blind = |endpoint: &&Endpoint| endpoint.client().is_ok_and(|client| client.sees() == Sees::Nothing);
    let name = |endpoint: &Endpoint| endpoint.settings().name.clone();
    let words =
        |name| Text::new(&format!("nothing is sent to {name}: it may see nothing of this environment (`sees`)"));
    engine.pool.endpoints().iter().filter(blind).map(|endpoint| words(name(endpoint))).collect()
}

/// The end point that would be asked first: one that does not rest, where there is one; of all or of this name.
pub(super) fn first_endpoint<'a>(engine: &'a Engine, name: Option<&str>) -> Option<&'a Endpoint> {
    let seeing = |endpoint: &&Endpoint| endpoint.client().is_ok_and(|client| client.sees() > Sees::Nothing);
    let rests =
        |endpoint: &Endpoint| matches!(endpoint.admission(std::time::Instant::now()), Admission::Resting { .. });
    let named = |endpoint: &&Endpoint| name.is_none_or(|name| endpoint.settings().name == name);
    let all = || engine.pool.endpoints().iter().filter(named).filter(seeing);
    all().find(|endpoint| !rests(endpoint)).or_else(|| all().next())
}

/// Who would get a request, and what that costs.
pub(super) async fn receiver(
    engine: &Engine,
    endpoint: &Endpoint,
    client: &LlmClient,
    request: &ChatRequest,
    sees: Sees,
) -> Receiver {
    let settings = endpoint.settings();
    let (estimate, learnt) = endpoint.calibration().estimate(request_tokens(request) as u64);
    let bill = match engine.ledger().await {
        Ok(ledger) => spending::refresh(engine, &*ledger).await.ok(),
        Err(_) => None,
    };
    let cost = settings.price.map(|price| price.of(&Usage { input_tokens: estimate, ..Usage::default() }));
    let prepared = client.prepare(request);
    Receiver {
        name: settings.name.clone(),
        model: settings.model.clone(),
        host: prepared.host(),
        sees,
        tokens: estimate,
        learnt,
        bytes: prepared.body.len(),
        bill: bill.map(|bill| Bill { cost, ..bill }).unwrap_or_default(),
    }
}

/// The words around the evidence.
fn around(request: &ChatRequest) -> Vec<(&'static str, Outgoing)> {
    let question = request.messages.iter().flat_map(|message| message.parts.get(1..).unwrap_or_default());
    std::iter::once(("Sent before it", request.system.clone()))
        .chain(question.map(|part| ("Sent after it", part.clone())))
        .collect()
}

/// A request as a person would carry it to a model elsewhere: the same words in the same order, and the shape of the
/// answer, which an end point is given apart from them.
pub(super) fn words(request: &ChatRequest) -> Outgoing {
    let schema = request.schema.as_ref().and_then(|(_, schema)| serde_json::to_string(schema).ok());
    let shape = schema.map(|schema| Redactor::new().outgoing(&format!("The JSON schema of the answer:\n{schema}")));
    Outgoing::joined(request.texts().chain(shape.as_ref()), "\n\n")
}

#[cfg(test)]
#[path = "diagnosing_tests.rs"]
mod tests;
