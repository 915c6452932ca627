//! Understanding of commands, their effects, the policy and approvals: pure decisions.
//!
//! May import `domain` only; does no IO. Everything here errs towards stricter: what is not understood is opaque, a
//! program or flag that no table knows is never a read, and what no rule allows is denied.
//!
//! The way of a command: [`lexer`] splits a line (argv from playbooks and models skips it), [`effects`] says what it
//! does, [`taint`] which of its words came from telemetry, [`policy`] what may happen. [`Gate::authorise`] is the only
//! place that makes an [`Authorised`], and only an `Authorised` can be run.

pub mod approvals;
pub mod authorise;
pub mod changes;
pub mod effects;
pub mod lexer;
pub mod policy;
pub mod preview;
pub mod taint;

pub use authorise::{Authorised, Confirmation, Refusal, confirm_word, digest};
pub use policy::{Policy, PolicyError};
pub use taint::{Inventory, TelemetryWords};

use crate::domain::action::{Decision, Judged, Verdict};
use crate::domain::{Text, Timestamp};

/// Directories in which a program is the one that its name promises. The runner searches these and no others.
pub const PROGRAM_DIRECTORIES: [&str; 7] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/snap/bin"];

/// Most arguments of one command.
pub const MAX_ARGUMENTS: usize = 1_024;

/// Most bytes of one command, all arguments together.
pub const MAX_COMMAND_BYTES: usize = 64 << 10;

/// Who asks, where, and what telemetry has said so far.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Profile in use, for example `prod`; rules call it the environment.
    pub profile: &'a str,
    /// Whether the profile is marked critical.
    pub critical: bool,
    /// Who asks.
    pub actor: &'a str,
    /// Role of the actor: `viewer`, `operator`, `incident-commander`, `admin`.
    pub role: &'a str,
    /// Words that telemetry or a model has brought in.
    pub telemetry: &'a TelemetryWords,
    /// Names known from configuration or target labels.
    pub inventory: &'a Inventory,
    /// When: for rules with times and freezes.
    pub at: Timestamp,
}

/// The gate: effect tables and one policy.
#[derive(Debug, Clone)]
pub struct Gate {
    policy: Policy,
}

impl Gate {
    /// A gate that decides by `policy`.
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Judges a line of free text. What the strict lexer does not accept is opaque and has no argv.
    pub fn judge_line(&self, line: &str, situation: &Situation<'_>) -> Judged {
        Judged { input: Text::new(line), ..self.weigh_line(line, situation).judged(self, situation) }
    }

    /// Judges a program with its arguments, exactly as they would be executed.
    pub fn judge(&self, argv: &[String], situation: &Situation<'_>) -> Judged {
        self.weigh(argv, situation).judged(self, situation)
    }

    fn weigh_line(&self, line: &str, situation: &Situation<'_>) -> Weighed {
        match lexer::split(line) {
            Ok(argv) => self.weigh(&argv, situation),
            Err(error) => Weighed {
                argv: Vec::new(),
                understood: effects::not_even_split(line, error.to_string()),
                tainted: Vec::new(),
            },
        }
    }

    fn weigh(&self, argv: &[String], situation: &Situation<'_>) -> Weighed {
        let understood = effects::understand_with(argv, situation.inventory, self.policy.stricter());
        let tainted = taint::tainted(&understood.words, situation.telemetry, situation.inventory);
        Weighed { argv: argv.to_vec(), understood, tainted }
    }
}

/// A command that was understood and not yet decided on.
#[derive(Debug, Clone)]
struct Weighed {
    argv: Vec<String>,
    understood: effects::Understood,
    tainted: Vec<String>,
}

impl Weighed {
    /// What rules can look at.
    fn facts<'a>(&'a self, situation: &'a Situation<'a>) -> policy::Facts<'a> {
        policy::Facts {
            program: &self.understood.program,
            verb: &self.understood.verb,
            effect: self.understood.effect,
            reads_secrets: self.understood.reads_secrets,
            tainted: !self.tainted.is_empty(),
            command: &self.understood.facts,
            situation,
            frozen: None,
        }
    }

    fn judged(self, gate: &Gate, situation: &Situation<'_>) -> Judged {
        let verdict = gate.policy.decide(&self.facts(situation));
        Judged {
            input: Text::new(&lexer::join(&self.argv)),
            argv: self.argv,
            effect: self.understood.effect,
            reads_secrets: self.understood.reads_secrets,
            tainted: self.tainted,
            notes: self.understood.notes,
            facts: self.understood.facts,
            verdict,
        }
    }
}

/// The verdict when nothing allows it.
fn denied(rule: &str, why: &str) -> Verdict {
    Verdict {
        decision: Decision::Deny,
        rule: rule.to_owned(),
        why: why.to_owned(),
        need: Vec::new(),
        break_glass: false,
    }
}

#[cfg(test)]
mod tests;
