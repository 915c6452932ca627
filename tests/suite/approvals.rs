//! Approvals with a real ssh-agent and a real ssh-keygen, over two users who share a ledger.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use stanch::domain::Timestamp;
use stanch::domain::approval::ApprovalRequest;
use stanch::domain::ledger::{Draft, EntryKind};
use stanch::gate::approvals::{canonical, request_digest};
use stanch::ledger::{Filter, Ledger as _, PostgresLedger};
use tempfile::TempDir;

use crate::postgres_server::Postgres;
use crate::program::{Program, Said};

/// A running ssh-agent; ends with the test.
struct Agent {
    socket: PathBuf,
    pid: String,
}

impl Agent {
    fn start(folder: &Path, key: &Path, uid: Option<u32>) -> Self {
        let socket = folder.join("agent");
        let command = |name: &str| {
            let mut command = Command::new(name);
            command.env("SSH_AUTH_SOCK", &socket);
            if let Some(uid) = uid {
                command.uid(uid).gid(uid);
            }
            command
        };
        let said = output(command("ssh-agent").arg("-s").arg("-a").arg(&socket));
        let pid = said.split("SSH_AGENT_PID=").nth(1).and_then(|rest| rest.split(';').next()).expect("a pid");
        output(command("ssh-add").arg("-q").arg(key));
        Self { pid: pid.to_owned(), socket }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = Command::new("ssh-agent")
            .arg("-k")
            .env("SSH_AGENT_PID", &self.pid)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("openssh-client is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Somebody with a home, a configuration, an ssh-agent and, where tests run as root, an account.
struct User {
    program: Program,
    config: String,
    uid: Option<u32>,
}

impl User {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program.command(&[&["--config", &self.config], arguments].concat());
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    fn actions(&self, arguments: &[&str]) -> Said {
        self.stanch(&[&["actions"], arguments].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.actions(&[&["--json"], arguments].concat());
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.stdout, said.stderr);
        said.document()
    }

    fn stanch(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().expect("the program starts"))
    }
}

/// Alice asks, Carol commands; Dan, Rosa and Cora command with keys of other kinds; Olaf operates; Eve is nobody.
struct Team {
    folder: TempDir,
    alice: User,
    carol: User,
    _agents: Vec<Agent>,
}

/// Accounts of Alice and Carol where tests run as root: numbers that nobody has.
const ACCOUNTS: [u32; 2] = [70_001, 70_002];

impl Team {
    /// Two who share an account and a file.
    fn new() -> Self {
        Self::with(|folder| [(); 2].map(|()| format!("path = \"{}\"", folder.join("ledger.db").display())), None)
    }

    /// Two with accounts of their own, where the tests may give them some, and a database.
    fn sharing(urls: [String; 2]) -> Self {
        let accounts = rustix::process::geteuid().is_root().then_some(ACCOUNTS);
        Self::with(|_| urls.map(|url| format!("url = \"{url}\"")), accounts)
    }

    fn with(ledgers: impl FnOnce(&Path) -> [String; 2], accounts: Option<[u32; 2]>) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut signers = String::new();
        for (name, kind) in [
            ("alice", "ed25519"),
            ("alice-spare", "ed25519"),
            ("carol", "ed25519"),
            ("olaf", "ed25519"),
            ("eve", "ed25519"),
            ("authority", "ed25519"),
            ("dan", "ecdsa"),
            ("rosa", "rsa"),
            ("cora", "ed25519"),
        ] {
            let key = path.join(name);
            output(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-C", name, "-f"]).arg(&key));
            let public = std::fs::read_to_string(path.join(format!("{name}.pub"))).expect("a public key");
            match name {
                "eve" | "cora" => {}
                "authority" => signers += &format!("*@x cert-authority,namespaces=\"stanch-approval\" {public}"),
                "alice-spare" => signers += &format!("alice@x namespaces=\"stanch-*\" {public}"),
                _ => signers += &format!("{name}@x namespaces=\"stanch-*\" {public}"),
            }
        }
        output(
            Command::new("ssh-keygen")
                .args(["-q", "-I", "cora", "-n", "cora@x", "-V", "+1h", "-s"])
                .arg(path.join("authority"))
                .arg(path.join("cora.pub")),
        );
        let shared = output(Command::new("id").arg("-un")).trim().to_owned();
        let account = |at: usize| accounts.map_or_else(|| shared.clone(), |accounts| format!("uid-{}", accounts[at]));
        let persons: String = ["alice", "carol", "dan", "rosa", "cora", "olaf"]
            .map(|name| {
                let role = if matches!(name, "alice" | "olaf") { "operator" } else { "incident-commander" };
                let users = match name {
                    "alice" => format!("users = [\"{}\"]\n", account(0)),
                    "carol" => format!("users = [\"{}\"]\n", account(1)),
                    _ => String::new(),
                };
                format!("[[person]]\nname = \"{name}\"\nprincipals = [\"{name}@x\"]\nroles = [\"{role}\"]\n{users}")
            })
            .concat();
        std::fs::write(path.join("persons.toml"), format!("version = 1\n{persons}")).unwrap();
        std::fs::write(path.join("allowed_signers"), signers).unwrap();
        std::fs::write(path.join("revoked"), "").unwrap();
        for name in ["allowed_signers", "persons.toml", "revoked"] {
            // Whatever the umask says.
            std::fs::set_permissions(path.join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        let file = |name: &str| path.join(name).display().to_string();
        let [alices, carols] = ledgers(path);
        let mut agents = Vec::new();
        let mut user = |name: &str, ledger: &str, uid: Option<u32>| {
            let config = file(&format!("{name}.toml"));
            let text = format!(
                "[profile.test]\nprometheus = {{ url = \"http://127.0.0.1:9\" }}\n[ledger]\n{ledger}\n[approvals]\n\
                 signers = \"{}\"\nrevoked = \"{}\"\npersons = \"{}\"\n",
                file("allowed_signers"),
                file("revoked"),
                file("persons.toml"),
            );
            std::fs::write(&config, text).unwrap();
            let own = path.join(format!("{name}.d"));
            std::fs::create_dir(&own).unwrap();
            let program = Program::new();
            if let Some(uid) = uid {
                for path in [own.as_path(), &path.join(name), program.home()] {
                    chown(path, Some(uid), Some(uid)).expect("root gives files away");
                }
            }
            let agent = Agent::start(&own, &path.join(name), uid);
            let program = program.with("SSH_AUTH_SOCK", &agent.socket.display().to_string());
            agents.push(agent);
            User { program, config, uid }
        };
        let alice = user("alice", &alices, accounts.map(|accounts| accounts[0]));
        let carol = user("carol", &carols, accounts.map(|accounts| accounts[1]));
        Self { folder, alice, carol, _agents: agents }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Alice asks to remove a file of this name; its digest.
    fn ask(&self, name: &str) -> String {
        let path = self.victim(name);
        std::fs::write(&path, "x").unwrap();
        let file = path.display().to_string();
        let asked = self.alice.json(&["request", "--reason", "the disk is full", "--", "rm", &file]);
        assert_eq!(asked["status"], "pending", "{asked}");
        assert_eq!(asked["request"]["requester"]["trust"], "key", "{asked}");
        asked["digest"].as_str().unwrap().to_owned()
    }

    /// A file in a folder of Alice's.
    fn victim(&self, name: &str) -> PathBuf {
        self.path("alice.d").join(name)
    }

    /// A statement for `name`, signed by stock ssh-keygen with the key in `key`; arguments to hand it in.
    fn sign(&self, digest: &str, name: &str, key: &str, namespace: &str) -> Vec<String> {
        self.sign_changed(digest, name, key, namespace, |text| text)
    }

    /// The same, with the statement changed before it is signed.
    fn sign_changed(
        &self,
        digest: &str,
        name: &str,
        key: &str,
        namespace: &str,
        change: impl FnOnce(String) -> String,
    ) -> Vec<String> {
        let principal = format!("{name}@x");
        let text = self.carol.actions(&["show", digest, "--to-sign", "--as", &principal]);
        assert_eq!(text.code, 0, "{}", text.stderr);
        let file = self.path(&format!("{name}-{namespace}.json"));
        std::fs::write(&file, change(text.stdout)).unwrap();
        let signature = file.with_extension("json.sig");
        let _ = std::fs::remove_file(&signature);
        output(
            Command::new("ssh-keygen").args(["-q", "-Y", "sign", "-n", namespace, "-f"]).arg(self.path(key)).arg(&file),
        );
        vec!["approve".into(), digest.into(), "--signature".into(), signature.display().to_string()]
    }

    fn hand_in(&self, arguments: &[String]) -> Said {
        self.carol.actions(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn refused(&self, arguments: &[String], why: &str) {
        let said = self.hand_in(arguments);
        assert!(said.code == 3 && said.stderr.contains(why), "{why}: {} {}{}", said.code, said.stdout, said.stderr);
    }
}

#[test]
fn an_agents_signature_of_another_person_lets_it_run_once() {
    let team = Team::new();
    let digest = team.ask("victim");
    let early = team.alice.actions(&["run", &digest]);
    assert!(early.code == 3 && early.stderr.contains("not approved yet: 0 of 1 x incident-commander"), "{early:?}");
    let own = team.alice.actions(&["approve", &digest]);
    assert!(own.code == 3 && own.stderr.contains("asked for it"), "{own:?}");

    let waiting = team.carol.json(&["list", "--pending"]);
    assert_eq!(waiting["requests"][0]["digest"], digest.as_str());
    let shown = team.carol.actions(&["show", &digest[..12]]);
    assert!(shown.stdout.contains("the disk is full") && shown.stdout.contains("needs 1 x incident-commander"));
    let approved = team.carol.json(&["approve", &digest, "--reason", "go"]);
    assert_eq!((&approved["status"], &approved["by"][0]["person"]), (&"approved".into(), &"carol".into()));
    assert!(team.victim("victim").exists());

    // Approved here, it does not run from anywhere else.
    let elsewhere = team.alice.command(&["actions", "run", &digest]).current_dir(team.folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&elsewhere.stderr).into_owned();
    assert!(elsewhere.status.code() == Some(3) && said.contains("the working directory changed"), "{said}");

    let ran = team.alice.actions(&["run", &digest]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!team.victim("victim").exists());
    let again = team.alice.actions(&["run", &digest]);
    assert!(again.code == 3 && again.stderr.contains("was used already"), "{again:?}");
    let verified = team.alice.stanch(&["audit", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);

    // What the agent made of it, stock ssh-keygen takes too.
    let entries = team.alice.stanch(&["--json", "audit", "list"]).document();
    let entries = entries["entries"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["kind"] == "approval").unwrap();
    let text = |name: &str| entry["payload"]["signed"][name].as_str().unwrap().to_owned();
    std::fs::write(team.path("statement"), text("statement")).unwrap();
    std::fs::write(team.path("statement.sig"), text("signature")).unwrap();
    let verified = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", "carol@x", "-n", "stanch-approval", "-f"])
        .arg(team.path("allowed_signers"))
        .arg("-s")
        .arg(team.path("statement.sig"))
        .stdin(std::fs::File::open(team.path("statement")).unwrap())
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    // Who wrote an entry, and how sure that is, stands in each of them.
    for entry in entries {
        let identity = &entry["payload"]["identity"];
        assert_eq!((&identity["trust"], identity["key"].is_string()), (&"key".into(), true), "{entry}");
    }
}

#[test]
fn signatures_of_ssh_keygen_count_for_every_kind_of_key_and_for_certificates() {
    let team = Team::new();
    for (name, key) in [("carol", "carol"), ("dan", "dan"), ("rosa", "rosa"), ("cora", "cora-cert.pub")] {
        let digest = team.ask(&format!("{name}.txt"));
        // Next to a certificate lies the key it is for.
        let said = team.hand_in(&team.sign(&digest, name, key, "stanch-approval"));
        assert_eq!(said.code, 0, "{name}: {}{}", said.stdout, said.stderr);
        let ran = team.alice.actions(&["run", &digest]);
        assert_eq!(ran.code, 0, "{name}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn what_does_not_count_is_refused_with_its_reason_and_written_down() {
    let team = Team::new();
    let digest = team.ask("kept");
    team.refused(&team.sign(&digest, "carol", "carol", "file"), "for the namespace `file`");
    team.refused(&team.sign(&digest, "carol", "eve", "stanch-approval"), "not among the allowed signers");
    team.refused(&team.sign(&digest, "dan", "carol", "stanch-approval"), "may not sign as `dan@x`");
    team.refused(&team.sign(&digest, "alice", "alice", "stanch-approval"), "asked for it");
    // Cora's key without its certificate is nobody's.
    std::fs::copy(team.path("cora"), team.path("bare")).unwrap();
    team.refused(&team.sign(&digest, "cora", "bare", "stanch-approval"), "not among the allowed signers");
    let other = team.ask("other");
    let mut replayed = team.sign(&other, "carol", "carol", "stanch-approval");
    replayed[1].clone_from(&digest);
    team.refused(&replayed, "for another request");
    let good = team.sign(&digest, "carol", "carol", "stanch-approval");
    std::fs::copy(team.path("carol.pub"), team.path("revoked")).unwrap();
    team.refused(&good, "is revoked");
    std::fs::write(team.path("revoked"), "").unwrap();
    let no = team.carol.actions(&["reject", &digest, "--reason", "wrong file"]);
    assert_eq!(no.code, 0, "{no:?}");
    assert_eq!(team.hand_in(&good).code, 0);
    let ran = team.alice.actions(&["run", &digest]);
    assert!(ran.code == 3 && ran.stderr.contains("carol rejected it: wrong file"), "{ran:?}");
    assert!(team.victim("kept").exists());
    let entries = team.alice.stanch(&["--json", "audit", "list"]).document();
    let refusals = entries["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "refusal").count();
    assert_eq!(refusals, 8);
}

#[test]
fn a_file_of_signers_that_others_may_write_is_not_believed() {
    let team = Team::new();
    let digest = team.ask("kept");
    std::fs::set_permissions(team.path("allowed_signers"), std::fs::Permissions::from_mode(0o666)).unwrap();
    let said = team.carol.actions(&["approve", &digest]);
    assert!(said.code == 2 && said.stderr.contains("may write it"), "{said:?}");
}

/// Puts a changed copy of a request into the ledger, signed by Alice as if she had asked for it; its digest.
async fn forge(
    team: &Team,
    ledger: &PostgresLedger,
    digest: &str,
    change: impl FnOnce(&mut ApprovalRequest) + Send,
) -> String {
    let filter = Filter { kinds: vec![EntryKind::ApprovalRequest], limit: 100, ..Filter::default() };
    let entries = ledger.entries(filter).await.unwrap();
    let entry = entries.into_iter().find(|entry| entry.draft.payload["digest"] == digest).expect("it was asked for");
    let mut payload = entry.draft.payload.clone();
    let mut request: ApprovalRequest = serde_json::from_value(payload["request"].clone()).unwrap();
    change(&mut request);
    let file = team.path("forged");
    std::fs::write(&file, canonical(&request)).unwrap();
    let signature = team.path("forged.sig");
    let _ = std::fs::remove_file(&signature);
    output(
        Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", "stanch-request", "-f"])
            .arg(team.path("alice"))
            .arg(&file),
    );
    let digest = request_digest(&request).0;
    payload["digest"] = json!(digest);
    payload["request"] = serde_json::to_value(&request).unwrap();
    payload["proof"] = json!(std::fs::read_to_string(&signature).unwrap());
    ledger.append(Draft { payload, ..entry.draft }).await.unwrap();
    digest
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_with_a_shared_database_get_through_by_agent_and_by_file_and_nobody_else_does() {
    let server = Postgres::start().await;
    let database = server.ledger().await;
    let team = Team::sharing([server.url("alice", &database), server.url("bob", &database)]);
    let ledger = PostgresLedger::open(&server.url("alice", &database), None).await.unwrap();

    for by_agent in [true, false] {
        let digest = team.ask("victim");
        if by_agent {
            team.carol.json(&["approve", &digest]);
        } else {
            let said = team.hand_in(&team.sign(&digest, "carol", "carol", "stanch-approval"));
            assert_eq!(said.code, 0, "{said:?}");
        }
        // Carol has approved it, and cannot run it in Alice's place.
        if team.carol.uid.is_some() {
            let other = team.carol.actions(&["run", &digest]);
            assert_eq!(other.code, 3, "{other:?}");
        }
        // Twice at the same moment: one of them runs.
        let runs = [(); 2].map(|()| {
            let mut run = team.alice.command(&["actions", "run", &digest]);
            run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        });
        let codes = runs.map(|run| Said::of(&run.wait_with_output().unwrap()));
        let ran = codes.iter().filter(|said| said.code == 0).count();
        assert!(ran == 1 && !team.victim("victim").exists(), "{codes:?}");
        // Replay.
        let again = team.alice.actions(&["run", &digest]);
        assert!(again.code == 3 && again.stderr.contains("was used already"), "{again:?}");
    }

    let digest = team.ask("kept");
    // The same key, and another key of the same person.
    let own = team.alice.actions(&["approve", &digest]);
    assert!(own.code == 3 && own.stderr.contains("cannot approve it under another name"), "{own:?}");
    team.refused(&team.sign(&digest, "alice", "alice-spare", "stanch-approval"), "alice asked for it, and cannot");
    // The wrong role and the wrong namespace.
    team.refused(&team.sign(&digest, "olaf", "olaf", "stanch-approval"), "olaf is operator; needed is 1 x incident");
    team.refused(&team.sign(&digest, "carol", "carol", "git"), "for the namespace `git`");
    // An unknown and a revoked signer.
    team.refused(&team.sign(&digest, "carol", "eve", "stanch-approval"), "not among the allowed signers");
    let good = team.sign(&digest, "carol", "carol", "stanch-approval");
    std::fs::copy(team.path("carol.pub"), team.path("revoked")).unwrap();
    team.refused(&good, "is revoked");
    let by_agent = team.carol.actions(&["approve", &digest]);
    assert!(by_agent.code == 3 && by_agent.stderr.contains("is revoked"), "{by_agent:?}");
    std::fs::write(team.path("revoked"), "").unwrap();
    // A changed command: in what was signed, and behind a signature.
    let kept = team.victim("kept").display().to_string();
    let changed = |text: String| text.replace(&kept, "/etc/hosts");
    team.refused(&team.sign_changed(&digest, "dan", "dan", "stanch-approval", changed), "its text was changed");
    let statement = good[3].trim_end_matches(".sig");
    let text = std::fs::read_to_string(statement).unwrap();
    std::fs::write(statement, changed(text)).unwrap();
    team.refused(&good, "its text was changed");
    // A clock that is an hour ahead, and one that is an hour behind.
    for hour in [3_600, -3_600] {
        let skewed = |text: String| {
            let mut statement: Value = serde_json::from_str(&text).unwrap();
            let at: Timestamp = serde_json::from_value(statement["at"].clone()).unwrap();
            statement["at"] = json!(Timestamp::from_secs(at.secs() + hour));
            stanch::domain::canonical::canonical_json(&statement) + "\n"
        };
        team.refused(&team.sign_changed(&digest, "carol", "carol", "stanch-approval", skewed), "a clock is wrong");
    }
    let hour = Duration::from_hours(1);
    let ahead = forge(&team, &ledger, &digest, |request| {
        request.created = request.created.plus(hour);
        request.expires = request.expires.plus(hour);
    });
    let ahead = ahead.await;
    team.refused(&team.sign(&ahead, "carol", "carol", "stanch-approval"), "a clock is wrong");
    // Too late.
    let expired = forge(&team, &ledger, &digest, |request| {
        request.created = request.created.minus(hour);
        request.expires = request.expires.minus(hour);
    });
    let expired = expired.await;
    team.refused(&team.sign(&expired, "carol", "carol", "stanch-approval"), "it expired at");
    // A signature for one request, written into the ledger as if it were for another.
    let other = forge(&team, &ledger, &digest, |request| {
        request.run.argv[1] = "/etc/hosts".into();
    });
    let other = other.await;
    team.carol.json(&["approve", &digest]);
    let filter = Filter { kinds: vec![EntryKind::Approval], limit: 1, newest: true, ..Filter::default() };
    let mut approval = ledger.entries(filter).await.unwrap().pop().unwrap().draft;
    approval.payload["digest"] = json!(other);
    ledger.append(approval).await.unwrap();
    let run = team.alice.actions(&["run", &other]);
    assert!(run.code == 3 && team.victim("kept").exists(), "{run:?}");
    let waiting = team.carol.json(&["list", "--pending", "--all"]);
    let requests = waiting["requests"].as_array().unwrap();
    let forged = requests.iter().find(|request| request["digest"] == other.as_str());
    let forged = forged.unwrap_or_else(|| panic!("{other}: {requests:#?}"));
    assert!(forged["why"].as_str().unwrap().contains("the signature is for another request"), "{forged}");
    // The right one still runs.
    let ran = team.alice.actions(&["run", &digest]);
    assert!(ran.code == 0 && !team.victim("kept").exists(), "{ran:?}");
    assert_eq!(team.alice.stanch(&["audit", "verify"]).code, 0);
}

#[test]
fn who_somebody_is_is_not_what_somebody_says() {
    let team = Team::new();
    let mut asked = team.alice.command(&["--json", "whoami"]);
    let said =
        Said::of(&asked.envs([("USER", "carol"), ("LOGNAME", "carol"), ("STANCH_ROLE", "admin")]).output().unwrap());
    let who = said.document();
    assert_eq!((&who["role"], &who["identity"]["trust"]), (&"operator".into(), &"key".into()), "{who}");
    assert_eq!((&who["agent"][0]["person"], &who["agent"][0]["principal"]), (&"alice".into(), &"alice@x".into()));
    assert_eq!(who["persons"], json!(["alice", "carol"]), "they share the account, so the least role holds");
    let text = team.alice.stanch(&["whoami"]);
    assert!(text.stdout.contains("trust    key") && text.stdout.contains("one of alice, carol"), "{text:?}");
    let mut without = team.alice.command(&["--json", "whoami"]);
    let who = Said::of(&without.env_remove("SSH_AUTH_SOCK").output().unwrap()).document();
    assert!(who["identity"]["trust"] != "key" && who["proof"].is_null(), "{who}");
}

#[test]
fn going_past_an_approval_is_written_down_and_reviewed_by_somebody_else() {
    let team = Team::new();
    let policy = team.path("policy.toml");
    let text = r#"
version = 1
[[rule]]
name = "new-files"
when = { effect = "mutate", program = "touch" }
decision = "approve"
why = "new files are somebody's decision"
need = ["1 x incident-commander"]
break_glass = true
[[test]]
name = "a new file"
line = "touch x"
expect = "approve"
need = ["1 x incident-commander"]
break_glass = true
"#;
    let closed = team.ask("kept");
    let refused = team.alice.actions(&["run", &closed, "--break-glass", "the disk is full", "--digest", "x"]);
    assert!(refused.code == 3 && refused.stderr.contains("does not let anybody go past it"), "{refused:?}");

    std::fs::write(&policy, text).unwrap();
    for user in [&team.alice, &team.carol] {
        let config = std::fs::read_to_string(&user.config).unwrap();
        std::fs::write(&user.config, format!("{config}[policy]\nfile = \"{}\"\n", policy.display())).unwrap();
    }
    let file = team.victim("made").display().to_string();
    let asked = team.alice.json(&["request", "--reason", "a marker is missing", "--", "touch", &file]);
    let digest = asked["digest"].as_str().unwrap().to_owned();
    let shown = team.alice.actions(&["run", &digest, "--break-glass", "the disk is full"]);
    assert_eq!(shown.code, 2, "it is confirmed like any other run: {shown:?}");
    let run = shown.stderr.split("--digest ").nth(1).and_then(|rest| rest.get(..64)).expect("the digest is named");
    let short = team.alice.actions(&["run", &digest, "--break-glass", "now", "--digest", run]);
    assert!(short.code == 2 && short.stderr.contains("say why"), "{short:?}");
    let ran = team.alice.json(&["run", &digest, "--break-glass", "the disk is full", "--digest", run]);
    assert!(team.victim("made").exists(), "{ran}");
    // The request is used up: it cannot be approved, and run once more.
    let late = team.carol.actions(&["approve", &digest]);
    assert!(late.code == 3 && late.stderr.contains("was used already"), "{late:?}");

    let open = team.carol.json(&["review"]);
    assert_eq!(open["reviews"][0]["payload"]["breakGlass"], "the disk is full", "{open}");
    let entry = open["reviews"][0]["seq"].to_string();
    let own = team.alice.actions(&["review", &entry, "--reason", "fine"]);
    assert!(own.code == 3 && own.stderr.contains("a review needs incident-commander"), "{own:?}");
    assert_eq!(team.carol.actions(&["review", &entry]).code, 2, "a review says something");
    let reviewed = team.carol.json(&["review", &entry, "--reason", "the disk was full indeed"]);
    assert_eq!((&reviewed["kind"], &reviewed["payload"]["by"]), (&"review".into(), &"carol".into()));
    let twice = team.carol.actions(&["review", &entry, "--reason", "again"]);
    assert!(twice.code == 3 && twice.stderr.contains("was reviewed already"), "{twice:?}");
    assert_eq!(team.carol.json(&["review"])["reviews"], json!([]));
    assert_eq!(team.alice.stanch(&["audit", "verify"]).code, 0);
}
