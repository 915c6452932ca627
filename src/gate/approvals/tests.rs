use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::*;
use crate::domain::action::{Decision, Effect, Verdict};
use crate::domain::approval::{Identity, Trust};
use crate::gate::{Confirmation, Gate, Inventory, Policy, Refusal, Situation, TelemetryWords};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn public(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint(HashAlg::Sha256).to_string()
}

fn sign(key: &PrivateKey, namespace: &str, text: &str) -> String {
    key.sign(namespace, HashAlg::Sha512, text.as_bytes()).unwrap().to_pem(LineEnding::LF).unwrap()
}

/// Alice asks (key 1, spare key 2), Carol (3) and Dan (4) command, Olaf (5) operates, Eve (6) is nobody.
struct World {
    trusted: Trusted,
    request: ApprovalRequest,
    proof: Option<String>,
    signed: Vec<Signed>,
}

impl World {
    fn new() -> Self {
        let lines: String =
            [("alice@x", 1), ("alice@x", 2), ("carol@x", 3), ("dan@x", 4), ("olaf@x", 5), ("guest@x", 7)]
                .map(|(name, seed)| format!("{name} namespaces=\"stanch-*\" {}\n", public(&key(seed))))
                .concat();
        let persons = r#"
            version = 1
            [[person]]
            name = "Alice"
            principals = ["alice@x"]
            users = ["alice"]
            roles = ["incident-commander"]
            [[person]]
            name = "Carol"
            principals = ["carol@x"]
            users = ["carol"]
            roles = ["operator", "incident-commander"]
            [[person]]
            name = "Dan"
            principals = ["dan@x"]
            roles = ["incident-commander"]
            [[person]]
            name = "Olaf"
            principals = ["olaf@x"]
            roles = ["operator"]
        "#;
        let run = RunRequest {
            incident: "I-1".into(),
            action: "P1".into(),
            argv: ["kubectl", "-n", "shop", "delete", "pod", "web-1"].map(str::to_owned).to_vec(),
            program: "/usr/bin/kubectl".into(),
            program_sha256: "ab".repeat(32),
            cwd: "/home/alice".into(),
            env: vec![("PATH".into(), "/usr/bin".into())],
            host: "bastion".into(),
            profile: "prod".into(),
            actor: "alice".into(),
            policy: Policy::builtin().hash().to_owned(),
            files: Vec::new(),
            timeout_seconds: 60,
        };
        let request = ApprovalRequest {
            run,
            cluster: Some("prod".into()),
            effect: Effect::Destroy,
            verdict: Verdict {
                decision: Decision::Approve,
                rule: "losses".into(),
                why: "what it removes does not come back".into(),
                need: vec!["1 x incident-commander".into()],
                break_glass: false,
            },
            tainted: Vec::new(),
            notes: Vec::new(),
            rationale: Text::default(),
            evidence: "cd".repeat(32),
            nonce: "0123456789abcdef0123456789abcdef".into(),
            created: NOW,
            expires: NOW.plus(Duration::from_mins(15)),
            requester: Identity {
                user: "alice".into(),
                uid: 1000,
                login_user: None,
                login_uid: None,
                session: None,
                ssh_from: None,
                ssh_auth: None,
                key: None,
                trust: Trust::Account,
            },
        };
        let trusted = Trusted {
            signers: Signers::parse(&lines).unwrap(),
            revoked: Revoked::default(),
            persons: Persons::parse(persons).unwrap(),
        };
        Self { trusted, request, proof: None, signed: Vec::new() }
    }

    fn statement(&self, say: Say, who: &str, at: Timestamp) -> String {
        to_sign(&self.request, say, "seen", who, at)
    }

    fn said(mut self, say: Say, who: &str, seed: u8) -> Self {
        let statement = self.statement(say, who, NOW.plus(Duration::from_mins(1)));
        self.signed.push(Signed { signature: sign(&key(seed), APPROVAL_NAMESPACE, &statement), statement });
        self
    }

    fn approved_by(self, who: &str, seed: u8) -> Self {
        self.said(Say::Approve, who, seed)
    }

    fn examine(&self) -> Result<Approver, Objection> {
        let now = NOW.plus(Duration::from_mins(2));
        examine(&self.request, self.proof.as_deref(), self.signed.last().unwrap(), &self.trusted, now)
    }

    fn check_at(&self, now: Timestamp) -> Result<Approved, Objection> {
        let run = &self.request.run;
        check(
            &self.request,
            self.proof.as_deref(),
            (run, &self.request.requester),
            &self.signed,
            &self.trusted,
            None,
            now,
        )
    }

    fn check(&self) -> Result<Approved, Objection> {
        self.check_at(NOW.plus(Duration::from_mins(2)))
    }
}

#[test]
fn a_commanders_signature_lets_exactly_this_run_happen() {
    let world = World::new().approved_by("carol@x", 3);
    let approved = world.check().unwrap();
    assert_eq!(approved.by()[0].person, "Carol");
    let (telemetry, inventory) = (TelemetryWords::default(), Inventory::default());
    let situation = Situation {
        profile: "prod",
        critical: true,
        actor: "alice",
        role: "operator",
        telemetry: &telemetry,
        inventory: &inventory,
        at: NOW,
    };
    let gate = Gate::new(Policy::builtin());
    let run = world.request.run.clone();
    let judged = gate.judge(&run.argv, &situation);
    let confirmation = Confirmation { digest: digest(&run), typed: None };
    let without = gate.authorise(run.clone(), &judged, &situation, &confirmation).unwrap_err();
    assert!(matches!(without, Refusal::NeedsApproval { .. }), "{without}");
    gate.authorise_approved(run.clone(), &judged, &situation, &confirmation, &approved).unwrap();
    let other = RunRequest { cwd: "/tmp".into(), ..run };
    let confirmation = Confirmation { digest: digest(&other), typed: None };
    let refused = gate.authorise_approved(other, &judged, &situation, &confirmation, &approved).unwrap_err();
    assert!(matches!(refused, Refusal::ApprovalMismatch(_)), "{refused}");
}

#[test]
fn used_changed_and_expired_are_refused() {
    let world = World::new().approved_by("carol@x", 3);
    let now = NOW.plus(Duration::from_mins(2));
    let used = check(
        &world.request,
        None,
        (&world.request.run, &world.request.requester),
        &world.signed,
        &world.trusted,
        Some(9),
        now,
    );
    assert_eq!(used.unwrap_err(), Objection::Used(9));
    let mut run = world.request.run.clone();
    run.argv[4] = "pvc".into();
    run.env.push(("KUBECONFIG".into(), "/tmp/other".into()));
    let changed =
        check(&world.request, None, (&run, &world.request.requester), &world.signed, &world.trusted, None, now)
            .unwrap_err();
    assert_eq!(changed, Objection::Changed("the command changed, the environment changed (KUBECONFIG)".into()));
    let mut run = world.request.run.clone();
    run.files.push(("/srv/m.yaml".into(), "00".into()));
    let changed =
        check(&world.request, None, (&run, &world.request.requester), &world.signed, &world.trusted, None, now)
            .unwrap_err();
    assert_eq!(changed, Objection::Changed("the file /srv/m.yaml changed".into()));
    assert!(matches!(world.check_at(NOW.plus(Duration::from_mins(15))), Err(Objection::Expired(_))));
    let mut long = World::new();
    long.request.expires = NOW.plus(Duration::from_hours(25));
    assert!(matches!(long.approved_by("carol@x", 3).examine(), Err(Objection::LifeTooLong(_))));
}

#[test]
fn a_signature_for_a_changed_request_does_not_count() {
    let mut world = World::new().approved_by("carol@x", 3);
    world.request.run.argv[4] = "pvc".into();
    assert!(matches!(world.examine(), Err(Objection::OtherRequest(_))));
    // The text of the statement brought up to date, with the old signature.
    world.signed[0].statement = world.statement(Say::Approve, "carol@x", NOW);
    assert_eq!(world.examine(), Err(SignatureError::DoesNotFit.into()));
    world.signed[0].statement.push(' ');
    assert!(matches!(world.examine(), Err(Objection::Statement(_))));
}

#[test]
fn neither_the_requester_nor_the_requesters_key_approves() {
    assert_eq!(World::new().approved_by("alice@x", 1).examine(), Err(Objection::SamePerson("Alice".into())));
    // Another key and another account of the same person.
    let mut other = World::new();
    other.request.requester.user = "root".into();
    other.request.requester.login_user = Some("alice".into());
    other.request.requester.trust = Trust::Login;
    assert_eq!(other.approved_by("alice@x", 2).examine(), Err(Objection::SamePerson("Alice".into())));
    // The key under somebody else's name.
    let mut shared = World::new();
    shared.request.requester.key = Some(fingerprint(&key(3)));
    shared.proof = Some(sign(&key(3), REQUEST_NAMESPACE, &canonical(&shared.request)));
    assert_eq!(shared.approved_by("carol@x", 3).examine(), Err(Objection::SameKey(fingerprint(&key(3)))));
    // An account that nobody is listed under could be anybody's.
    let mut unlisted = World::new();
    unlisted.request.requester.user = "dan".into();
    assert_eq!(unlisted.approved_by("carol@x", 3).examine(), Err(Objection::UnknownRequester("dan".into())));
    let mut signed = World::new();
    signed.request.requester.user = "dan".into();
    signed.request.run.actor = "dan".into();
    signed.request.requester.key = Some(fingerprint(&key(4)));
    signed.proof = Some(sign(&key(4), REQUEST_NAMESPACE, &canonical(&signed.request)));
    assert_eq!(signed.approved_by("carol@x", 3).check().unwrap().by().len(), 1);
}

#[test]
fn only_the_account_that_asked_runs_it() {
    let world = World::new().approved_by("carol@x", 3);
    let now = NOW.plus(Duration::from_mins(2));
    let asked = &world.request.requester;
    let other_login = Identity { login_uid: Some(7), ..asked.clone() };
    let other_user = Identity { user: "bob".into(), uid: 1001, ..asked.clone() };
    for runner in [other_login, other_user] {
        let run = (&world.request.run, &runner);
        let refused = check(&world.request, None, run, &world.signed, &world.trusted, None, now).unwrap_err();
        assert!(matches!(refused, Objection::OtherRunner { .. }), "{refused}");
    }
    // Somebody else's name in the request does not make it somebody else's.
    let mut forged = World::new();
    forged.request.requester.user = "carol".into();
    let refused = forged.approved_by("dan@x", 4).check().unwrap_err();
    assert!(matches!(refused, Objection::OtherRunner { .. }), "{refused}");
}

#[test]
fn who_names_a_key_must_have_signed_with_it() {
    let mut world = World::new();
    world.request.requester.key = Some(fingerprint(&key(1)));
    let refused = Objection::Requester(fingerprint(&key(1)));
    for proof in [None, Some(sign(&key(6), REQUEST_NAMESPACE, &canonical(&world.request))), Some("x".into())] {
        world.proof = proof;
        world.signed.clear();
        world = world.approved_by("carol@x", 3);
        assert_eq!(world.examine().unwrap_err(), refused);
        assert_eq!(world.check().unwrap_err(), refused);
    }
    world.proof = Some(sign(&key(1), REQUEST_NAMESPACE, &canonical(&world.request)));
    assert!(world.check().is_ok());
}

#[test]
fn a_shared_account_is_told_apart_by_keys() {
    let text = "version = 1\n[[person]]\nname = \"Alice\"\nprincipals = [\"alice@x\"]\nusers = [\"root\"]\nroles = [\"incident-commander\"]\n[[person]]\nname = \"Carol\"\nprincipals = [\"carol@x\"]\nusers = [\"root\"]\nroles = [\"incident-commander\"]\n";
    let mut world = World::new();
    world.trusted.persons = Persons::parse(text).unwrap();
    world.request.requester.user = "root".into();
    world.request.run.actor = "root".into();
    // Nobody can say whether Carol asked.
    let world = world.approved_by("carol@x", 3);
    assert_eq!(world.examine(), Err(Objection::SamePerson("Carol".into())));
    let mut world = World { signed: Vec::new(), ..world };
    world.request.requester.key = Some(fingerprint(&key(1)));
    world.proof = Some(sign(&key(1), REQUEST_NAMESPACE, &canonical(&world.request)));
    assert!(world.approved_by("carol@x", 3).check().is_ok());
}

#[test]
fn a_key_of_two_persons_is_found() {
    let mut world = World::new();
    assert_eq!(world.trusted.ambiguous(), None);
    for lines in [
        format!("carol@x {0}\ndan@x {0}", public(&key(3))),
        format!("*@x,!olaf@x {}", public(&key(3))),
        format!("carol@x,dan@x {}", public(&key(3))),
    ] {
        world.trusted.signers = Signers::parse(&lines).unwrap();
        let why = world.trusted.ambiguous().unwrap();
        assert!(why.contains("Carol and as Dan"), "{why}");
    }
    let authority = format!("*@x cert-authority {}", public(&key(9)));
    world.trusted.signers = Signers::parse(&authority).unwrap();
    assert_eq!(world.trusted.ambiguous(), None);
}

#[test]
fn the_role_must_fit() {
    let refused = World::new().approved_by("olaf@x", 5).examine().unwrap_err();
    assert!(matches!(refused, Objection::WrongRole { ref person, .. } if person == "Olaf"), "{refused}");
    let refused = World::new().approved_by("guest@x", 7).examine();
    assert_eq!(refused, Err(Objection::UnknownPerson("guest@x".into())));
}

#[test]
fn unknown_revoked_and_misused_keys_do_not_count() {
    let unknown = NotASigner::Unknown(fingerprint(&key(6)));
    assert_eq!(World::new().approved_by("carol@x", 6).examine(), Err(unknown.into()));
    let someone_else = World::new().approved_by("carol@x", 4).examine().unwrap_err();
    assert!(matches!(someone_else, Objection::Signer(NotASigner::Principal { .. })), "{someone_else}");
    let mut revoked = World::new().approved_by("carol@x", 3);
    revoked.trusted.revoked = Revoked::parse(&fingerprint(&key(3))).unwrap();
    assert_eq!(revoked.examine(), Err(NotASigner::Revoked(fingerprint(&key(3))).into()));
}

#[test]
fn a_signature_for_something_else_does_not_count() {
    let mut world = World::new();
    let statement = world.statement(Say::Approve, "carol@x", NOW);
    world.signed = vec![Signed { signature: sign(&key(3), "git", &statement), statement }];
    let wrong = SignatureError::Namespace { found: "git".into(), wanted: APPROVAL_NAMESPACE.into() };
    assert_eq!(world.examine(), Err(wrong.into()));
    // The key may only sign for git.
    let mut world = World::new().approved_by("carol@x", 3);
    let line = format!("carol@x namespaces=\"git\" {}", public(&key(3)));
    world.trusted.signers = Signers::parse(&line).unwrap();
    assert!(matches!(world.examine(), Err(Objection::Signer(NotASigner::Namespace { .. }))));
    // The key was not valid yet.
    let line = format!("carol@x valid-after=\"20300101Z\" {}", public(&key(3)));
    world.trusted.signers = Signers::parse(&line).unwrap();
    assert!(matches!(world.examine(), Err(Objection::Signer(NotASigner::Time(_)))));
}

#[test]
fn an_hour_of_clock_skew_is_refused_either_way() {
    let hour = Duration::from_hours(1);
    for at in [NOW.plus(hour), NOW.minus(hour)] {
        let mut world = World::new();
        let statement = world.statement(Say::Approve, "carol@x", at);
        world.signed = vec![Signed { signature: sign(&key(3), APPROVAL_NAMESPACE, &statement), statement }];
        assert!(matches!(world.examine(), Err(Objection::Clock { what: "the approval", .. })));
        assert!(matches!(world.check(), Err(Objection::NotEnough { .. })));
    }
    let world = World::new().approved_by("carol@x", 3);
    assert!(matches!(world.check_at(NOW.minus(hour)), Err(Objection::Clock { what: "the request", .. })));
}

#[test]
fn one_no_outweighs_every_yes_and_whoever_asked_may_take_it_back() {
    let rejected = World::new().approved_by("carol@x", 3).said(Say::Reject, "olaf@x", 5).check().unwrap_err();
    assert_eq!(rejected, Objection::Rejected { person: "Olaf".into(), reason: "seen".into() });
    let back = World::new().said(Say::Reject, "alice@x", 1).approved_by("carol@x", 3).check().unwrap_err();
    assert!(matches!(back, Objection::Rejected { ref person, .. } if person == "Alice"), "{back}");
    // A stranger's no is no more than a stranger's yes.
    assert!(World::new().approved_by("carol@x", 3).said(Say::Reject, "eve@x", 6).check().is_ok());
}

#[test]
fn two_of_them_are_two_persons_with_two_keys() {
    let mut world = World::new();
    world.request.verdict.need = vec!["2 x incident-commander".into()];
    let world = world.approved_by("carol@x", 3).approved_by("carol@x", 3);
    let missing = world.check().unwrap_err();
    assert!(matches!(missing, Objection::NotEnough { ref missing, .. } if missing == "1 of 2 x incident-commander"));
    assert_eq!(world.approved_by("dan@x", 4).check().unwrap().by().len(), 2);
    // Carol's key is also listed as Dan's.
    let mut world = World::new();
    world.request.verdict.need = vec!["2 x incident-commander".into()];
    let both = format!("carol@x,dan@x {}", public(&key(3)));
    world.trusted.signers = Signers::parse(&both).unwrap();
    let refused = world.approved_by("carol@x", 3).approved_by("dan@x", 3).check().unwrap_err();
    assert!(matches!(refused, Objection::NotEnough { ref refused, .. } if refused.len() == 1), "{refused}");
}

#[test]
fn without_a_signature_nothing_is_approved() {
    let mut world = World::new();
    assert!(matches!(world.check(), Err(Objection::NotEnough { .. })));
    world.request.verdict.need.clear();
    assert!(matches!(world.check(), Err(Objection::NotEnough { .. })));
}

mod certificates {
    use ssh_key::Certificate;
    use ssh_key::certificate::{Builder, CertType};

    use super::*;

    fn certificate(kind: CertType, principal: &str, valid: [u64; 2], critical: bool) -> Certificate {
        let subject = key(8);
        let mut builder = Builder::new([7; 16], subject.public_key(), valid[0], valid[1]).unwrap();
        builder.cert_type(kind).unwrap().key_id("k").unwrap().valid_principal(principal).unwrap();
        if critical {
            builder.critical_option("force-command", "true").unwrap();
        }
        builder.sign(&key(9)).unwrap()
    }

    fn examined(certificate: &Certificate, revoked: &str) -> Result<Approver, Objection> {
        let mut world = World::new();
        let line = format!("*@x cert-authority,namespaces=\"stanch-approval\" {}", public(&key(9)));
        world.trusted.signers = Signers::parse(&line).unwrap();
        world.trusted.revoked = Revoked::parse(revoked).unwrap();
        let statement = world.statement(Say::Approve, "carol@x", NOW);
        let data = to_be_signed(APPROVAL_NAMESPACE, statement.as_bytes()).unwrap();
        let signature = signature::Signer::try_sign(&key(8), &data).unwrap();
        let signature = armour(&certificate.to_bytes().unwrap(), APPROVAL_NAMESPACE, &signature).unwrap();
        world.signed = vec![Signed { statement, signature }];
        world.examine()
    }

    #[test]
    fn a_users_certificate_of_a_known_authority_counts_and_no_other() {
        let valid = [NOW.secs() as u64 - 60, NOW.secs() as u64 + 600];
        let good = certificate(CertType::User, "carol@x", valid, false);
        assert_eq!(examined(&good, "").unwrap().person, "Carol");
        for (bad, what) in [
            (certificate(CertType::Host, "carol@x", valid, false), "host"),
            (certificate(CertType::User, "dan@x", valid, false), "does not name"),
            (certificate(CertType::User, "carol@x", [valid[0] - 900, valid[0]], false), "not valid"),
            (certificate(CertType::User, "carol@x", valid, true), "conditions"),
        ] {
            let refused = examined(&bad, "").unwrap_err().to_string();
            assert!(refused.contains(what), "{refused}");
        }
        for seed in [8, 9] {
            assert!(matches!(
                examined(&good, &fingerprint(&key(seed))),
                Err(Objection::Signer(NotASigner::Revoked(_)))
            ));
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_signature_panic(text in "\\PC{0,300}", bytes in proptest::collection::vec(0_u8.., 0..300)) {
        use base64::Engine as _;
        let _ = Envelope::parse(&text);
        let body = base64::engine::general_purpose::STANDARD.encode([b"SSHSIG\0\0\0\x01".as_slice(), &bytes].concat());
        let _ = Envelope::parse(&format!("-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n"));
        let _ = Signers::parse(&text);
        let _ = Revoked::parse(&text);
        let _ = Persons::parse(&text);
    }
}
