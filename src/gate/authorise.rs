//! From a judged command to one that may run.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::approvals::Approved;
use super::{Gate, Inventory, Situation, effects};
use crate::domain::action::{Decision, Digest, Judged, RunRequest, Verdict};
use crate::domain::canonical::{canonical_json, hex};

/// The digest of a request: lower-case hex SHA-256 of its canonical JSON. Any change of argv, program file, manifest, settings, working
/// directory, environment, host, profile, actor, policy or time-out gives another one.
pub fn digest(request: &RunRequest) -> Digest {
    // Written out field by field: this cannot fail, and a field that is added must be thought about here.
    let RunRequest {
        incident,
        action,
        argv,
        program,
        program_sha256,
        files,
        cwd,
        env,
        host,
        profile,
        actor,
        policy,
        timeout_seconds,
    } = request;
    let env: Vec<Value> = env.iter().map(|(name, value)| json!([name, value])).collect();
    let value = json!({
        "action": action, "actor": actor, "argv": argv, "cwd": cwd, "env": env, "host": host, "incident": incident,
        "files": files, "policy": policy, "profile": profile, "program": program, "program_sha256": program_sha256,
        "timeout_seconds": timeout_seconds,
    });
    Digest(hex(&Sha256::digest(canonical_json(&value).as_bytes())))
}

/// The word that has to be typed to confirm: the last part of what the command acts on (`payments` for
/// `kubectl rollout undo deployment/payments`), or the program's name where it acts on nothing that has a name.
pub fn confirm_word(request: &RunRequest) -> String {
    let understood = effects::understand(&request.argv, &Inventory::default());
    let typable = |word: &str| {
        let last = word.rsplit(['/', '=', ':']).next().unwrap_or_default().to_owned();
        let plain = last.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        (plain && last.bytes().any(|b| b.is_ascii_alphanumeric()) && last.len() <= 64).then_some(last)
    };
    understood
        .operands
        .iter()
        .rev()
        .find_map(|word| typable(word))
        .or_else(|| request.argv.first().and_then(|program| typable(program)))
        .unwrap_or_else(|| "run".to_owned())
}

/// What the operator did in the dialog, or on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Digest of exactly what was shown.
    pub digest: Digest,
    /// What was typed, where the dialog asks for it.
    pub typed: Option<String>,
}

/// Why a command may not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What would run is not what was shown.
    #[error("what would run now is not what was shown: shown {shown}, now {now}; look at it again")]
    Changed {
        /// Digest that was confirmed.
        shown: Digest,
        /// Digest of the request.
        now: Digest,
    },
    /// The request was made under another policy.
    #[error("the policy changed since the command was shown; look at it again")]
    PolicyChanged,
    /// The request and the judgement speak of different commands, or of a program under another name.
    #[error("the request does not match what was judged: {0}")]
    Mismatch(String),
    /// Judged again, the command is no longer what it was.
    #[error("judged again, the command is now {now} by rule {rule} ({why}); it was shown as {shown}")]
    JudgedDifferently {
        /// Decision that was shown.
        shown: &'static str,
        /// Decision now.
        now: &'static str,
        /// Rule that decides now.
        rule: String,
        /// Why.
        why: String,
    },
    /// A typed confirmation is needed and there is none.
    #[error("type {word} to run this")]
    NeedsTyping {
        /// The word to type.
        word: String,
    },
    /// What was typed is not the word asked for.
    #[error("typed is not {word}: nothing was run")]
    WrongWord {
        /// The word to type.
        word: String,
    },
    /// Another person has to sign.
    #[error("rule {rule} wants an approval first ({}): ask for it with `stanch actions request`", .need.join(", "))]
    NeedsApproval {
        /// The rule.
        rule: String,
        /// What is needed.
        need: Vec<String>,
    },
    /// An approval of something else.
    #[error("the approval is for another run, {0}")]
    ApprovalMismatch(Digest),
    /// The policy denies it.
    #[error("denied by rule {rule}: {why}")]
    Denied {
        /// The rule.
        rule: String,
        /// Why.
        why: String,
    },
}

/// A request that may run, once. Only [`Gate::authorise`] makes one, and the runner takes nothing else.
#[derive(Debug)]
pub struct Authorised {
    request: RunRequest,
    digest: Digest,
    judged: Judged,
}

impl Authorised {
    /// What runs.
    pub fn request(&self) -> &RunRequest {
        &self.request
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How it was judged at the moment of authorisation.
    pub fn judged(&self) -> &Judged {
        &self.judged
    }
}

/// What stands in for an approval.
#[derive(Debug, Clone, Copy)]
enum Leave<'a> {
    /// Nothing.
    None,
    /// Others have signed.
    Approved(&'a Approved),
    /// The operator says that it cannot wait.
    Emergency,
}

impl Leave<'_> {
    fn suffices(self, verdict: &Verdict) -> bool {
        match self {
            Self::None => false,
            Self::Approved(approved) => approved.fills(&verdict.need),
            Self::Emergency => verdict.break_glass,
        }
    }
}

impl Gate {
    /// Turns a request into one that may run, if the confirmation names exactly this request and gives what the
    /// verdict demands.
    ///
    /// `judged` is what was shown. The command is judged again here, so a judgement that is stale or made elsewhere
    /// cannot open anything: when the new one is stricter, the answer is a refusal that says so.
    pub fn authorise(
        &self,
        request: RunRequest,
        judged: &Judged,
        situation: &Situation<'_>,
        confirmation: &Confirmation,
    ) -> Result<Authorised, Refusal> {
        self.authorise_with(request, judged, situation, confirmation, Leave::None)
    }

    /// As [`Self::authorise`], for a run that others have approved. The approval stands for the typed word too: who
    /// runs it names its digest.
    pub fn authorise_approved(
        &self,
        request: RunRequest,
        judged: &Judged,
        situation: &Situation<'_>,
        confirmation: &Confirmation,
        approved: &Approved,
    ) -> Result<Authorised, Refusal> {
        self.authorise_with(request, judged, situation, confirmation, Leave::Approved(approved))
    }

    /// As [`Self::authorise`], for a run in an emergency that does without the approval that it needs. Only rules that
    /// say `break_glass` can be gone past, and nothing else is.
    pub fn authorise_past_approval(
        &self,
        request: RunRequest,
        judged: &Judged,
        situation: &Situation<'_>,
        confirmation: &Confirmation,
    ) -> Result<Authorised, Refusal> {
        self.authorise_with(request, judged, situation, confirmation, Leave::Emergency)
    }

    fn authorise_with(
        &self,
        request: RunRequest,
        judged: &Judged,
        situation: &Situation<'_>,
        confirmation: &Confirmation,
        leave: Leave<'_>,
    ) -> Result<Authorised, Refusal> {
        let now = digest(&request);
        if confirmation.digest != now {
            return Err(Refusal::Changed { shown: confirmation.digest.clone(), now });
        }
        if request.policy != self.policy().hash() {
            return Err(Refusal::PolicyChanged);
        }
        if request.argv != judged.argv {
            return Err(Refusal::Mismatch("another command".to_owned()));
        }
        if request.profile != situation.profile {
            return Err(Refusal::Mismatch(format!("profile {} is in use", situation.profile)));
        }
        if request.actor != situation.actor {
            return Err(Refusal::Mismatch(format!("{} is asking", situation.actor)));
        }
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let asked = request.argv.first().map(|program| name(program)).unwrap_or_default();
        if asked.is_empty() || name(&request.program) != asked || !request.program.starts_with('/') {
            return Err(Refusal::Mismatch(format!("{} would run as {asked}", request.program)));
        }
        let again = self.judge(&request.argv, situation);
        if again.verdict.decision > judged.verdict.decision || again.effect > judged.effect {
            return Err(Refusal::JudgedDifferently {
                shown: judged.verdict.decision.word(),
                now: again.verdict.decision.word(),
                rule: again.verdict.rule,
                why: again.verdict.why,
            });
        }
        if let Leave::Approved(approved) = leave
            && *approved.run() != now
        {
            return Err(Refusal::ApprovalMismatch(approved.run().clone()));
        }
        match again.verdict.decision {
            Decision::Allow => {}
            Decision::Confirm if matches!(leave, Leave::Approved(_)) => {}
            Decision::Approve if leave.suffices(&again.verdict) => {}
            Decision::Confirm => {
                let word = confirm_word(&request);
                match confirmation.typed.as_deref().map(str::trim) {
                    None | Some("") => return Err(Refusal::NeedsTyping { word }),
                    Some(typed) if typed != word => return Err(Refusal::WrongWord { word }),
                    Some(_) => {}
                }
            }
            Decision::Approve => {
                return Err(Refusal::NeedsApproval { rule: again.verdict.rule, need: again.verdict.need });
            }
            Decision::Deny => {
                return Err(Refusal::Denied { rule: again.verdict.rule, why: again.verdict.why });
            }
        }
        Ok(Authorised { request, digest: now, judged: again })
    }
}
