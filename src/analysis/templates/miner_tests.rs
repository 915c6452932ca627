use proptest::prelude::*;

use super::Miner;
use crate::domain::Text;

fn mined(lines: &[String]) -> Vec<(String, u64)> {
    let mut miner = Miner::new();
    for line in lines {
        miner.push(line);
    }
    miner.finish();
    miner.templates().templates.iter().map(|one| (one.template.to_string(), one.count)).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_trace_belongs_to_the_error_above_it() {
    let text = "2026-01-31 10:00:00 ERROR [main] c.s.Pay - charge 17 failed\njava.lang.IllegalStateException: no pool\n\
                \tat c.s.Pay.a(Pay.java:1)\n\tat c.s.Pay.b(Pay.java:2)\n\tat c.s.Pay.c(Pay.java:3)\n\tat c.s.Pay.d(Pay.java:4)\n\
                \tat c.s.Pay.e(Pay.java:5)\n\tat c.s.Pay.f(Pay.java:6)\n\tat c.s.Pay.g(Pay.java:7)\n\tat c.s.Pay.h(Pay.java:8)\n\
                Caused by: java.net.SocketException: reset\n\t... 12 more\n2026-01-31 10:00:01 INFO [main] c.s.Pay - ok";
    let mut miner = Miner::new();
    for line in text.lines() {
        assert!(miner.push(line).is_some());
    }
    let found = miner.templates();
    assert_eq!((found.lines, found.events, found.templates.len()), (13, 2, 2), "{found:?}");
    let error = found.templates.iter().find(|one| one.level == "error").expect("an error");
    assert!(error.exemplar.starts_with("2026-01-31 10:00:00 ERROR") && error.exemplar.contains("no pool"));
    assert!(error.exemplar.ends_with("Caused by: java.net.SocketException: reset"), "{}", error.exemplar);
    // The same in one piece.
    let mut whole = Miner::new();
    whole.push(text.rsplit_once('\n').unwrap().0);
    assert_eq!(whole.templates().templates[0].exemplar, error.exemplar);
}

#[test]
fn an_uncaught_exception_of_python_is_named_by_its_last_line() {
    let text =
        "INFO up\nTraceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nValueError: bad 17";
    let mut miner = Miner::new();
    let forms: Vec<_> = text.lines().map(|line| miner.push(line)).collect();
    assert!(forms[0].is_some() && forms[1..4].iter().all(Option::is_none) && forms[4].is_some());
    let found = miner.templates();
    let error = &found.templates[found.template_of(forms[4].unwrap()).unwrap()];
    assert_eq!((error.template.as_str(), error.level, error.count), ("ValueError: bad <*>", "error", 1));
    assert!(error.exemplar.starts_with("Traceback") && error.exemplar.ends_with("ValueError: bad 17"));
    // Cut off before its last line, it still counts.
    let mut cut = Miner::new();
    assert_eq!(cut.push("Traceback (most recent call last):"), None);
    assert!(cut.finish().is_some() && cut.templates().templates.len() == 1);
}

#[test]
fn the_message_of_a_category_names_the_event() {
    let found = mined(&lines("fail: Shop.Pay[17]\n      no pool for 12\nfail: Shop.Pay[17]\n      reset by 7"));
    assert_eq!(found.len(), 2, "{found:?}");
    let mut miner = Miner::new();
    miner.push("fail: Shop.Pay[17]");
    miner.push("      no pool for 12");
    assert_eq!(miner.templates().templates[0].level, "error");
}

#[test]
fn data_in_several_places_is_one_template() {
    let found = mined(&lines(
        "a.exe - cdn.shop.com:443 open through proxy p1.corp.net:5070\nb.exe - 10.0.0.7:80 open through proxy p2.corp.net:5070\n\
         c.exe - img.shop.org:443 open through proxy p1.corp.net:5070\nd.exe - img.shop.org:443 open through proxy 10.1.1.1:1\n\
         e.exe - x.y.z.org:443 open through proxy p9.corp.net:5070",
    ));
    assert_eq!(found.len(), 1, "{found:?}");
    let found = mined(&lines("read /var/lib/a/b/c.db ok\nread /srv/x ok\nsent 5 bytes (4.1 KB) now\nsent 9 bytes now"));
    assert_eq!(found.len(), 2, "{found:?}");
    let found = mined(&lines(
        "GET /api/users/1 done\nGET /api/orders/2 done\nlogin by user ann\nlogin by user bob\nlogin by user eve",
    ));
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn whatever_comes_the_miner_stays_within_its_bounds() {
    let mut miner = Miner::new();
    let word = |mut n: u64| {
        let mut out = String::new();
        for _ in 0..8 {
            out.push(char::from(b'g' + (n % 16) as u8));
            n /= 16;
        }
        out
    };
    let count = 45_000;
    for i in 0..count {
        // Every line is new, and some are long.
        let long = if i % 50 == 0 { "z ".repeat(20_000) } else { String::new() };
        let line = (0..6).map(|n| word(i * 7_919 * (n + 3))).collect::<Vec<_>>().join(" ");
        miner.push(&format!("{line} {long}"));
    }
    let found = miner.templates();
    assert!(miner.kept_bytes() <= (32 << 20) + 8_192, "{}", miner.kept_bytes());
    assert!(found.templates.len() <= Miner::MAX_FORMS);
    assert!(found.folded > 0 && found.folded < count);
    assert_eq!(found.templates.iter().map(|one| one.count).sum::<u64>(), count);
}

/// Whether the fixed parts of `template` stand in `line` in the same order; blanks do not count.
fn matches(template: &str, line: &str) -> bool {
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let line = bare(line);
    let mut from = 0;
    template.split("<*>").map(bare).all(|part| match line[from..].find(&part) {
        Some(at) => {
            from += at + part.len();
            true
        }
        None => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_text_is_counted_once_and_the_same_every_time(
        lines in proptest::collection::vec("(\\PC{0,60}|[a-c /.:=\"(\\[,1-3-]{0,30}|\\s{0,3}at [a-z.]{1,9}|Traceback \\(most recent call last\\):|[A-Z][a-z]{1,4}Error: \\PC{0,9}|.{0,40}\n.{0,20})", 0..60),
    ) {
        let mut miner = Miner::new();
        for line in &lines {
            miner.push(line);
        }
        miner.finish();
        let found = miner.templates();
        prop_assert_eq!(found.lines, lines.len() as u64);
        prop_assert_eq!(found.templates.iter().map(|one| one.count).sum::<u64>(), found.events);
        prop_assert!(found.templates.windows(2).all(|pair| pair[0].count >= pair[1].count));
        let mut again = Miner::new();
        for line in &lines {
            again.push(line);
        }
        again.finish();
        prop_assert_eq!(again.templates(), found);
    }

    #[test]
    fn the_order_of_events_does_not_matter(
        mut lines in proptest::collection::vec("(open|close|read|fail)( [a-z]{1,3}| [0-9]{1,3}| /[a-z]{1,2}/[a-z]| user=[a-z]){0,3}", 0..60),
        seed in any::<u64>(),
    ) {
        let first = mined(&lines);
        let mut state = seed;
        for i in (1..lines.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            lines.swap(i, (state >> 33) as usize % (i + 1));
        }
        prop_assert_eq!(mined(&lines), first);
    }

    #[test]
    fn a_template_matches_its_lines(
        lines in proptest::collection::vec("(\\PC{1,40}|[a-e]{1,2}( [a-c0-9/.:=\"(){1,}-]{1,9}){1,5})", 1..30),
    ) {
        let mut miner = Miner::new();
        let mut forms = Vec::new();
        for line in lines.iter().filter(|line| !line.contains("<*>") && !line.starts_with(char::is_whitespace)) {
            forms.push((miner.push(line), line));
        }
        miner.finish();
        let found = miner.templates();
        for (form, line) in forms {
            let Some(form) = form else { continue };
            let template = &found.templates[found.template_of(form).unwrap()].template;
            prop_assert!(matches(template, &Text::new(line)), "{} does not match {}", template, line);
        }
    }
}
