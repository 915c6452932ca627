//! The demo on a pseudo-terminal, walked through as an operator would.

use super::pseudo_terminal::Session;

/// The demo with its main incident open, examined and diagnosed.
fn opened() -> Session {
    let mut session = Session::start(&[], &["demo"]);
    session.wait_for("DEMO");
    session.wait_for("likely  payments");
    session.wait_for("payments ← deploy");
    session.press("\r");
    session.wait_for("1 Suspects");
    session.wait_for("payments   ");
    session
}

/// The rows of the screen below its title.
fn body(session: &Session) -> Vec<String> {
    session.text().lines().skip(3).map(ToOwned::to_owned).collect()
}

/// Puts the cursor of the actions on the one that shows the clock, and opens it.
fn ask_to_run(session: &mut Session) {
    session.press("4");
    session.wait_for("nothing runs unconfirmed");
    session.press("G");
    session.wait_for("$ date -u");
    session.press("\r");
    session.wait_for("press x to run");
}

#[test]
fn every_pane_of_the_demo_shows_what_it_is_for() {
    let mut session = opened();
    let first = &body(&session)[0];
    assert!(first.contains("1 payments"), "the first suspect: {first}");
    // Each pane with something that only it shows.
    for (key, title, content) in [
        ("2", "2 Evidence", "[A1]"),
        ("3", "3 Diagnosis", "H1 ●●● high"),
        ("4", "4 Actions", "kubectl -n shop rollout undo deployment/payments"),
        ("5", "5 Timeline", "deploy payments"),
        ("6", "6 Logs", "level="),
        ("7", "7 Asked", "questions · 0 failed"),
        ("1", "1 Suspects", "1 payments"),
    ] {
        session.press(key);
        session.wait_for(title);
        session.wait_for(content);
    }
    // A link of the diagnosis leads to its proof, and Esc back.
    session.press("3");
    session.wait_for("in short");
    session.press("j\r");
    session.wait_for("[L1] new");
    session.press("\x1b");
    session.wait_for("3 Diagnosis");
    session.press("p");
    session.wait_for("Pack: exactly what a model would be sent");
    session.wait_for("of 8,000 tokens");
    session.press("\x1b");
    session.wait_for("3 Diagnosis");
    session.press("\x1b");
    session.wait_for("Incidents");
    session.press("q");
    assert_eq!(session.end(), 0);
    session.assert_restored();
}

/// A line without its figures: times of day are those of now, and scores move with every rule of the ranking.
fn without_figures(line: &str) -> String {
    let line: String = line.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
    line.replace(|c| ('▁'..='▏').contains(&c), " ").trim_end().to_owned()
}

#[test]
fn the_picture_in_the_readme_is_what_the_demo_shows() {
    let readme = include_str!("../../README.md");
    let (_, picture) = readme.split_once("```\n stanch").unwrap();
    let (picture, _) = picture.split_once("\n```").unwrap();
    let picture: Vec<String> = format!(" stanch{picture}").lines().map(without_figures).collect();
    let mut session = opened();
    session.resize(120, 40);
    session.wait_for("changes ruled out");
    let text = session.text();
    let shown: Vec<String> = text.lines().map(without_figures).collect();
    // The chart moves with the time of day against the marks of its axis, which name the day around midnight.
    let ticks = |row: &str| row.chars().skip(36).all(|c| matches!(c, '#' | ':' | ' ' | '-'));
    let chart = |row: &&String| row.contains(['┤', '│', '└', '┆']) || ticks(row);
    let still = |rows: &[String]| -> Vec<String> {
        rows.iter().map(|row| if chart(&row) { row.chars().take(36).collect() } else { row.clone() }).collect()
    };
    assert_eq!(still(&shown).join("\n"), still(&picture).join("\n"), "the README shows another screen:\n{text}");
    session.press("q");
    assert_eq!(session.end(), 0);
}

#[test]
fn a_suspect_opens_into_its_proof_and_the_keys_walk_through_it() {
    let mut session = opened();
    session.resize(120, 40);
    session.wait_for("why payments");
    session.press("\r");
    session.wait_for("proof 1 of ");
    session.wait_for("place in the graph");
    let (_, rest) = session.text().split_once("proof 1 of ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let items: usize = rest.split_whitespace().next().unwrap().parse().unwrap();
    // Each item once down and once up again; each kind with words that only its proof shows.
    let mut seen = String::new();
    for item in 1..=items {
        session.wait_for(&format!("proof {item} of {items}"));
        seen.push_str(&session.text());
        session.press(if item < items { "j" } else { "k" });
    }
    for words in
        ["normal ", "deviations from the median", "NEW  never seen before", "caller waits", "Diff  +", "took effect"]
    {
        assert!(seen.contains(words), "no `{words}` in\n{seen}");
    }
    let added = seen.lines().filter_map(|line| line.split_once('│')).any(|(_, text)| text.starts_with(" +"));
    let removed = seen.lines().filter_map(|line| line.split_once('│')).any(|(_, text)| text.starts_with(" -"));
    assert!(added && removed, "no diff in\n{seen}");
    session.wait_for(&format!("proof {} of {items}", items - 1));
    session.press("\x1b");
    session.wait_for("why payments");
    session.press("q");
    assert_eq!(session.end(), 0);
    session.assert_restored();
}

#[test]
fn a_read_runs_with_its_key_and_lands_in_timeline_and_ledger() {
    let mut session = opened();
    ask_to_run(&mut session);
    session.press("x");
    session.wait_for("ended with exit code 0");
    session.press("\x1b");
    session.wait_until_gone("ended with exit code 0");
    session.press("5");
    session.wait_for("5 Timeline");
    session.press("G");
    session.wait_for("run by");
    session.wait_for("outcome of #3: exit code 0  date -u");
    assert!(!session.text().contains("UNKNOWN"));
    let list = session.headless(&["audit", "list"]);
    assert!(list.contains("run_intent") && list.contains("run_outcome"), "{list}");
    assert!(!list.contains("UNKNOWN"), "{list}");
    session.press("q");
    assert_eq!(session.end(), 0);
}

#[test]
fn without_the_confirmation_nothing_runs() {
    let mut session = opened();
    ask_to_run(&mut session);
    // Enter opened the dialog and may repeat; none of the others confirms either, and a paste is no typing.
    session.press("\r\r yYaj1d \x1b[200~x\r\x1b[201~");
    session.press("\x1b");
    session.wait_until_gone("press x to run");
    // What changes something cannot run from a recording, whatever is pressed.
    session.press("g");
    session.wait_for("rollout undo");
    session.press("\r");
    // Refused as a recording, or, where there is no such program, as not to be found.
    session.wait_for("Esc closes");
    session.press("xpayments");
    session.press("\x1b");
    session.wait_until_gone("Esc closes");
    session.press("5G");
    session.wait_for("5 Timeline");
    assert!(!session.text().contains("run by"), "{}", session.text());
    session.press("q");
    assert_eq!(session.end(), 0);
    let list = session.headless(&["audit", "list"]);
    assert!(!list.contains("run_intent") && !list.contains("run_outcome"), "{list}");
}

#[test]
fn the_demo_can_be_read_without_colour_and_without_unicode() {
    let env = [("NO_COLOR", "1"), ("TERM", "vt100"), ("LANG", "C")];
    let mut session = Session::start(&env, &["demo"]);
    session.wait_for("likely  payments");
    session.wait_for("CRITICAL");
    session.press("\r");
    session.wait_for("1 Suspects");
    session.wait_for("1 payments");
    let text = session.text();
    assert!(text.is_ascii(), "{text}");
    session.press("q");
    assert_eq!(session.end(), 0);
}
