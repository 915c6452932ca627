//! The JSON object in an answer. Models put thoughts before it, a code fence around it, and words beside it, whatever
//! they were asked for: it is read out of all of them in one way, wherever an answer comes from.

/// Tags between which models write what they think, where the server leaves that in the answer.
const THOUGHTS: [&str; 3] = ["think", "thinking", "reasoning"];

/// The object that the answer consists of: the longest outside the model's thoughts. Of an answer that breaks off,
/// what came of it. The whole text where there is none; nothing while the model still thinks.
pub(super) fn object_in(answer: &str) -> &str {
    let text = answer.trim();
    if text.starts_with('{') {
        return longest(text).unwrap_or(text);
    }
    match spoken(text) {
        Some(spoken) => longest(spoken).or_else(|| longest(text)).unwrap_or(text),
        None => "",
    }
}

/// What stands behind the thoughts; `None` while they are not over.
fn spoken(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        // The first tag may be part of the prompt, so that only the last is in the answer.
        let closed = THOUGHTS.iter().filter_map(|tag| {
            let tag = format!("</{tag}>");
            rest.find(&tag).map(|at| at + tag.len())
        });
        match closed.min() {
            Some(end) => rest = &rest[end..],
            None => break,
        }
        if !rest.trim_start().starts_with('<') {
            break;
        }
    }
    let opened = THOUGHTS.iter().filter_map(|tag| rest.find(&format!("<{tag}>"))).min();
    let object = rest.find('{').unwrap_or(rest.len());
    opened.is_none_or(|opened| object < opened).then_some(rest)
}

/// The longest object; of several equally long ones the last.
fn longest(text: &str) -> Option<&str> {
    let mut longest: Option<&str> = None;
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let inside = text[open + 1..].trim_start();
        // Braces stand in prose as well: selectors of queries, places to fill in.
        if !inside.is_empty() && !inside.starts_with(['"', '}']) {
            from = open + 1;
            continue;
        }
        let (object, end) = match close(&text[open..]) {
            Some(length) => (&text[open..open + length], open + length),
            None => (text[open..].trim_end().trim_end_matches("```").trim_end(), text.len()),
        };
        if longest.is_none_or(|longest| longest.len() <= object.len()) {
            longest = Some(object);
        }
        from = end;
    }
    longest
}

/// Length of the object at the beginning of the text; `None` when it has no end.
fn close(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => depth += 1,
            b'}' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OBJECT: &str = r#"{"text": "a } and \" in it", "of": {"job": "</think> x"}}"#;

    #[test]
    fn the_object_is_found_whatever_stands_around_it() {
        for answer in [
            OBJECT.to_owned(),
            format!("\n{OBJECT}\n"),
            format!("```json\n{OBJECT}\n```\n"),
            format!("Here is my answer:\n\n```json\n{OBJECT}\n```\nI hope that it helps."),
            format!("<think>What of {{\"a\": 1}}? And {{job=\"x\"}}?</think>\n{OBJECT}"),
            format!(
                "Sure.\n<think>\nhm ```json\n{OBJECT}{OBJECT}\n```\n</think>\nThe answer:\n```json\n{OBJECT}\n```\nDone."
            ),
            format!("no tag opened this thought {{\"a\": 1}}</think>{OBJECT}"),
            format!("<think>a</think><think>b</think>{OBJECT}"),
            format!("For up{{job=\"x\"}} and {{\"a\": 1}}: {OBJECT}"),
            format!("[{OBJECT}]"),
        ] {
            assert_eq!(object_in(&answer), OBJECT, "{answer}");
        }
    }

    #[test]
    fn of_an_answer_that_breaks_off_the_beginning_is_found() {
        let half = &OBJECT[..20];
        for answer in [half.to_owned(), format!("Well:\n```json\n{half}"), format!("<think>x</think>{half}")] {
            assert_eq!(object_in(&answer), half.trim_end(), "{answer}");
        }
        assert_eq!(object_in("<think>perhaps {\"a\": 1}"), "", "it still thinks");
        assert_eq!(object_in("I think that"), "I think that");
    }

    proptest! {
        #[test]
        fn what_stands_around_an_object_does_not_change_it(before in "[^{}<\"\\\\]*", after in "[^{}<\"\\\\]*") {
            let answer = format!("{before}{OBJECT}{after}");
            prop_assert_eq!(object_in(&answer), OBJECT);
        }

        #[test]
        fn nothing_panics(text in "([{}\"\\\\a<>/ ü]|think|</think>|<think>)*") {
            let found = object_in(&text);
            prop_assert!(text.contains(found));
        }
    }
}
