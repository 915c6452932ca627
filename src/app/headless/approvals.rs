//! `actions` on requests for approval: asking, listing, showing, approving, rejecting and running them.

use std::path::Path;

use serde_json::json;

use crate::app::approvals::{self as desk, Case, MIN_PREFIX, Status};
use crate::app::cli::{Actions, Say as Arguments};
use crate::app::engine::Engine;
use crate::app::execution::{self, Execution, Ready};
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::app::queue;
use crate::app::reviews;
use crate::domain::Text;
use crate::domain::Timestamp;
use crate::domain::action::{Action, Origin};
use crate::domain::approval::{APPROVAL_NAMESPACE, Approver, Identity, Say, Signed};
use crate::domain::ledger::Entry;
use crate::gate::approvals::to_sign;

use super::actions::Given;

/// Most bytes of a signature or a statement.
const MAX_BYTES: u64 = 1 << 20;

/// Whether the command is about requests alone, so that no telemetry has to be there.
pub(super) fn needs_no_source(command: &Actions) -> bool {
    match command {
        Actions::List { pending, .. } => *pending,
        Actions::Show { action, .. } | Actions::Preview { action, .. } | Actions::Run { action, .. } => {
            is_digest(action)
        }
        Actions::Request { argv, .. } => !argv.is_empty(),
        Actions::Verify { .. } => false,
        Actions::Approve(_) | Actions::Reject(_) | Actions::Review { .. } => true,
    }
}

fn is_digest(word: &str) -> bool {
    word.len() >= MIN_PREFIX && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) async fn approvals(engine: &Engine, command: &Actions, output: Output) -> Result<(), Failure> {
    match command {
        Actions::List { all, .. } => list(engine, *all, output).await,
        Actions::Show { action, to_sign: false, .. } => {
            let case = open(engine, action).await?;
            let shown = Shown::new(engine, &case);
            output.answer(&shown.view(), || shown.text())
        }
        Actions::Show { action, principal, reject, reason, .. } => {
            let case = open(engine, action).await?;
            let say = if *reject { Say::Reject } else { Say::Approve };
            let at = Timestamp::from_secs((engine.wall_clock)().secs());
            let text = to_sign(&case.request, say, reason, principal.as_deref().unwrap_or_default(), at);
            // Byte for byte: what is printed is what is signed.
            output.exactly(&text)
        }
        Actions::Request { incident, reason, argv, .. } => {
            let action = own(engine, incident.as_deref(), reason, argv);
            let ready = execution::prepare(engine, &engine.standing, &action).await?;
            request(engine, &ready, &action, output).await
        }
        Actions::Approve(arguments) => say(engine, Say::Approve, arguments, output).await,
        Actions::Reject(arguments) => {
            if arguments.reason.is_empty() && arguments.signature.is_none() {
                return Err(Failure::usage("say why with --reason: whoever asked will read it"));
            }
            say(engine, Say::Reject, arguments, output).await
        }
        Actions::Preview { action, digest, .. } => {
            let case = open(engine, action).await?;
            super::actions::run_preview(engine, &engine.standing, &case.action, digest.as_deref(), output).await
        }
        Actions::Verify { seq } => super::verify_run::verify(engine, *seq, output).await,
        Actions::Review { entry: None, .. } => {
            let standing = engine.standing.believing_now(&engine.config)?;
            let open = reviews::open(&*engine.ledger().await?, &standing.trusted).await?;
            output.answer(&json!({"reviews": open}), || {
                if open.is_empty() {
                    return "nothing waits for a review".to_owned();
                }
                open.iter().map(reviewable).collect()
            })
        }
        Actions::Review { entry: Some(entry), reason, unjustified } => {
            let written = reviews::review(engine, *entry, !unjustified, reason).await?;
            output.answer(&written, || format!("entry {} is the review of entry {entry}", written.seq))
        }
        Actions::Run { action, digest, break_glass: Some(reason), .. } => {
            let case = open(engine, action).await?;
            let action = case.action.clone();
            let ready = execution::prepare_approved(engine, case).await?;
            let given = Given { digest: digest.as_deref(), break_glass: Some(reason), ..Given::default() };
            super::actions::run(engine, &action, &ready, given, output).await
        }
        Actions::Run { action, .. } => {
            let case = open(engine, action).await?;
            let action = case.action.clone();
            let ready = execution::prepare_approved(engine, case).await?;
            let order = Execution { digest: ready.digest.clone(), typed: None, break_glass: None };
            super::actions::follow(engine, &action, &ready, order, output).await
        }
    }
}

/// A command that an operator gave.
fn own(engine: &Engine, incident: Option<&str>, reason: &str, argv: &[String]) -> Action {
    Action {
        id: "own".to_owned(),
        incident: incident.unwrap_or_default().to_owned(),
        origin: Origin::Operator(engine.standing.actor.clone()),
        argv: argv.to_vec(),
        change: None,
        target: Text::default(),
        rationale: Text::new(reason),
        rollback: None,
        verify: None,
    }
}

async fn open(engine: &Engine, digest: &str) -> Result<Case, Failure> {
    if !is_digest(digest) {
        return Err(Failure::usage(format!("`{digest}` is no digest: give at least {MIN_PREFIX} hex digits of it")));
    }
    desk::open(&*engine.ledger().await?, digest).await
}

/// Asks for the approval that a prepared action needs.
pub(super) async fn request(engine: &Engine, ready: &Ready, action: &Action, output: Output) -> Result<(), Failure> {
    let case = desk::ask(engine, ready, action, Vec::new()).await?;
    let shown = Shown::new(engine, &case);
    output.answer(&shown.view(), || shown.text())
}

async fn list(engine: &Engine, all: bool, output: Output) -> Result<(), Failure> {
    let now = (engine.wall_clock)();
    let cases = desk::list(&*engine.ledger().await?, &engine.standing.trusted, now, all).await?;
    let shown: Vec<Shown<'_>> = cases.iter().map(|(case, _)| Shown::new(engine, case)).collect();
    let views: Vec<_> = shown.iter().map(Shown::view).collect();
    output.answer(&json!({"requests": views}), || {
        if shown.is_empty() {
            return "nothing waits for an approval".to_owned();
        }
        shown.iter().map(Shown::line).collect()
    })
}

async fn say(engine: &Engine, say: Say, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let case = open(engine, &arguments.digest).await?;
    let now = (engine.wall_clock)();
    let trusted = &engine.standing.trusted;
    if trusted.signers.is_empty() || trusted.persons.is_empty() {
        return Err(Failure::usage(
            "nobody may sign yet: set `signers` and `persons` below [approvals] in the configuration",
        ));
    }
    let signed = if let Some(signature) = &arguments.signature {
        let statement = arguments.statement.clone().unwrap_or_else(|| signature.with_extension(""));
        Signed { statement: read(&statement)?, signature: read(signature)? }
    } else {
        let principal = arguments.principal.as_deref();
        desk::signed_by_agent(&engine.standing, &case, say, &arguments.reason, principal, now).await?
    };
    let other = match say {
        Say::Approve => "\"say\":\"reject\"",
        Say::Reject => "\"say\":\"approve\"",
    };
    if signed.statement.contains(other) {
        return Err(Failure::usage(format!("what was signed does not {} it", say.word())));
    }
    let ledger = engine.ledger().await?;
    let approver = desk::say(&*ledger, &engine.standing, &case, signed, now).await?;
    let case = desk::open(&*ledger, &case.digest.0).await?;
    let shown = Shown::new(engine, &case);
    output.answer(&shown.view(), || format!("{}\n{}", words(&approver), shown.line()))
}

fn reviewable(entry: &Entry) -> String {
    let payload = &entry.draft.payload;
    let words = payload.pointer("/request/argv").and_then(|argv| argv.as_array()).into_iter().flatten();
    let command: Vec<&str> = words.filter_map(|word| word.as_str()).collect();
    let reason = payload["breakGlass"].as_str().unwrap_or_default();
    let command = Text::new(&command.join(" "));
    format!(
        "{}  {}  {} went past an approval: {}\n    {}\n",
        entry.seq,
        entry.draft.at,
        entry.draft.actor,
        Text::new(reason).one_line(),
        command.one_line()
    )
}

fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    if std::fs::metadata(path).map_err(wrong)?.len() > MAX_BYTES {
        return Err(Failure::usage(format!("{}: too long for a signature or what it signs", path.display())));
    }
    std::fs::read_to_string(path).map_err(wrong)
}

fn words(approver: &Approver) -> String {
    let verb = if approver.say == Say::Approve { "approved" } else { "rejected" };
    let reason = if approver.reason.is_empty() { String::new() } else { format!(": {}", approver.reason) };
    format!("{verb} at {} by {} ({}, {}){reason}", approver.at, approver.person, approver.principal, approver.key)
}

fn who(identity: &Identity, asker: &str) -> String {
    let login = identity.login_user.as_ref().map_or_else(String::new, |login| format!(", logged in as {login}"));
    let key = identity.key.as_ref().map_or_else(String::new, |key| format!(", key {key}"));
    format!("{asker}{login}{key} (known by {})", identity.trust.word())
}

/// A request as an approver needs to see it.
struct Shown<'a> {
    engine: &'a Engine,
    case: &'a Case,
    status: Status,
    by: Vec<Approver>,
    asker: Text,
}

impl<'a> Shown<'a> {
    fn new(engine: &'a Engine, case: &'a Case) -> Self {
        let now = (engine.wall_clock)();
        let trusted = &engine.standing.trusted;
        Self {
            engine,
            case,
            status: case.status(trusted, now),
            by: case.said(trusted, now),
            asker: queue::asker(case, trusted, now),
        }
    }

    fn why(&self) -> String {
        self.status.why()
    }

    fn view(&self) -> serde_json::Value {
        json!({
            "digest": self.case.digest, "status": self.status.word(), "why": self.why(), "request": self.case.request,
            "evidence": self.case.evidence, "by": self.by, "entry": self.case.seq,
        })
    }

    fn line(&self) -> String {
        let request = &self.case.request;
        format!(
            "{:.16}  {:<8}  {}  until {}\n    {}\n    asked by {} · {}\n",
            self.case.digest,
            self.status.word(),
            request.run.profile,
            request.expires,
            Text::new(&request.run.argv.join(" ")).one_line(),
            who(&request.requester, &self.asker),
            self.why(),
        )
    }

    fn text(&self) -> String {
        let Case { digest, request, evidence, .. } = self.case;
        let run = &request.run;
        let quoted: Vec<String> = run.argv.iter().map(|word| format!("{word:?}")).collect();
        let mut text = format!("request {digest}\nrun     {}\n", Text::new(&run.argv.join(" ")).one_line());
        text += &format!("exactly {}\n", quoted.join(" "));
        text += &format!("program {} (sha256 {})\n", run.program, run.program_sha256);
        for (file, hash) in &run.files {
            text += &format!("file    {} ({hash})\n", Text::new(file).one_line());
        }
        let cluster = request.cluster.as_ref().map_or_else(String::new, |name| format!(" · cluster {name}"));
        text += &format!("where   {} on {} in {}{cluster}\n", run.profile, run.host, run.cwd);
        text += &format!("asked   by {} at {}\n", who(&request.requester, &self.asker), request.created);
        text += &format!("effect  {}\n", request.effect.word());
        text += &format!(
            "policy  rule {}: {} (needs {})\n",
            request.verdict.rule,
            request.verdict.why,
            request.verdict.need.join(", ")
        );
        // What the requester's program said is checked against one's own.
        let here = self.engine.standing.judge(&run.argv);
        if here.effect != request.effect || here.verdict.rule != request.verdict.rule {
            let verdict = &here.verdict;
            text += &format!(
                "HERE    it is judged {}, {} by rule {}\n",
                here.effect.word(),
                verdict.decision.word(),
                verdict.rule
            );
        }
        for note in &request.notes {
            text += &format!("note    {note}\n");
        }
        if !request.tainted.is_empty() {
            text += &format!("TAINTED {} (read in telemetry)\n", request.tainted.join(", "));
        }
        if !request.rationale.is_empty() {
            text += &format!("why     {}\n", request.rationale);
        }
        for line in evidence {
            text += &format!("proof   {line}\n");
        }
        text += &format!("until   {}\n", request.expires);
        for approver in &self.by {
            text += &format!("signed  {}\n", words(approver));
        }
        text += &format!("status  {}: {}\n", self.status.word(), self.why());
        text + &format!(
            "approve with `stanch actions approve {digest:.16}`, or sign the output of `stanch actions show {digest:.16} --to-sign --as YOU`\nwith `ssh-keygen -Y sign -n {APPROVAL_NAMESPACE} -f KEY FILE` and give `stanch actions approve {digest:.16} --signature FILE.sig`\n"
        )
    }
}
