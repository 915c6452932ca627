//! `whoami`: who the program takes its user for, how sure that is, and what follows from it.

use std::sync::Arc;

use serde_json::json;

use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::app::standing::Standing;
use crate::app::{agent, clock};
use crate::domain::approval::Trust;

/// Says who this is, as entries of the ledger will say it.
pub(super) async fn whoami(standing: &Standing, output: Output) -> Result<(), Failure> {
    let mut identity = standing.identity.clone();
    let trusted = &standing.trusted;
    let proof = agent::prove(Arc::clone(trusted), &identity, clock::system()()).await;
    if let Some(proof) = &proof {
        identity.key = Some(proof.key.clone());
        identity.trust = Trust::Key;
    }
    let held = agent::holders(Arc::clone(trusted)).await;
    let (held, agent_error) = match held {
        Ok(held) => (held, None),
        Err(failure) => (Vec::new(), Some(failure.to_string())),
    };
    let keys: Vec<_> = held
        .iter()
        .map(|holder| {
            let person = trusted.persons.signing_as(&holder.principal);
            json!({
                "key": holder.fingerprint, "principal": holder.principal,
                "revoked": trusted.revoked.has(&holder.fingerprint),
                "person": person.map(|person| &person.name), "roles": person.map(|person| &person.roles),
            })
        })
        .collect();
    let persons: Vec<&str> =
        trusted.persons.known_as(&standing.identity).into_iter().map(|person| person.name.as_str()).collect();
    let view = json!({
        "identity": identity, "role": standing.role, "persons": persons, "agent": keys, "agentError": agent_error,
        "proof": proof,
    });
    output.answer(&view, || {
        let mut text = format!("account  {} (uid {})\n", identity.user, identity.uid);
        let unknown = || "not known here (the kernel's audit keeps no login)".to_owned();
        let login = identity.login_user.as_ref().zip(identity.login_uid).map(|(user, uid)| {
            let session = identity.session.map_or_else(String::new, |session| format!(", session {session}"));
            format!("{user} (uid {uid}{session})")
        });
        text += &format!("login    {}\n", login.unwrap_or_else(unknown));
        if let Some(from) = &identity.ssh_from {
            text += &format!("ssh      from {from}\n");
        }
        if let Some(auth) = &identity.ssh_auth {
            text += &format!("ssh      by {auth}\n");
        }
        let key = proof.as_ref().map_or_else(
            || "none has signed".to_owned(),
            |proof| format!("{} of {} signed a random number just now", proof.key, proof.principal),
        );
        text += &format!("key      {key}\n");
        text += &format!("trust    {}\n", identity.trust.word());
        let persons = match persons.as_slice() {
            [] if trusted.persons.is_empty() => "no list of persons is configured".to_owned(),
            [] => "nobody: the account stands with no person".to_owned(),
            [one] => (*one).to_owned(),
            several => format!("one of {}: the least of their roles holds", several.join(", ")),
        };
        text += &format!("person   {persons}\nrole     {}\n", standing.role);
        for holder in &held {
            let person = trusted.persons.signing_as(&holder.principal);
            let roles = person.map_or_else(|| "no person".to_owned(), |person| person.roles.join(", "));
            let revoked = if trusted.revoked.has(&holder.fingerprint) { ", REVOKED" } else { "" };
            text += &format!("can sign {} as {} ({roles}{revoked})\n", holder.fingerprint, holder.principal);
        }
        if let Some(error) = &agent_error {
            text += &format!("agent    {error}\n");
        } else if held.is_empty() {
            text += "can sign nothing: no ssh-agent holds a key that stands among the allowed signers\n";
        }
        text
    })
}
