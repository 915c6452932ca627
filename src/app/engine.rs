//! The engine: sources, analysis, copilot, gate and ledger of one profile, wired together. The headless commands and
//! the screens are two faces of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::analysis::inquiry::Circumstances;
use crate::analysis::inquiry::history::window_of;
use crate::analysis::{correlate, incident_id};
use crate::config::{Config, Profile, SystemSecrets};
use crate::copilot::playbook::Playbooks;
use crate::domain::alert::Alert;
use crate::domain::baseline::BaselineChoice;
use crate::domain::health::{EndpointHealth, RequestUnderWay, SourceHealth, Status};
use crate::domain::incident::Incident;
use crate::domain::labels::Labels;
use crate::domain::ledger::{Draft, EntryKind};
use crate::domain::query::{Data, Note, Planned, Purpose, Query};
use crate::domain::settings::{EndpointSettings, Secrets, Sees};
use crate::domain::snapshot::Runbook;
use crate::domain::{Text, TimeRange};
use crate::ledger::Ledger;
use crate::llm::{self, Admission, Endpoint, HealthState, Pool};
use crate::runner::RunnerSettings;
use crate::sources::Telemetry;
use crate::sources::bundle::Bundle;
use crate::sources::recorder::Recorder;
use crate::sources::set::SourceSet;

use super::clock::{self, Clock};
use super::failure::Failure;
use super::investigate::{Case, Investigated, Progress, investigate};
use super::ledger;
use super::rules::Refreshed;
use super::runbooks;
use super::service_graph::ServiceGraph;
use super::session_ledger::SessionLedger;
use super::spending::{self, Spent};
use super::standing::Standing;

/// Alerts kept of an incident that is only looked at from aside.
const OUTLINED_ALERTS: usize = 32;

/// Where telemetry comes from.
pub enum Origin {
    /// The servers of a profile.
    Live,
    /// A recorded bundle.
    Replay(Bundle),
    /// The built-in demo.
    Demo(Bundle),
}

/// Everything of one profile.
pub struct Engine {
    /// Name of the profile: `prod`, `replay`, `demo`.
    pub profile_name: String,
    /// The profile.
    pub profile: Profile,
    /// The configuration.
    pub config: Config,
    /// The present: the clock's, or the bundle's.
    pub clock: Clock,
    /// The real time, for the ledger.
    pub wall_clock: Clock,
    /// The sources.
    pub sources: SourceSet,
    /// Fetches secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Playbooks of the offline analyst.
    pub playbooks: Playbooks,
    /// Who acts where, under which policy.
    pub standing: Standing,
    /// The language models, in the order in which they are tried.
    pub pool: Pool,
    /// Where and how commands run.
    pub(super) runner: RunnerSettings,
    /// Runs whose outcome is not in the ledger yet.
    pub(super) open_runs: TaskTracker,
    /// What was spent on them today.
    pub(super) spent: tokio::sync::Mutex<Spent>,
    /// Sizes of contexts in the models' own tokens, as far as servers told them, by name of the end point.
    contexts: Mutex<BTreeMap<String, u64>>,
    bundle: Option<Bundle>,
    demo: bool,
    baseline: Option<BaselineChoice>,
    graph: ServiceGraph,
    ledger: OnceCell<Arc<dyn Ledger>>,
    /// Ids that incidents were shown under.
    shown: Mutex<BTreeSet<String>>,
    /// The incidents of the last situation, with few of their alerts: what was going on beside the one in question.
    beside: Mutex<Vec<Incident>>,
}

/// The incidents of a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Situation {
    /// All alerts.
    pub alerts: Vec<Alert>,
    /// What they fold into, worst and newest first.
    pub incidents: Vec<Incident>,
    /// State of the sources.
    pub sources: Vec<SourceHealth>,
    /// What must be said beside it.
    pub notes: Vec<Note>,
}

impl Engine {
    /// Wires everything together. Nothing is asked of any source yet, and the ledger is not opened.
    pub fn new(
        config: Config,
        profile: Option<(String, Profile)>,
        origin: Origin,
        baseline: Option<BaselineChoice>,
        recorder: Option<Arc<Recorder>>,
    ) -> Result<Self, Failure> {
        let wall_clock = clock::system();
        let secrets: Arc<dyn Secrets> = Arc::new(SystemSecrets);
        let unnamed = || (String::new(), Profile { critical: config.system.present, ..Profile::default() });
        let (profile_name, mut profile) = profile.unwrap_or_else(unnamed);
        let demo = matches!(origin, Origin::Demo(_));
        let (bundle, profile_name) = match origin {
            Origin::Live => (None, profile_name),
            Origin::Replay(bundle) => (Some(bundle), "replay".to_owned()),
            Origin::Demo(bundle) => (Some(bundle), "demo".to_owned()),
        };
        let mut telemetry: Vec<Arc<dyn Telemetry>> = Vec::new();
        let mut present = Arc::clone(&wall_clock);
        if let Some(bundle) = &bundle {
            // A recorded incident is not the profile's production, whatever the profile says.
            profile.critical = false;
            present = clock::fixed(bundle.window().end);
            telemetry.push(Arc::new(bundle.clone()));
        } else {
            super::connect::live(&profile, &secrets, &mut telemetry)?;
        }
        let mut sources = SourceSet::new(telemetry, Arc::clone(&wall_clock));
        if let Some(recorder) = recorder {
            sources = sources.recorded_by(recorder);
        }
        let standing = Standing::new(&config, &profile_name, &profile)?;
        let endpoints: Vec<EndpointSettings> =
            config.llm.endpoint.iter().map(|settings| within(settings, profile.sees)).collect();
        let pool = Pool::new(&endpoints, &secrets);
        Ok(Self {
            profile_name,
            profile,
            clock: present,
            sources,
            wall_clock,
            secrets,
            playbooks: Playbooks::builtin(),
            standing,
            pool,
            runner: RunnerSettings::of_this_process(),
            open_runs: TaskTracker::new(),
            spent: tokio::sync::Mutex::default(),
            contexts: Mutex::default(),
            bundle,
            demo,
            baseline,
            graph: ServiceGraph::default(),
            ledger: OnceCell::new(),
            shown: Mutex::default(),
            beside: Mutex::default(),
            config,
        })
    }

    /// Whether this is the built-in demo.
    pub fn is_demo(&self) -> bool {
        self.demo
    }

    /// The bundle that is replayed, if any.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }

    /// Asks for alerts and folds them into incidents. Fails only when no source could say anything about alerts.
    pub async fn situation(&self) -> Result<Situation, Failure> {
        let planned = Planned { query: Query::Alerts, purpose: Purpose::Discovery };
        let (asked, answer) = self.sources.ask(&planned).await;
        let Some(answer) = answer else {
            let why = asked.outcome.err().map_or_else(|| "no answer".into(), |text| text.to_string());
            return Err(Failure::failed(format!("alerts: {why}")));
        };
        let Data::Alerts(alerts) = answer.data else {
            return Err(Failure::failed("alerts: the source answered with something else"));
        };
        let now = (self.clock)();
        let recorded = self.bundle.as_ref().map(Bundle::window);
        let graph = self.graph.edges(&self.sources, &alerts, now, recorded).await;
        let mut incidents = correlate(&alerts, &graph, now);
        if let Some(bundle) = &self.bundle {
            if incidents.is_empty() {
                incidents.push(whole_window(bundle));
            }
            for incident in &mut incidents {
                incident.window = bundle.window();
                incident.baseline = bundle.baseline();
            }
        }
        keep_names(&mut incidents, &mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
        *self.beside.lock().unwrap_or_else(PoisonError::into_inner) = incidents.iter().map(outline).collect();
        Ok(Situation { alerts, incidents, sources: self.sources.health(), notes: answer.notes })
    }

    /// The incident with this id, or the only one. With several, the only one that is not resolved.
    pub async fn incident(&self, id: Option<&str>) -> Result<Incident, Failure> {
        let mut incidents = self.situation().await?.incidents;
        let known = |incidents: &[Incident]| {
            let line = |incident: &Incident| format!("  {}  {}", incident.id, incident.title.one_line());
            incidents.iter().map(line).collect::<Vec<_>>().join("\n")
        };
        if let Some(id) = id {
            let named = |incident: &Incident| {
                incident.id.eq_ignore_ascii_case(id) || other_names(incident).any(|name| name.eq_ignore_ascii_case(id))
            };
            return match incidents.iter().position(named) {
                Some(index) => Ok(incidents.swap_remove(index)),
                None if incidents.is_empty() => {
                    Err(Failure::failed(format!("there is no incident {id}: nothing is firing")))
                }
                None => Err(Failure::usage(format!("there is no incident {id}; there are:\n{}", known(&incidents)))),
            };
        }
        if incidents.len() > 1 {
            let open = incidents.iter().filter(|incident| !incident.is_resolved()).count();
            if open == 1 {
                incidents.retain(|incident| !incident.is_resolved());
            }
        }
        match incidents.len() {
            0 => Err(Failure::failed("there is no incident: nothing is firing")),
            1 => Ok(incidents.swap_remove(0)),
            _ => {
                Err(Failure::usage("there are several incidents")
                    .with_fix(&format!("name one:\n{}", known(&incidents))))
            }
        }
    }

    /// Gathers and analyses everything about an incident. `baseline` goes before what the command line and the profile
    /// say. `None` when it was cancelled.
    ///
    /// # Errors
    ///
    /// When the baseline that was chosen is none for this incident.
    pub async fn investigate(
        &self,
        incident: Incident,
        baseline: Option<BaselineChoice>,
        cancel: &CancellationToken,
        progress: impl FnMut(Progress),
    ) -> Result<Option<Investigated>, Failure> {
        self.investigate_until(incident, baseline, [cancel, &CancellationToken::new()], progress).await
    }

    /// As [`Self::investigate`]; once the second of `stops` is cancelled nothing more is asked, and what came so far is
    /// analysed.
    ///
    /// # Errors
    ///
    /// When the baseline that was chosen is none for this incident.
    pub async fn investigate_until(
        &self,
        mut incident: Incident,
        baseline: Option<BaselineChoice>,
        [cancel, enough]: [&CancellationToken; 2],
        progress: impl FnMut(Progress),
    ) -> Result<Option<Investigated>, Failure> {
        let chosen = baseline.or(self.baseline).or(self.profile.baseline.filter(|_| self.bundle.is_none()));
        if let Some(choice) = chosen {
            incident.baseline = choice.resolve(incident.window).map_err(Failure::usage)?;
        }
        let circumstances = Circumstances {
            others: self.others(&incident),
            baseline_is_chosen: self.bundle.is_some()
                || chosen.is_some_and(|choice| choice != BaselineChoice::Preceding),
        };
        let runbooks = self.runbooks(&incident);
        let case = Case { incident, circumstances, runbooks, enough: enough.clone() };
        Ok(investigate(&self.sources, &self.clock, case, cancel, progress).await)
    }

    /// Windows of other incidents that are about the same things.
    fn others(&self, incident: &Incident) -> Vec<TimeRange> {
        let now = (self.clock)();
        let recorded = self.bundle.iter().flat_map(|bundle| bundle.manifest().spoiled.iter().copied());
        let beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.chain(beside.iter().filter_map(|other| window_of(other, incident, now))).collect()
    }

    fn runbooks(&self, incident: &Incident) -> Vec<Runbook> {
        match &self.bundle {
            // Runbooks that cannot be read are said in the bundle's own notes.
            Some(bundle) => match bundle.runbooks() {
                Ok(recorded) if !recorded.is_empty() => recorded.to_vec(),
                _ => runbooks::of(incident, None),
            },
            None => runbooks::of(incident, self.profile.runbooks.as_deref()),
        }
    }

    /// Takes over a policy whose files changed, and writes that down; what is to be said about it, if anything. A
    /// policy that cannot be used leaves the one before in force.
    pub async fn refresh_policy(&self) -> Option<Result<String, String>> {
        let rules = &self.standing.rules;
        let (kind, payload, said) = match rules.refresh() {
            Refreshed::Same => return None,
            Refreshed::Changed { before, after } => {
                let now = rules.now();
                let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
                let text = format!("the policy changed: {} is in force now, it was {}", short(&after), short(&before));
                let payload = json!({
                    "hash": after, "before": before, "source": now.source, "text": now.text, "host": host,
                    "event": "changed while running",
                });
                (EntryKind::Policy, payload, Ok(text))
            }
            Refreshed::Kept(why) => {
                let hash = rules.now().gate.policy().hash().to_owned();
                let text = format!("the changed policy cannot be used, the one before stays in force: {why}");
                (EntryKind::Note, json!({"event": "policy kept", "hash": hash, "error": why, "text": text}), Err(text))
            }
        };
        let draft =
            Draft { at: (self.wall_clock)(), kind, incident: None, actor: self.standing.actor.clone(), payload };
        let written = match self.ledger().await {
            Ok(ledger) => ledger.append(draft).await.map(|_| ()).map_err(|error| error.to_string()),
            Err(failure) => Err(failure.to_string()),
        };
        if let Err(error) = written {
            // Nothing can run without a ledger; looking goes on.
            tracing::warn!(%error, "a change of the policy could not be written");
        }
        Some(said)
    }

    /// The ledger, opened when it is first needed.
    pub async fn ledger(&self) -> Result<Arc<dyn Ledger>, Failure> {
        let open = || async {
            let inner = ledger::open(&self.config.ledger, &*self.secrets).await?;
            let session = SessionLedger::new(inner, &self.config, &self.standing, &self.wall_clock, &self.secrets);
            Ok(Arc::new(session) as Arc<dyn Ledger>)
        };
        self.ledger.get_or_try_init(open).await.cloned()
    }

    /// Returns when every run that has begun is over and has its outcome in the ledger. To be waited for, with a bound,
    /// before the program is left.
    pub(super) async fn runs_are_over(&self) {
        self.open_runs.close();
        self.open_runs.wait().await;
    }

    /// The end points in their order, or the one with this name. An unknown name is wrong usage.
    pub fn endpoints(&self, name: Option<&str>) -> Result<Vec<Endpoint>, Failure> {
        let all = self.pool.endpoints();
        let Some(name) = name else { return Ok(all.to_vec()) };
        let known = || all.iter().map(|endpoint| endpoint.settings().name.as_str()).collect::<Vec<_>>().join(", ");
        match self.pool.get(name) {
            Some(endpoint) => Ok(vec![endpoint.clone()]),
            None if all.is_empty() && !self.config.llm.half_set.is_empty() => {
                Err(Failure::usage(format!("there is no end point `{name}`: {}", self.config.llm.half_set.join("; "))))
            }
            None if all.is_empty() => Err(Failure::usage(format!(
                "there is no end point `{name}`: none is configured ([[llm.endpoint]], OPENAI_API_KEY, ANTHROPIC_API_KEY, \
                 OLLAMA_HOST)"
            ))),
            None => Err(Failure::usage(format!("there is no end point `{name}`; configured: {}", known()))),
        }
    }

    /// The label sets of what the site's own configuration scrapes, where a Prometheus can be asked for them.
    pub(super) async fn targets(&self) -> Vec<Labels> {
        let planned = Planned { query: Query::Targets, purpose: Purpose::Discovery };
        if !self.sources.answers(&planned.query) {
            return Vec::new();
        }
        match self.sources.ask(&planned).await.1.map(|answer| answer.data) {
            Some(Data::Targets(targets)) => targets.into_iter().map(|target| target.labels).collect(),
            _ => Vec::new(),
        }
    }

    /// How the end points are, as far as they were asked anything.
    pub fn endpoint_health(&self) -> Vec<EndpointHealth> {
        let now = std::time::Instant::now();
        let state = |endpoint: &Endpoint| {
            let unpriced = spending::does_not_bind(&self.config.llm, endpoint.settings());
            EndpointHealth { note: unpriced.map(Text::from), ..endpoint_health(endpoint, now) }
        };
        self.pool.endpoints().iter().map(state).collect()
    }

    /// Remembers the size of a model's context, in its own tokens.
    pub(super) fn learn_context(&self, endpoint: &str, tokens: u64) {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint.to_owned(), tokens);
    }

    /// The size of a model's context, where a server told it.
    pub(super) fn known_context(&self, endpoint: &str) -> Option<u64> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner).get(endpoint).copied()
    }
}

/// Why an end point is never asked.
const BLIND: &str = "nothing is sent to it: it may see nothing of this environment (set `sees` of the end point and of \
                     the profile to redacted or production)";

fn endpoint_health(endpoint: &Endpoint, now: std::time::Instant) -> EndpointHealth {
    let health = endpoint.health(now);
    let settings = endpoint.settings();
    let traffic = &health.traffic;
    let resting = match endpoint.admission(now) {
        Admission::Resting { until, why } => {
            let left = until.saturating_duration_since(now).as_secs().max(1);
            Some(Text::from(format!("left alone for another {left} s: {why}")))
        }
        Admission::Ready | Admission::Canary => None,
    };
    let status = match health.state {
        HealthState::NotAsked => Status::Unknown,
        HealthState::Fine => Status::Ok,
        HealthState::NotResponding | HealthState::Failing | HealthState::KeyRefused | HealthState::Misconfigured => {
            Status::Down
        }
        HealthState::Slow
        | HealthState::Saturated
        | HealthState::RateLimited
        | HealthState::ContextOverflow
        | HealthState::SchemaNotEnforced
        | HealthState::AnswerTooLong
        | HealthState::AnswersFail
        | HealthState::Refuses => Status::Degraded,
    };
    let words = match health.state {
        HealthState::NotAsked if !traffic.under_way.is_empty() => "asking",
        HealthState::NotAsked if health.held_back.is_some() => "nothing was sent",
        HealthState::NotAsked if traffic.cancelled == 1 => "1 request was cancelled before it answered",
        HealthState::NotAsked if traffic.cancelled > 1 => "its requests were cancelled before they answered",
        HealthState::NotAsked if llm::sees(settings) == Sees::Nothing => "never asked",
        state => state.words(),
    };
    let blind = (llm::sees(settings) == Sees::Nothing).then_some(BLIND);
    EndpointHealth {
        name: settings.name.clone(),
        model: settings.model.clone(),
        status,
        words: words.to_owned(),
        blame: health.state.blame().word().to_owned(),
        what: Text::from(health.what.as_str()),
        advice: Text::from(health.advice.as_str()),
        sees: llm::sees(settings),
        resting,
        first_token_ms: health.first_token.map(|first| u64::try_from(first.as_millis()).unwrap_or(u64::MAX)),
        tokens_per_second: health.tokens_per_second,
        requests_waiting: health.load.map(|load| load.waiting),
        under_way: traffic
            .under_way
            .iter()
            .map(|one| RequestUnderWay { stage: one.stage.words().to_owned(), seconds: one.lasts(now).as_secs() })
            .collect(),
        answered: traffic.answered,
        failed: traffic.failed,
        cancelled: traffic.cancelled,
        held_back: health.held_back.as_deref().or(blind).map(Text::from),
        note: None,
    }
}

/// Settings of an end point that shows no more than the environment allows.
fn within(settings: &EndpointSettings, most: Option<Sees>) -> EndpointSettings {
    let sees = most.map(|most| most.min(llm::sees(settings))).or(settings.sees);
    EndpointSettings { sees, ..settings.clone() }
}

/// The ids an incident would have if another of its alerts had been the first.
fn other_names(incident: &Incident) -> impl Iterator<Item = String> {
    incident.alerts.iter().map(|alert| incident_id(&alert.fingerprint))
}

/// Gives an incident the id it was shown under before, so that an alert which arrives late does not change it while
/// somebody looks at it.
fn keep_names(incidents: &mut [Incident], shown: &mut BTreeSet<String>) {
    let mut taken: BTreeSet<String> = incidents.iter().map(|incident| incident.id.clone()).collect();
    for incident in incidents.iter_mut().filter(|incident| !shown.contains(&incident.id)) {
        if shown.is_empty() {
            break;
        }
        let before = other_names(incident).find(|name| shown.contains(name) && !taken.contains(name));
        if let Some(name) = before {
            taken.remove(&incident.id);
            taken.insert(name.clone());
            incident.id = name;
        }
    }
    *shown = taken;
}

/// An incident with few of its alerts.
fn outline(incident: &Incident) -> Incident {
    Incident {
        id: incident.id.clone(),
        title: incident.title.clone(),
        severity: incident.severity,
        started_at: incident.started_at,
        resolved_at: incident.resolved_at,
        services: incident.services.clone(),
        alerts: incident.alerts.iter().take(OUTLINED_ALERTS).cloned().collect(),
        flapping: Vec::new(),
        window: incident.window,
        baseline: incident.baseline,
    }
}

/// A bundle without alerts is examined as a whole.
fn whole_window(bundle: &Bundle) -> Incident {
    let title = Text::new(&format!("{} (no alert was recorded)", bundle.manifest().name));
    Incident {
        id: "I-window".into(),
        title,
        severity: crate::domain::alert::Severity::Unknown,
        started_at: bundle.window().start,
        resolved_at: None,
        services: Vec::new(),
        alerts: Vec::new(),
        flapping: Vec::new(),
        window: bundle.window(),
        baseline: bundle.baseline(),
    }
}

/// The beginning of a digest, for people.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::AlertState;
    use crate::domain::{Labels, Timestamp};

    fn alert(fingerprint: &str, starts_at: i64) -> Alert {
        Alert {
            fingerprint: fingerprint.into(),
            labels: [("alertname", "A"), ("service", "a"), ("instance", fingerprint)].into_iter().collect(),
            annotations: Labels::new(),
            starts_at: Timestamp::from_secs(starts_at),
            ends_at: None,
            state: AlertState::Active,
            suppressed_by: Vec::new(),
            receivers: Vec::new(),
            generator_url: String::new(),
            expression: None,
        }
    }

    #[test]
    fn a_late_alert_that_began_earlier_does_not_rename_the_incident() {
        let now = Timestamp::from_secs(1_000);
        let mut shown = BTreeSet::new();
        let mut first = correlate(&[alert("b", 900)], &[], now);
        keep_names(&mut first, &mut shown);
        let mut second = correlate(&[alert("b", 900), alert("a", 890)], &[], now);
        assert_ne!(second[0].id, first[0].id, "the correlation alone would rename it");
        keep_names(&mut second, &mut shown);
        assert_eq!(second[0].id, first[0].id);
        assert!(other_names(&second[0]).any(|name| name == first[0].id));
    }
}
