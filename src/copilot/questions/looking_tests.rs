//! What is looked at before it is sent, what is seen while it is written, and what stays of a chat.

use super::tests::*;
use super::*;
use crate::copilot::fixture;
use crate::domain::Timestamp;

const QUESTION: &str = "which services are down?";

async fn asked_shown(shop: &Shop, shown: Option<(&str, Timestamp)>) -> Done {
    let script = [answer("nothing is known", &[])];
    let inquirer = Inquirer { shown, ..inquirer(shop, Limits::default()) };
    asked_by(&inquirer, system(), &script, QUESTION, false).await
}

#[tokio::test]
async fn exactly_what_was_looked_at_is_sent() {
    let shop = Shop::default();
    let seat = Seat { client: client("http://127.0.0.1:1"), pack_budget: 1_000 };
    let at = shop.now();
    let (request, _) = preview(&inquirer(&shop, Limits::default()), &mut system(), QUESTION, &seat, at).unwrap();
    let digest = digest(&request);
    let done = asked_shown(&shop, Some((&digest, at))).await;
    let shown: Vec<String> = request.texts().map(ToString::to_string).collect();
    assert_eq!(texts(&done.bodies[0]), shown, "word for word");
    // Another time in it is another request.
    let later = at.plus(std::time::Duration::from_secs(1));
    let done = asked_shown(&shop, Some((&digest, later))).await;
    assert!(done.bodies.is_empty());
    let why = done.result.unwrap_err().to_string();
    assert!(why.contains("other words than what was looked at"), "{why}");
}

#[tokio::test]
async fn what_the_model_is_after_is_seen_while_it_is_written() {
    let done = asked_by(
        &inquirer(&Shop::default(), Limits::default()),
        system(),
        &[promql("up"), answer("checkout is down: its value is 0", &["Q2"])],
        QUESTION,
        false,
    )
    .await;
    assert!(done.progress.iter().any(|asking| !asking.thought.is_empty() && asking.steps.is_empty()));
    assert!(done.progress.iter().any(|asking| !asking.answer.is_empty()));
}

#[tokio::test]
async fn a_chat_goes_on_about_an_incident_that_was_examined_anew_without_its_ids() {
    let subject = || Subject::Incident(std::sync::Arc::new(fixture::pool()));
    let shop = Shop::default();
    let limits = Limits::default();
    let script = [promql("up"), answer("checkout is down: its value is 0 [Q1]", &["Q1"])];
    let done = asked_by(&inquirer(&shop, limits), Thread::new(subject()), &script, QUESTION, false).await;
    let first = done.reply().evidence.last().unwrap().id.number;
    let next = done.thread.continued(subject());
    let done = asked_by(&inquirer(&shop, limits), next, &script, "and now?", false).await;
    let sent = texts(&done.bodies[0]).join("\n");
    assert!(sent.contains(QUESTION) && sent.contains("checkout is down: its value is 0"), "{sent}");
    assert!(!sent.contains("is 0 [Q1]"), "{sent}");
    assert!(done.reply().evidence.last().unwrap().id.number > first, "no id is given twice");
}
