//! `ask_first` on the command line: nothing leaves before a person has agreed to it.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::app::engine::Engine;
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::core::figures::{bill, count};
use crate::core::message::PackPreview;
use crate::domain::text::neutralise;

/// Whether a person has to agree before anything is sent. Fails where they would have to and nobody can be asked: that
/// is said before anything is looked up.
pub(super) fn is_needed(engine: &Engine, yes: bool, output: Output) -> Result<bool, Failure> {
    if !engine.config.llm.ask_first || yes {
        return Ok(false);
    }
    if output.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let why = "nothing was sent: `ask_first` is set, and nobody can be asked here";
        let fix = "give --yes to send without being asked (`stanch pack --request` shows the request of a diagnosis), \
                   or run it on a terminal without --json";
        return Err(Failure::refused(why).with_fix(fix));
    }
    Ok(true)
}

/// Shows who would get how much at which cost, and waits for a yes. Anything else is a no.
pub(super) async fn agreed(preview: &PackPreview) -> Result<(), Failure> {
    let (summary, whole) = (summary(preview), neutralise(&preview.request).into_owned());
    let agreed = tokio::task::spawn_blocking(move || asked(&summary, &whole)).await.unwrap_or(false);
    if agreed { Ok(()) } else { Err(Failure::refused("nothing was sent: you did not agree to it")) }
}

fn asked(summary: &str, whole: &str) -> bool {
    let say = |text: &str| {
        let mut err = std::io::stderr().lock();
        err.write_all(text.as_bytes()).and_then(|()| err.flush()).is_ok()
    };
    if !say(&format!("{summary}\n")) {
        return false;
    }
    loop {
        let mut line = String::new();
        if !say("send? [y/N, v shows the whole of it] ") {
            return false;
        }
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(1..) => {}
            _ => return false,
        }
        match line.trim() {
            "y" | "Y" | "yes" => return true,
            "v" | "V" => {
                if !say(&format!("{}\n\n", whole.trim_end())) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Who would get it, how much it is, what it costs and what is hidden in it.
fn summary(preview: &PackPreview) -> String {
    let hidden: usize = preview.pack.redactions.values().sum();
    let kinds: Vec<String> = preview.pack.redactions.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let hidden =
        if hidden == 0 { "nothing had to be hidden".to_owned() } else { format!("hidden: {}", kinds.join(", ")) };
    let mut parts = match &preview.endpoint {
        None => vec!["no end point may get this".to_owned()],
        Some(receiver) => {
            let about = if receiver.learnt { "" } else { "~" };
            let mut parts = vec![
                format!("to {} ({}) at {}", receiver.name, receiver.model, receiver.host),
                format!("may see {}", receiver.sees.word()),
                format!("{about}{} tokens, {} kB", count(receiver.tokens), receiver.bytes.div_ceil(1_000)),
            ];
            let words = bill(&receiver.bill);
            parts.push(if receiver.bill.cost.is_none() { "no price is configured".to_owned() } else { String::new() });
            parts.extend(words);
            parts
        }
    };
    parts.push(hidden);
    parts.retain(|part| !part.is_empty());
    let mut lines = vec![parts.join(" · ")];
    lines.extend(preview.notes.iter().map(|note| note.one_line().into_owned()));
    neutralise(&lines.join("\n")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::message::Receiver;
    use crate::domain::diagnosis::Bill;
    use crate::domain::pack::Pack;

    #[test]
    fn who_gets_how_much_and_what_is_hidden_stands_in_one_line() {
        let bill = Bill { cost: Some(0.02), limit: Some(5.0), currency: "$".into(), ..Bill::default() };
        let receiver = Receiver {
            name: "local".into(),
            model: "m".into(),
            host: "10.0.0.7".into(),
            tokens: 8_123,
            bytes: 31_000,
            bill,
            ..Receiver::default()
        };
        let mut preview = PackPreview {
            pack: Pack { redactions: [("token".to_owned(), 2)].into(), ..Pack::default() },
            digest: String::new(),
            at: None,
            around: Vec::new(),
            request: crate::context::Redactor::new().outgoing("x"),
            tokens: 8_000,
            endpoint: Some(receiver),
            notes: Vec::new(),
        };
        let said = summary(&preview);
        assert_eq!(
            said,
            "to local (m) at 10.0.0.7 · may see nothing · ~8,123 tokens, 31 kB · 0.020 $ · today 0.00 of 5.00 $ · \
             hidden: 2 token"
        );
        preview.pack.redactions.clear();
        preview.endpoint = None;
        assert_eq!(summary(&preview), "no end point may get this · nothing had to be hidden");
    }
}
