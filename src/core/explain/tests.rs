use super::*;
use crate::core::consult_sample;
use crate::core::key::Key;
use crate::core::message::{Msg, Report};
use crate::core::sample::{id, loaded, payments, press};
use crate::core::update::update;

fn text(said: &[Said]) -> String {
    let lines: Vec<String> = said
        .iter()
        .map(|line| match line {
            Said::Heading(text) => format!("# {text}\n"),
            Said::Line(depth, text) => format!("{}{text}\n", "  ".repeat(*depth)),
            Said::Exact(text) => format!("> {text}\n"),
        })
        .collect();
    lines.concat()
}

fn of(topic: &Topic) -> String {
    let model = loaded();
    text(&explain(&model.cases[&payments().id], topic))
}

#[test]
fn every_item_on_the_screen_is_explained() {
    let model = loaded();
    let case = &model.cases[&payments().id];
    for item in &case.investigation.value.as_ref().unwrap().analysis.evidence {
        let said = explain(case, &Topic::Evidence(item.id));
        assert!(said.len() > 2, "{} {said:?}", item.id);
        assert!(question(case, &Topic::Evidence(item.id)).contains(&item.id.to_string()));
    }
}

#[test]
fn an_alert_rule_says_when_it_fires() {
    let alert = of(&Topic::Evidence(id("A1")));
    assert!(alert.contains("it fires while"), "{alert}");
    assert!(alert.contains("# This alert"), "{alert}");
}

#[test]
fn a_template_says_what_changed_and_what_varies() {
    let template = of(&Topic::Evidence(id("L7")));
    assert!(template.contains("it is new: "), "{template}");
    assert!(template.contains("# What varies"), "{template}");
}

#[test]
fn a_command_is_explained_by_the_gate_first() {
    let model = loaded();
    let case = &model.cases[&payments().id];
    let action = case.conclusion.value.as_ref().unwrap().actions[0].action.id.clone();
    let said = text(&explain(case, &Topic::Action(action)));
    assert!(said.contains("kubectl rollout undo: returns a workload to an earlier revision"), "{said}");
    assert!(said.contains("effect: mutate, it changes something that can be changed back"), "{said}");
    assert!(said.find("gate's own tables") < said.find("Why it is suggested"), "{said}");
}

#[test]
fn a_logql_query_is_told_stage_by_stage() {
    let said =
        of(&Topic::Query(r#"{app="a|b"} |= "x | y" != "ok" | logfmt | status != 200 | line_format "{{.msg}}""#.into()));
    for line in [
        "log lines of the streams {app=\"a|b\"}",
        "  that contain \"x | y\"",
        "  that do not contain \"ok\"",
        "  read as logfmt",
        "  of which status != 200",
        "  printed as line_format \"{{.msg}}\"",
    ] {
        assert!(said.contains(&format!("{line}\n")), "{line}\n{said}");
    }
}

#[test]
fn label_patterns_are_words() {
    for (pattern, words) in [
        ("5..", "begins with 5 and has two more characters"),
        ("a|b-c", "is a or b-c"),
        ("pay.*", "begins with pay"),
        (".+", "has any value"),
        ("(a|b)+", "matches (a|b)+"),
    ] {
        assert_eq!(matching(pattern, true), words);
    }
    assert_eq!(matching("a|b", false), "is not a or b");
    assert_eq!(matching("[", false), "does not match [");
}

#[test]
fn x_explains_what_is_selected_and_a_asks_for_more() {
    let mut model = loaded();
    press(&mut model, "⏎2x");
    assert!(matches!(model.top(), Screen::Detail(detail) if matches!(detail.subject, Subject::Explain(_))));
    update(&mut model, Msg::Key(Key::Char('a')));
    let Screen::Chat(screen) = model.top() else { panic!("no chat") };
    assert!(model.chats[&screen.chat].editor.text().starts_with("Explain "), "not sent, only written");
    // A recorded case explains as well, and so does one that a model wrote.
    let mut model = loaded();
    press(&mut model, "⏎3");
    let effects = update(&mut model, Msg::Key(Key::Char('d')));
    let Some(crate::core::Effect::Diagnose { generation, .. }) = effects.into_iter().next() else { panic!() };
    update(&mut model, Msg::Report(generation, Report::Diagnosed(Ok(Box::new(consult_sample::by_model())))));
    press(&mut model, "4x");
    assert!(
        matches!(model.top(), Screen::Detail(detail) if matches!(detail.subject, Subject::Explain(Topic::Action(_))))
    );
}

#[test]
fn a_lookup_is_told_as_what_it_is_and_not_as_a_query() {
    use crate::domain::query::Query;
    use crate::domain::{TimeRange, Timestamp};
    let range = TimeRange::new(Timestamp::from_secs(0), Timestamp::from_secs(60));
    let lang = Lang::PromQl;
    for query in [
        Query::Alerts,
        Query::Rules,
        Query::Metadata,
        Query::LabelNames { lang, matchers: Vec::new(), range },
        Query::LabelValues { lang, label: "job".into(), matchers: vec!["up".into()], range },
        Query::Series { lang, matchers: vec!["up".into()], range },
        Query::LogPatterns { expr: "{app=\"a\"}".into(), range },
        Query::Changes { range },
    ] {
        let told = of(&asked(&query));
        assert!(told.contains("a look-up, not a query"), "{told}");
        assert!(!told.contains("not PromQL") && !told.contains("last value"), "{told}");
    }
    assert_eq!(asked(&Query::Instant { lang, expr: "up".into(), at: range.start }), Topic::Query("up".into()));
}

#[test]
fn a_change_of_no_known_service_has_no_hole() {
    let model = loaded();
    let found = &model.cases[&payments().id].investigation.value.as_ref().unwrap().analysis;
    let mut item = found.evidence.iter().find(|item| matches!(item.detail, Detail::Change(_))).unwrap().clone();
    if let Detail::Change(change) = &mut item.detail {
        change.service = String::new();
        change.reference = String::new().into();
    }
    let told = text(&evidence(&item));
    assert!(!told.contains("of  at") && !told.contains(" , ") && !told.contains(", \n"), "{told}");
}
