//! Approvals with a real ssh-agent and a real ssh-keygen, over two users who share a ledger.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Program, Said};

/// A running ssh-agent; ends with the test.
struct Agent {
    socket: PathBuf,
    pid: String,
}

impl Agent {
    fn start(folder: &Path, name: &str, key: &Path) -> Self {
        let socket = folder.join(format!("{name}.sock"));
        let said = output(Command::new("ssh-agent").arg("-s").arg("-a").arg(&socket));
        let pid = said.split("SSH_AGENT_PID=").nth(1).and_then(|rest| rest.split(';').next()).expect("a pid");
        let agent = Self { socket, pid: pid.to_owned() };
        output(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &agent.socket));
        agent
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

/// Alice asks, Carol commands; Dan commands with keys of several kinds; Eve is nobody.
struct Team {
    folder: TempDir,
    alice: Program,
    carol: Program,
    agents: Vec<Agent>,
}

impl Team {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path();
        let mut signers = String::new();
        for (name, kind) in [
            ("alice", "ed25519"),
            ("carol", "ed25519"),
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
                _ => signers += &format!("{name}@x namespaces=\"stanch-*\" {public}"),
            }
        }
        output(
            Command::new("ssh-keygen")
                .args(["-q", "-I", "cora", "-n", "cora@x", "-V", "+1h", "-s"])
                .arg(path.join("authority"))
                .arg(path.join("cora.pub")),
        );
        let persons: String = ["alice", "carol", "dan", "rosa", "cora"]
            .map(|name| {
                let role = if name == "alice" { "operator" } else { "incident-commander" };
                format!("[[person]]\nname = \"{name}\"\nprincipals = [\"{name}@x\"]\nroles = [\"{role}\"]\n")
            })
            .concat();
        let user = output(Command::new("id").arg("-un"));
        let both = format!("users = [\"{}\"]\n", user.trim());
        let persons = persons
            .replace("principals = [\"alice@x\"]\n", &format!("principals = [\"alice@x\"]\n{both}"))
            .replace("principals = [\"carol@x\"]\n", &format!("principals = [\"carol@x\"]\n{both}"));
        std::fs::write(path.join("persons.toml"), format!("version = 1\n{persons}")).unwrap();
        std::fs::write(path.join("allowed_signers"), signers).unwrap();
        std::fs::write(path.join("revoked"), "").unwrap();
        let file = |name: &str| path.join(name).display().to_string();
        let config = format!(
            "[profile.test]\nprometheus = {{ url = \"http://127.0.0.1:9\" }}\n[ledger]\npath = \"{}\"\n[approvals]\n\
             signers = \"{}\"\nrevoked = \"{}\"\npersons = \"{}\"\n",
            file("ledger.db"),
            file("allowed_signers"),
            file("revoked"),
            file("persons.toml"),
        );
        std::fs::write(path.join("config.toml"), config).unwrap();
        for name in ["allowed_signers", "persons.toml", "revoked"] {
            // Whatever the umask says.
            std::fs::set_permissions(path.join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        let mut agents = Vec::new();
        let mut user = |name: &str| {
            let agent = Agent::start(path, name, &path.join(name));
            let program = Program::new().with("SSH_AUTH_SOCK", &agent.socket.display().to_string());
            agents.push(agent);
            program
        };
        let (alice, carol) = (user("alice"), user("carol"));
        Self { folder, alice, carol, agents }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, who: &Program, arguments: &[&str]) -> Said {
        let config = self.path("config.toml").display().to_string();
        who.run(&[&["--config", &config, "actions"], arguments].concat())
    }

    fn json(&self, who: &Program, arguments: &[&str]) -> Value {
        let said = self.run(who, &[&["--json"], arguments].concat());
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.stdout, said.stderr);
        said.document()
    }

    /// Alice asks to remove a file of this name; its digest.
    fn ask(&self, name: &str) -> String {
        std::fs::write(self.path(name), "x").unwrap();
        let file = self.path(name).display().to_string();
        let asked = self.json(&self.alice, &["request", "--reason", "the disk is full", "--", "rm", &file]);
        assert_eq!(asked["status"], "pending", "{asked}");
        assert_eq!(asked["request"]["requester"]["trust"], "key", "{asked}");
        asked["digest"].as_str().unwrap().to_owned()
    }

    /// A statement for `name`, signed by stock ssh-keygen with the key in `key`; arguments to hand it in.
    fn sign(&self, digest: &str, name: &str, key: &str, namespace: &str) -> Vec<String> {
        let principal = format!("{name}@x");
        let text = self.run(&self.carol, &["show", digest, "--to-sign", "--as", &principal]);
        assert_eq!(text.code, 0, "{}", text.stderr);
        let file = self.path(&format!("{name}-{namespace}.json"));
        std::fs::write(&file, &text.stdout).unwrap();
        let signature = file.with_extension("json.sig");
        let _ = std::fs::remove_file(&signature);
        output(
            Command::new("ssh-keygen").args(["-q", "-Y", "sign", "-n", namespace, "-f"]).arg(self.path(key)).arg(&file),
        );
        vec!["approve".into(), digest.into(), "--signature".into(), signature.display().to_string()]
    }

    fn hand_in(&self, arguments: &[String]) -> Said {
        self.run(&self.carol, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
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
    let early = team.run(&team.alice, &["run", &digest]);
    assert!(early.code == 3 && early.stderr.contains("not approved yet: 0 of 1 x incident-commander"), "{early:?}");
    let own = team.run(&team.alice, &["approve", &digest]);
    assert!(own.code == 3 && own.stderr.contains("asked for it"), "{own:?}");

    let waiting = team.json(&team.carol, &["list", "--pending"]);
    assert_eq!(waiting["requests"][0]["digest"], digest.as_str());
    let shown = team.run(&team.carol, &["show", &digest[..12]]);
    assert!(shown.stdout.contains("the disk is full") && shown.stdout.contains("needs 1 x incident-commander"));
    let approved = team.json(&team.carol, &["approve", &digest, "--reason", "go"]);
    assert_eq!((&approved["status"], &approved["by"][0]["person"]), (&"approved".into(), &"carol".into()));
    assert!(team.path("victim").exists());

    // Approved here, it does not run from anywhere else.
    let config = team.path("config.toml").display().to_string();
    let elsewhere = team
        .alice
        .command(&["--config", &config, "actions", "run", &digest])
        .current_dir(team.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&elsewhere.stderr).into_owned();
    assert!(elsewhere.status.code() == Some(3) && said.contains("the working directory changed"), "{said}");

    let ran = team.run(&team.alice, &["run", &digest]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!team.path("victim").exists());
    let again = team.run(&team.alice, &["run", &digest]);
    assert!(again.code == 3 && again.stderr.contains("was used already"), "{again:?}");
    let verified = team.alice.run(&["--config", &config, "audit", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);

    // What the agent made of it, stock ssh-keygen takes too.
    let entries = team.alice.run(&["--config", &config, "--json", "audit", "list"]).document();
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
    assert_eq!(team.agents.len(), 2);
}

#[test]
fn signatures_of_ssh_keygen_count_for_every_kind_of_key_and_for_certificates() {
    let team = Team::new();
    for (name, key) in [("carol", "carol"), ("dan", "dan"), ("rosa", "rosa"), ("cora", "cora-cert.pub")] {
        let digest = team.ask(&format!("{name}.txt"));
        // Next to a certificate lies the key it is for.
        let said = team.hand_in(&team.sign(&digest, name, key, "stanch-approval"));
        assert_eq!(said.code, 0, "{name}: {}{}", said.stdout, said.stderr);
        let ran = team.run(&team.alice, &["run", &digest]);
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
    let no = team.run(&team.carol, &["reject", &digest, "--reason", "wrong file"]);
    assert_eq!(no.code, 0, "{no:?}");
    assert_eq!(team.hand_in(&good).code, 0);
    let ran = team.run(&team.alice, &["run", &digest]);
    assert!(ran.code == 3 && ran.stderr.contains("carol rejected it: wrong file"), "{ran:?}");
    assert!(team.path("kept").exists());
    let config = team.path("config.toml").display().to_string();
    let entries = team.alice.run(&["--config", &config, "--json", "audit", "list"]).document();
    let refusals = entries["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "refusal").count();
    assert_eq!(refusals, 8);
}

#[test]
fn a_file_of_signers_that_others_may_write_is_not_believed() {
    let team = Team::new();
    let digest = team.ask("kept");
    std::fs::set_permissions(team.path("allowed_signers"), std::fs::Permissions::from_mode(0o666)).unwrap();
    let said = team.run(&team.carol, &["approve", &digest]);
    assert!(said.code == 2 && said.stderr.contains("may write it"), "{said:?}");
}
