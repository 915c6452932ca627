//! The engine behind the screens.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, Profile};
use crate::copilot::answers;
use crate::copilot::questions::{Limits, Thread};
use crate::core::confirm::RunOrder;
use crate::core::effect::{Shown, Wish};
use crate::core::message::{
    self, Answered, Board, Conclusion, Investigation, PackPreview, Prepared, RunReport, Suggestion,
};
use crate::core::model::{FirstRun, Identity};
use crate::core::queue::{Queue, SignOrder};
use crate::domain::action::{Action, Decision, Digest, RunRecord, RunRequest, Verification};
use crate::domain::baseline::BaselineChoice;
use crate::domain::diagnosis::Check;
use crate::domain::evidence::{Evidence, EvidenceId};
use crate::domain::health::EndpointHealth;
use crate::domain::incident::Incident;
use crate::domain::ledger::Entry;
use crate::domain::query::{Answer, Asked};
use crate::domain::question::Reply;
use crate::domain::recheck::Recheck;
use crate::domain::{Text, Timestamp};
use crate::gate::{lexer, preview};
use crate::ledger::Filter;
use crate::sources::demo;
use crate::terminal::Ability;
use crate::terminal::ability::Colours;

use super::approvals;
use super::asking::{self, Waiting};
use super::checking;
use super::cli::{Cli, Command};
use super::clock;
use super::diagnosing::{self, Concluded, Wanted};
use super::engine::{Engine, Origin};
use super::execution::{self, Execution, News, Ready};
use super::failure::Failure;
use super::investigate::Investigated;
use super::queue;
use super::recheck;
use super::standing::Standing;
use super::tui::{self, Backend, Exit, Reporter, RunSink, TuiOptions};
use super::watching;

/// Most incidents whose gathered data is kept; the oldest is dropped, and gathered again when it is opened.
const MAX_CASES: usize = 8;
/// Most chats that go on; of another one the model forgets what was said.
const MAX_CHATS: usize = 16;
/// Most prepared actions that can still be confirmed.
const MAX_PREPARED: usize = 64;
/// Most ledger entries of a timeline.
const MAX_TIMELINE: usize = 1_000;
/// Answers kept per incident as evidence of its next diagnosis.
const MAX_ANSWERS: usize = 50;

/// Opens the screens and returns when they are left.
pub(super) async fn open(cli: &Cli, config: Config, profile: Option<(String, Profile)>) -> Result<ExitCode, Failure> {
    let mut origin = match (&cli.command, &cli.global.replay) {
        (Some(Command::Demo), _) => demo_origin(),
        (Some(Command::Replay { path }), _) | (_, Some(path)) => Origin::Replay(super::open_bundle(path)?),
        _ => Origin::Live,
    };
    let configured = profile.as_ref().is_some_and(|(_, profile)| profile.has_sources());
    let mut first_run = match &origin {
        Origin::Live if !configured => Some(super::first_run::look(&config).await),
        _ => None,
    };
    loop {
        let live = matches!(origin, Origin::Live);
        let engine = Engine::new(config.clone(), profile.clone(), origin, cli.global.baseline, None)?;
        let mut ability = Ability::detect(|name| std::env::var(name).ok());
        ability.ascii |= config.ui.ascii_only;
        if cli.global.no_color {
            ability.colours = Colours::Mono;
        }
        let options = TuiOptions {
            identity: identity(&engine),
            first_run: first_run.take(),
            refresh: (live && configured).then_some(config.ui.refresh),
            ability,
        };
        let screens = Arc::new(Screens { engine, kept: Mutex::default() });
        match tui::run(screens, options).await.map_err(|error| Failure::failed(format!("the terminal: {error}")))? {
            Exit::Quit => return Ok(ExitCode::SUCCESS),
            Exit::Signal(number) => return Ok(ExitCode::from(u8::try_from(128 + number).unwrap_or(1))),
            Exit::Demo => origin = demo_origin(),
        }
    }
}

fn demo_origin() -> Origin {
    Origin::Demo(demo::bundle(clock::system()()))
}

fn identity(engine: &Engine) -> Identity {
    let recorded = match (engine.is_demo(), engine.bundle()) {
        (true, _) => Some("DEMO".to_owned()),
        (false, Some(bundle)) => Some(bundle.manifest().name.to_string()),
        (false, None) => None,
    };
    Identity {
        profile: engine.profile_name.clone(),
        critical: engine.profile.critical,
        actor: engine.standing.actor.clone(),
        approvals: recorded.is_none() && engine.config.approvals.signers.is_some(),
        recorded,
        models: engine.config.llm.endpoint.iter().map(|endpoint| endpoint.name.clone()).collect(),
        ask_first: engine.config.llm.ask_first,
    }
}

struct Screens {
    engine: Engine,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Gathered and concluded, oldest first.
    cases: Vec<Case>,
    /// Prepared actions by their digest, with the order in which they came.
    prepared: HashMap<String, (Ready, Action)>,
    order: Vec<String>,
    /// What was said in chats, with the examination that it is about.
    chats: BTreeMap<String, (Option<Arc<Investigated>>, Thread)>,
    /// Runs of this session whose verify query can be asked again, by digest.
    ran: BTreeMap<String, Ran>,
}

#[derive(Clone)]
struct Ran {
    incident: String,
    actor: String,
    intent: u64,
    verification: Verification,
}

#[derive(Clone)]
struct Case {
    incident: String,
    investigated: Arc<Investigated>,
    standing: Option<Standing>,
    /// Answers to questions asked on the way, as evidence.
    answers: Vec<Evidence>,
}

impl Screens {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn case(&self, incident: &str) -> Result<Case, Text> {
        let found = self.kept().cases.iter().find(|case| case.incident == incident).cloned();
        found.ok_or_else(|| Text::from("this incident is not analysed yet: press r to do it"))
    }

    fn shown(&self, ready: &Ready, action: &Action, approved: Option<Text>) -> Prepared {
        let can_ask = ready.judged.verdict.decision == Decision::Approve
            && !ready.recorded
            && self.engine.config.approvals.signers.is_some();
        Prepared {
            request: ready.request.clone(),
            judged: ready.judged.clone(),
            digest: ready.digest.clone(),
            word: ready.word.clone(),
            blocked: ready.blocked.clone(),
            can_ask,
            can_break: ready.can_break(),
            approved,
            preview: preview::preview(&action.argv).map(|known| {
                let command = lexer::join(&known.argv);
                Text::from(format!("Ctrl-p shows it ({}): {command}", known.exactness.word()))
            }),
            undo: ready.undo.clone(),
            verification: ready.verification.clone(),
            critical: ready.standing().critical,
        }
    }

    /// The chat about an incident, or about the whole system, with its name and what it is about.
    async fn chat(&self, incident: Option<&str>) -> Result<(String, Option<Arc<Investigated>>, Thread), Text> {
        let about = match incident {
            Some(id) => Some(self.case(id)?.investigated),
            None => None,
        };
        let name = incident.unwrap_or_default().to_owned();
        let known = self.kept().chats.get(&name).cloned();
        let thread = match (known, &about) {
            (Some((of, thread)), _) if same(of.as_ref(), about.as_ref()) => thread,
            // Its ids are of an earlier examination.
            (Some((_, thread)), Some(found)) => asking::continued(&thread, found),
            _ => asking::thread(&self.engine, about.as_ref()).await,
        };
        Ok((name, about, thread))
    }

    /// Keeps what was said in a chat.
    fn keep_chat(&self, name: String, about: Option<Arc<Investigated>>, thread: Thread) {
        let mut kept = self.kept();
        if kept.chats.len() >= MAX_CHATS && !kept.chats.contains_key(&name) {
            kept.chats.pop_first();
        }
        kept.chats.insert(name, (about, thread));
    }

    /// Makes evidence of an answer, which the next diagnosis is given.
    fn remember_answer(&self, incident: &str, asked: &Asked, answer: &Answer) -> Option<Evidence> {
        let mut kept = self.kept();
        let case = kept.cases.iter_mut().find(|case| case.incident == incident)?;
        let number = checking::next_number(case.investigated.analysis.evidence.iter().chain(&case.answers));
        let evidence = answers::evidence(number, asked, Some(answer), answers::Bounds::default());
        // The same question again replaces its earlier answer in the pack; the earlier one can still be cited.
        case.answers.push(evidence.clone());
        if case.answers.len() > MAX_ANSWERS {
            case.answers.remove(0);
        }
        Some(evidence)
    }

    /// Keeps what was shown until it is confirmed, or until too much else was.
    fn remember(&self, ready: Ready, action: Action) {
        let mut kept = self.kept();
        let key = ready.digest.0.clone();
        if kept.prepared.insert(key.clone(), (ready, action)).is_none() {
            kept.order.push(key);
        }
        while kept.order.len() > MAX_PREPARED {
            let oldest = kept.order.remove(0);
            kept.prepared.remove(&oldest);
        }
    }

    fn keep(&self, case: Case) {
        let mut kept = self.kept();
        kept.cases.retain(|known| known.incident != case.incident);
        if kept.cases.len() >= MAX_CASES {
            kept.cases.remove(0);
        }
        kept.cases.push(case);
    }
}

/// What speaks for acting on an incident, for whoever is to approve it: the first suspects, and why the first.
fn why(investigated: &Investigated) -> Vec<Text> {
    let suspects = investigated.analysis.suspects.iter().take(3);
    let line = |suspect: &crate::domain::analysis::Suspect| {
        let signals: Vec<&str> = suspect.signals.iter().take(3).map(|signal| signal.text.as_str()).collect();
        Text::new(&format!(
            "suspect {} {} {:.2}: {}",
            suspect.rank,
            suspect.service,
            suspect.score,
            signals.join(" · ")
        ))
    };
    suspects.map(line).collect()
}

/// Whether both are the same examination, or none.
fn same(a: Option<&Arc<Investigated>>, b: Option<&Arc<Investigated>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// The slowest answer so far.
#[derive(Default)]
struct Slowest {
    source: String,
    millis: u64,
}

impl Slowest {
    fn see(&mut self, asked: &Asked) {
        if asked.elapsed_ms > self.millis {
            *self = Self { source: asked.source.clone(), millis: asked.elapsed_ms };
        }
    }

    /// Only what a person would call slow is told.
    fn words(&self) -> Text {
        const SLOW: u64 = 1_000;
        let words = if self.millis < SLOW {
            String::new()
        } else {
            format!("{} {}.{} s", self.source, self.millis / 1_000, self.millis % 1_000 / 100)
        };
        Text::from(words)
    }
}

fn said(failure: &Failure) -> Text {
    Text::from(failure.to_string())
}

impl Backend for Screens {
    fn now(&self) -> Timestamp {
        (self.engine.clock)()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.engine.runs_are_over())
    }

    fn board(&self, reporter: Reporter) -> BoxFuture<'_, Board> {
        Box::pin(async move {
            if let Some(said) = self.engine.refresh_policy().await {
                reporter.say(said.map(|text| Text::from(text.as_str())).map_err(|text| Text::from(text.as_str())));
            }
            if self.engine.sources.is_empty() {
                return Board { incidents: Ok(Vec::new()), sources: Vec::new() };
            }
            reporter.endpoints(self.engine.endpoint_health());
            // The sources that are not asked for alerts show their state too.
            let (situation, _) = tokio::join!(self.engine.situation(), self.engine.sources.probe());
            let incidents = situation.map(|situation| situation.incidents).map_err(|failure| said(&failure));
            Board { incidents, sources: self.engine.sources.health() }
        })
    }

    fn investigate(
        &self,
        incident: Incident,
        baseline: Option<BaselineChoice>,
        reporter: Reporter,
    ) -> BoxFuture<'_, Result<Investigation, Text>> {
        Box::pin(async move {
            let id = incident.id.clone();
            let mut health = self.engine.sources.health();
            let mut slow = Slowest::default();
            let investigated = self
                .engine
                .investigate_until(incident, baseline, [&CancellationToken::new(), reporter.enough()], |progress| {
                    let what = progress.asked.as_ref().map_or_else(String::new, |asked| {
                        slow.see(asked);
                        format!("{}: {}", asked.source, asked.planned.query.expression())
                    });
                    let open = progress.waiting.as_ref().map_or_else(String::new, |(source, open)| {
                        format!("{open} for {source}, nothing came for {} s", progress.idle.as_secs())
                    });
                    reporter.progress(message::Progress {
                        done: progress.done,
                        total: progress.planned,
                        round: progress.round,
                        what: Text::from(what),
                        open: Text::from(open),
                        slow: slow.words(),
                    });
                    let now = self.engine.sources.health();
                    if now.iter().zip(&health).any(|(new, old)| new.status != old.status) {
                        health.clone_from(&now);
                        reporter.sources(now);
                    }
                })
                .await
                .map_err(|failure| said(&failure))?
                .ok_or_else(|| Text::from("the analysis was interrupted"))?;
            reporter.sources(self.engine.sources.health());
            let investigated = Arc::new(investigated);
            let answers = self.case(&id).map_or_else(|_| Vec::new(), |known| known.answers);
            self.keep(Case { incident: id, investigated: Arc::clone(&investigated), standing: None, answers });
            Ok(Investigation {
                analysis: investigated.analysis.clone(),
                logs: investigated.snapshot.logs.clone(),
                asked: investigated.snapshot.asked.clone(),
            })
        })
    }

    fn diagnose(&self, incident: String, by: Wish, reporter: Reporter) -> BoxFuture<'_, Result<Conclusion, Text>> {
        Box::pin(async move {
            let case = self.case(&incident)?;
            let concluded = match by {
                Wish::Offline => diagnosing::offline(&self.engine, &case.investigated).await,
                Wish::Model { shown } => {
                    let report = |draft| reporter.drafting(draft);
                    let wanted = Wanted { answers: &case.answers, shown: shown.as_deref(), endpoint: None };
                    let cancel = CancellationToken::new();
                    let work = Box::pin(diagnosing::online(&self.engine, &case.investigated, wanted, &cancel, report));
                    watching::beside(&self.engine, &reporter, work).await.map_err(|failure| said(&failure))?
                }
                Wish::Pasted(text) => {
                    let shown = diagnosing::preview(&self.engine, &case.investigated, &case.answers, None)
                        .await
                        .map_err(|failure| said(&failure))?;
                    diagnosing::pasted(&self.engine, &case.investigated, &case.answers, &shown.pack, &text)
                        .await
                        .map_err(|failure| said(&failure))?
                }
            };
            let Concluded { diagnosed, actions, standing } = concluded;
            // Answers may have come meanwhile.
            let answers = self.case(&incident).map_or_else(|_| case.answers.clone(), |known| known.answers);
            self.keep(Case { standing: Some(standing), answers, ..case });
            let actions = actions.into_iter().map(|(action, judged)| Suggestion { action, judged }).collect();
            Ok(Conclusion { diagnosed, actions })
        })
    }

    fn pack(&self, incident: String) -> BoxFuture<'_, Result<PackPreview, Text>> {
        Box::pin(async move {
            let case = self.case(&incident)?;
            diagnosing::preview(&self.engine, &case.investigated, &case.answers, None)
                .await
                .map_err(|failure| said(&failure))
        })
    }

    fn timeline(&self, incident: String) -> BoxFuture<'_, Result<Vec<Entry>, Text>> {
        Box::pin(async move {
            let ledger = self.engine.ledger().await.map_err(|failure| said(&failure))?;
            let filter = Filter { incident: Some(incident), limit: MAX_TIMELINE, newest: true, ..Filter::default() };
            ledger.entries(filter).await.map_err(|error| Text::from(error.to_string()))
        })
    }

    fn ask(&self, incident: String, check: Check) -> BoxFuture<'_, Result<Answered, Text>> {
        Box::pin(async move {
            let window = self.case(&incident)?.investigated.analysis.incident.window;
            let (asked, answer, summary) = checking::ask(&self.engine, &check, window).await;
            let evidence = answer.as_ref().and_then(|answer| self.remember_answer(&incident, &asked, answer));
            Ok(Answered { asked, answer, summary, evidence })
        })
    }

    fn recheck(&self, incident: String, ids: Vec<EvidenceId>) -> BoxFuture<'_, Result<Recheck, Text>> {
        Box::pin(async move {
            let case = self.case(&incident)?;
            Ok(recheck::ask(&self.engine, &case.investigated, &ids, &case.answers).await)
        })
    }

    fn probe_models(&self, reporter: Reporter) -> BoxFuture<'_, Vec<EndpointHealth>> {
        Box::pin(async move { watching::probe(&self.engine, &reporter).await })
    }

    fn preview_question(&self, incident: Option<String>, question: Text) -> BoxFuture<'_, Result<PackPreview, Text>> {
        Box::pin(async move {
            let (name, about, thread) = self.chat(incident.as_deref()).await?;
            let preview = asking::preview(&self.engine, &thread, &question, (None, Limits::default()))
                .await
                .map_err(|failure| said(&failure))?;
            // What is open in the whole system is told as it was looked at.
            self.keep_chat(name, about, thread);
            Ok(preview)
        })
    }

    fn question(
        &self,
        incident: Option<String>,
        question: Text,
        shown: Option<Shown>,
        reporter: Reporter,
    ) -> BoxFuture<'_, Result<Reply, Text>> {
        Box::pin(async move {
            let (name, about, mut thread) = self.chat(incident.as_deref()).await?;
            let cases = self.kept().cases.iter().map(|case| Arc::clone(&case.investigated)).collect();
            let shown = shown.as_ref().map(|shown| (shown.digest.as_str(), shown.at));
            let asked = asking::Question { text: &question, endpoint: None, cases, limits: Limits::default(), shown };
            let waiting = Waiting::default();
            let follow = |asking| reporter.asking(waiting.heard(asking));
            let cancel = CancellationToken::new();
            let work = asking::ask(&self.engine, &mut thread, asked, follow, &cancel);
            let work = Box::pin(waiting.beside(work, |asking| reporter.asking(asking)));
            let reply = watching::beside(&self.engine, &reporter, work).await.map_err(|failure| said(&failure))?;
            self.keep_chat(name, about, thread);
            Ok(reply)
        })
    }

    fn prepare(&self, action: Action) -> BoxFuture<'_, Result<Prepared, Text>> {
        Box::pin(async move {
            let standing =
                self.case(&action.incident)?.standing.ok_or_else(|| Text::from("diagnose the incident first"))?;
            let ready = execution::prepare(&self.engine, &standing, &action).await.map_err(|failure| said(&failure))?;
            let prepared = self.shown(&ready, &action, None);
            self.remember(ready, action);
            Ok(prepared)
        })
    }

    fn queue(&self) -> BoxFuture<'_, Result<Queue, Text>> {
        Box::pin(async move { queue::read(&self.engine).await.map_err(|failure| said(&failure)) })
    }

    fn sign(&self, order: SignOrder) -> BoxFuture<'_, Result<Text, Text>> {
        Box::pin(async move { queue::sign(&self.engine, &order).await.map_err(|failure| said(&failure)) })
    }

    fn request_approval(&self, digest: Digest) -> BoxFuture<'_, Result<Digest, Text>> {
        Box::pin(async move {
            let known = self.kept().prepared.get(&digest.0).cloned();
            let (ready, action) = known.ok_or_else(|| Text::from("this was not prepared: look at it again"))?;
            let evidence = self.case(&action.incident).map_or_else(|_| Vec::new(), |case| why(&case.investigated));
            let asked = approvals::ask(&self.engine, &ready, &action, evidence).await;
            asked.map(|case| case.digest).map_err(|failure| said(&failure))
        })
    }

    fn prepare_approved(&self, digest: Digest) -> BoxFuture<'_, Result<Prepared, Text>> {
        Box::pin(async move {
            let case = queue::request(&self.engine, &digest).await.map_err(|failure| said(&failure))?;
            let action = case.action.clone();
            let by: Vec<String> = case
                .said(&self.engine.standing.trusted, (self.engine.wall_clock)())
                .iter()
                .map(|approver| format!("{} at {}", approver.person, approver.at.to_clock()))
                .collect();
            let ready = execution::prepare_approved(&self.engine, case).await.map_err(|failure| said(&failure))?;
            let prepared = self.shown(&ready, &action, Some(Text::from(format!("by {}", by.join(", ")))));
            self.remember(ready, action);
            Ok(prepared)
        })
    }

    fn prepare_preview(&self, digest: Digest) -> BoxFuture<'_, Result<Prepared, Text>> {
        Box::pin(async move {
            let case = queue::request(&self.engine, &digest).await.map_err(|failure| said(&failure))?;
            let action =
                preview::preview_of(&case.action).ok_or_else(|| Text::from("the tool has no preview of this"))?;
            let standing = self.engine.standing.remembering(&case.request.tainted);
            let ready = execution::prepare(&self.engine, &standing, &action).await.map_err(|failure| said(&failure))?;
            let prepared = self.shown(&ready, &action, None);
            self.remember(ready, action);
            Ok(prepared)
        })
    }

    fn verify(&self, digest: Digest) -> BoxFuture<'_, Result<Verification, Text>> {
        Box::pin(async move {
            let known = self.kept().ran.get(&digest.0).cloned();
            let Ran { incident, actor, intent, verification } =
                known.ok_or_else(|| Text::from("the run is not over yet"))?;
            Ok(execution::verify(&self.engine, &actor, &incident, intent, verification).await)
        })
    }

    fn run(&self, order: RunOrder, news: RunSink, cancel: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Taken, not looked at: one confirmation is good for one run.
            let known = self.kept().prepared.remove(&order.digest().0);
            let Some((ready, action)) = known else {
                let _ = news.send(RunReport::Refused(Text::from("this was not prepared: look at it again"))).await;
                return;
            };
            let typed = Some(order.typed().to_owned()).filter(|typed| !typed.is_empty());
            let break_glass = order.break_glass().map(str::to_owned);
            let execution = Execution { digest: order.digest().clone(), typed, break_glass };
            let (sender, mut incoming) = mpsc::channel(256);
            let work = execution::run(&self.engine, &ready, &action, execution, sender, cancel);
            let forward = async {
                while let Some(item) = incoming.recv().await {
                    let report = match item {
                        News::Line(line) => RunReport::Line(line),
                        News::Dropped(count) => RunReport::Dropped(count),
                        News::Ended(state) => RunReport::Ended(state),
                        News::Verified(verification) => RunReport::Verified(verification),
                    };
                    if news.send(report).await.is_err() {
                        break;
                    }
                }
            };
            let (result, ()) = tokio::join!(work, forward);
            match result {
                Ok(RunRecord { digest, request, intent, verification: Some(verification), .. }) => {
                    let RunRequest { incident, actor, .. } = request;
                    self.kept().ran.insert(digest.0, Ran { incident, actor, intent, verification });
                }
                Ok(_) => {}
                Err(failure) => {
                    let _ = news.send(RunReport::Refused(said(&failure))).await;
                }
            }
        })
    }
}

/// Where a configuration file is looked for, for the first screen.
pub(super) fn first_run(found: Vec<crate::core::model::Found>) -> FirstRun {
    let config_path = config::config_file().map_or_else(String::new, |path| path.display().to_string());
    FirstRun { config_path, found }
}
