//! Free questions: the engine as the tools of a question see it, and one question from start to end.

mod kubectl;
mod seats;
mod told;
mod waiting;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::copilot::call::request_tokens;
use crate::copilot::questions::{self, AskError, Inquirer, Limits, NotTold, Subject, Thread, Told, Toolbox};
use crate::core::message::PackPreview;
use crate::domain::ledger::{Draft, EntryKind};
use crate::domain::pack::Pack;
use crate::domain::query::{Answer, Asked, Planned};
use crate::domain::question::{Asking, Reply};
use crate::domain::{Text, TimeRange, Timestamp};
use crate::llm::Role;
use crate::prompts::Library;

use super::diagnosing;
use super::engine::Engine;
use super::failure::Failure;
use super::investigate::Investigated;
use super::runbooks;
use super::standing::Standing;
use super::turns::{Turn, Turns};
use seats::Seats;
pub(super) use waiting::Waiting;

/// What can be done without a language model, for whoever has none.
const WITHOUT: &str = "without one the incidents, suspects, evidence, logs, the offline diagnosis, guarded \
                                  actions and the ledger are all there: stanch incidents, suspects, diagnose \
                                  --offline, pack";

/// Longest time that a question waits for the incidents it begins with; the model can ask for them later.
const PATIENCE: Duration = Duration::from_secs(5);

/// Begins a chat about an incident that was investigated, or about the whole system.
pub(super) async fn thread(engine: &Engine, about: Option<&Arc<Investigated>>) -> Thread {
    if let Some(investigated) = about {
        return Thread::new(Subject::Incident(Arc::new(investigated.analysis.clone())));
    }
    let told = tokio::time::timeout(PATIENCE, told::incidents(engine)).await;
    let told = told.unwrap_or_else(|_| Err(Text::from(format!("no answer within {} s", PATIENCE.as_secs()))));
    Thread::new(Subject::System(told.unwrap_or_else(|why| told::nothing_known(engine, &why))))
}

/// The chat about an incident that was examined anew.
pub(super) fn continued(thread: &Thread, found: &Arc<Investigated>) -> Thread {
    thread.continued(Subject::Incident(Arc::new(found.analysis.clone())))
}

/// Fails where there is no end point to ask, with what there is without one.
pub(super) fn needs_a_model(engine: &Engine, endpoint: Option<&str>) -> Result<(), Failure> {
    if !engine.endpoints(endpoint)?.is_empty() {
        return Ok(());
    }
    let why = "free questions need a language model, and none is configured ([[llm.endpoint]], OPENAI_API_KEY, \
               ANTHROPIC_API_KEY, OLLAMA_HOST)";
    let half = &engine.config.llm.half_set;
    if !half.is_empty() {
        let why = "free questions need a language model, and none is wholly configured";
        return Err(Failure::failed(format!("{why}: {}", half.join("; "))).with_fix(WITHOUT));
    }
    Err(Failure::failed(why).with_fix(WITHOUT))
}

/// A question, and what it may be answered with.
pub(super) struct Question<'a> {
    /// The question.
    pub(super) text: &'a str,
    /// The name of the end point to ask; all in their order when none is named.
    pub(super) endpoint: Option<&'a str>,
    /// Incidents that were investigated already.
    pub(super) cases: Vec<Arc<Investigated>>,
    /// How far it may go.
    pub(super) limits: Limits,
    /// The digest of the first request that a person looked at, with the time told in it. No other is sent first.
    pub(super) shown: Option<(&'a str, Timestamp)>,
}

/// The first request of a question as it would be sent now, to the first end point that may be asked, and at which
/// cost. Sends nothing. `name` is the end point that is wanted, where one is.
pub(super) async fn preview(
    engine: &Engine,
    thread: &Thread,
    text: &str,
    (name, limits): (Option<&str>, Limits),
) -> Result<PackPreview, Failure> {
    needs_a_model(engine, name)?;
    let Some(endpoint) = diagnosing::first_endpoint(engine, name) else {
        return Err(Failure::failed("nothing of this environment may be sent to any language model (sees)"));
    };
    let client = endpoint.client().map_err(|error| Failure::failed(error.to_string()))?;
    let turn = Turn::looking(endpoint, client);
    let seat = seats::seat(engine, &turn);
    let tools = Tools::new(engine, None, Vec::new());
    let library = Library::builtin();
    let sources = told::sources(engine);
    let inquirer = Inquirer::new(&library, &tools, &sources, limits);
    let at = (engine.clock)();
    let (request, pack) = questions::preview(&inquirer, &mut thread.clone(), text, &seat, at)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let tokens = request_tokens(&request);
    let messages = request.messages.iter().flat_map(|message| {
        let title = if message.role == Role::User { "Then, from us" } else { "Then, what the model said before" };
        message.parts.iter().map(move |part| (title, part.clone()))
    });
    Ok(PackPreview {
        digest: questions::digest(&request),
        at: Some(at),
        around: std::iter::once(("First, the instructions", request.system.clone())).chain(messages).collect(),
        request: diagnosing::words(&request),
        // Its text stands in the messages, where it is sent.
        pack: Pack { text: String::new(), tokens, budget: limits.request_tokens, ..pack },
        tokens,
        endpoint: Some(diagnosing::receiver(engine, endpoint, client, &request, turn.sees).await),
        notes: diagnosing::blind(engine),
    })
}

/// Asks one question. What leaves is in the ledger first; what came of it is written at the end.
pub(super) async fn ask(
    engine: &Engine,
    thread: &mut Thread,
    question: Question<'_>,
    progress: impl FnMut(Asking) + Send,
    cancel: &CancellationToken,
) -> Result<Reply, Failure> {
    let Question { text, endpoint, cases, limits, shown } = question;
    needs_a_model(engine, endpoint)?;
    let incident = match thread.subject() {
        Subject::Incident(analysis) => Some(analysis.incident.id.clone()),
        Subject::System(_) => None,
    };
    let turns = Turns::new(engine, endpoint, incident.as_deref()).await?;
    let tools = Tools::new(engine, incident.clone(), cases);
    let library = Library::builtin();
    let sources = told::sources(engine);
    let inquirer = Inquirer { shown, ..Inquirer::new(&library, &tools, &sources, limits) };
    let mut seats = Seats::new(engine, turns);
    let reply =
        questions::ask(&inquirer, thread, text, &mut seats, progress, cancel).await.map_err(|error| match error {
            AskError::Llm(parts) => Failure::of_parts(parts, ""),
            error => Failure::failed(error.to_string()),
        })?;
    let payload = json!({
        "question": crate::context::redact(text).text,
        "diagnosed": reply.diagnosed, "actions": [], "steps": reply.steps,
    });
    let draft = Draft {
        at: (engine.wall_clock)(),
        kind: EntryKind::Diagnosis,
        incident,
        actor: engine.standing.actor.clone(),
        payload,
    };
    let written = match engine.ledger().await {
        Ok(ledger) => ledger.append(draft).await.map(|_| ()).map_err(|error| error.to_string()),
        Err(failure) => Err(failure.to_string()),
    };
    if let Err(error) = written {
        tracing::warn!(%error, "an answer could not be written; its parts are in the entries before");
    }
    Ok(reply)
}

/// The engine as the tools of one question see it.
struct Tools<'a> {
    engine: &'a Engine,
    /// The incident in question.
    incident: Option<String>,
    cases: Mutex<Vec<Arc<Investigated>>>,
    /// Whom the gate believes the commands of a model to come from, once there is one.
    standing: OnceCell<Standing>,
}

impl<'a> Tools<'a> {
    const fn new(engine: &'a Engine, incident: Option<String>, cases: Vec<Arc<Investigated>>) -> Self {
        Self { engine, incident, cases: Mutex::new(cases), standing: OnceCell::const_new() }
    }

    /// Asks what is scraped here only when a command needs to know it: most questions need none, and a slow store must
    /// not hold them up.
    async fn standing(&self) -> &Standing {
        let find = || async {
            let targets = self.engine.targets().await;
            let mut standing = self.engine.standing.clone().trusting(&targets);
            let cases = self.cases.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for case in &cases {
                standing = standing.having_read(&case.snapshot, &[]);
            }
            standing
        };
        self.standing.get_or_init(find).await
    }

    /// What is known about an incident, gathered now where it was not before.
    async fn investigated(&self, incident: Option<&str>) -> Result<Arc<Investigated>, Text> {
        let named =
            |case: &&Arc<Investigated>| incident.is_some_and(|id| id.eq_ignore_ascii_case(&case.analysis.incident.id));
        let known = self.cases.lock().unwrap_or_else(PoisonError::into_inner).iter().find(named).cloned();
        if let Some(case) = known {
            return Ok(case);
        }
        let said = |failure: Failure| Text::from(failure.to_string());
        let incident = self.engine.incident(incident).await.map_err(said)?;
        let found = self
            .engine
            .investigate(incident, None, &CancellationToken::new(), |_| {})
            .await
            .map_err(said)?
            .ok_or_else(|| Text::from("the analysis was interrupted"))?;
        let found = Arc::new(found);
        self.cases.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&found));
        Ok(found)
    }
}

impl Toolbox for Tools<'_> {
    fn now(&self) -> Timestamp {
        (self.engine.clock)()
    }

    fn query<'a>(&'a self, planned: &'a Planned) -> BoxFuture<'a, (Asked, Option<Answer>)> {
        Box::pin(self.engine.sources.ask(planned))
    }

    fn incidents(&self) -> BoxFuture<'_, Result<Told, NotTold>> {
        Box::pin(async move { told::incidents(self.engine).await.map_err(NotTold::Failed) })
    }

    fn suspects<'a>(&'a self, incident: Option<&'a str>) -> BoxFuture<'a, Result<Told, NotTold>> {
        Box::pin(async move {
            let found = self.investigated(incident).await.map_err(NotTold::Failed)?;
            let own = self.incident.as_deref() == Some(found.analysis.incident.id.as_str());
            Ok(told::suspects(&found.analysis, own))
        })
    }

    fn kubectl<'a>(&'a self, argv: &'a [String]) -> BoxFuture<'a, Result<Told, NotTold>> {
        Box::pin(async move { kubectl::run(self.engine, self.standing().await, self.incident.as_deref(), argv).await })
    }

    fn runbook<'a>(&'a self, words: &'a str) -> BoxFuture<'a, Result<Told, NotTold>> {
        Box::pin(async move {
            let all = match (self.engine.bundle(), self.engine.profile.runbooks.clone()) {
                (Some(bundle), _) => {
                    bundle.runbooks().map(<[_]>::to_vec).map_err(|error| NotTold::Failed(error.to_string().into()))?
                }
                (None, Some(folder)) => tokio::task::spawn_blocking(move || runbooks::all(&folder))
                    .await
                    .map_err(|error| NotTold::Failed(Text::from(format!("reading failed: {error}"))))?,
                (None, None) => {
                    return Err(NotTold::Failed("no folder with runbooks is configured (profile.….runbooks)".into()));
                }
            };
            let now = (self.engine.clock)();
            Ok(told::runbooks(&all, words, TimeRange::new(now, now)))
        })
    }
}

#[cfg(test)]
mod tests {
    use wiremock::MockServer;

    use super::*;
    use crate::app::engine::Origin;
    use crate::config::{Config, Profile};
    use crate::domain::settings::{EndpointSettings, Protocol, SourceSettings};
    use crate::sources::demo;

    #[tokio::test]
    async fn what_would_be_sent_is_shown_without_asking_anybody_anything() {
        let recorded = Origin::Demo(demo::bundle(Timestamp::from_secs(1_800_000_000)));
        let demo = Engine::new(Config::default(), None, recorded, None, None).unwrap();
        let incident = demo.situation().await.unwrap().incidents.remove(0);
        let found = demo.investigate(incident, None, &CancellationToken::new(), |_| {}).await.unwrap().unwrap();

        let (server, folder) = (MockServer::start().await, tempfile::tempdir().unwrap());
        let mut config = Config::default();
        config.ledger.path = Some(folder.path().join("ledger.db"));
        let mut endpoint = EndpointSettings::new("a", Protocol::OpenaiChat, "m");
        endpoint.url = Some(server.uri());
        config.llm.endpoint = vec![endpoint];
        let profile = Profile { prometheus: Some(SourceSettings::new(&server.uri())), ..Profile::default() };
        let engine = Engine::new(config, Some(("test".into(), profile)), Origin::Live, None, None).unwrap();
        let thread = thread(&engine, Some(&Arc::new(found))).await;
        let preview = preview(&engine, &thread, "why?", (None, Limits::default())).await.unwrap();
        assert!(preview.request.contains("why?"));
        let asked = server.received_requests().await.unwrap();
        assert!(asked.is_empty(), "a slow store would delay it: {asked:?}");
    }
}
