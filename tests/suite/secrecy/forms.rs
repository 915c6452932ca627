//! Texts with random parts, written as templates: `«A24»` is twenty-four letters and digits, `«h32»` hexadecimal digits.

/// The same numbers on every machine (Knuth's multiplier).
#[derive(Clone)]
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(0) % limit.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const WORDS: &[&str] = &[
    "checkout",
    "payments",
    "orders",
    "cart",
    "gateway",
    "inventory",
    "search",
    "ledger",
    "shipping",
    "profile",
    "reviews",
    "billing",
    "catalog",
    "email",
    "fraud",
    "currency",
    "frontend",
    "session",
    "worker",
    "scheduler",
];

/// Fills the random parts of a template.
pub(crate) fn fill(template: &str, noise: &mut Noise) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('«') {
        out.push_str(&rest[..open]);
        let inside = &rest[open + '«'.len_utf8()..];
        let close = inside.find('»').expect("a part ends");
        out.push_str(&part(&inside[..close], noise));
        rest = &inside[close + '»'.len_utf8()..];
    }
    out.push_str(rest);
    out
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn part(name: &str, noise: &mut Noise) -> String {
    let (kind, length) = name.split_at(1);
    let length = length.parse().unwrap_or(1);
    let from = |alphabet: &str, noise: &mut Noise| -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length).map(|_| *noise.pick(&alphabet)).collect()
    };
    match kind {
        "l" => from(LOWER, noise),
        "a" => from(&format!("{LOWER}0123456789"), noise),
        "A" => from(&format!("{LOWER}{UPPER}0123456789"), noise),
        "U" => from(&format!("{UPPER}0123456789"), noise),
        "h" => from("0123456789abcdef", noise),
        "H" => from("0123456789ABCDEF", noise),
        "d" => from("0123456789", noise),
        "b" => from(&format!("{LOWER}{UPPER}0123456789+/"), noise),
        "k" => from("bcdfghjklmnpqrstvwxz2456789", noise),
        // A password with a digit and a sign that no language gives a meaning to.
        "p" => format!(
            "{}{}{}",
            from(&format!("{LOWER}{UPPER}0123456789"), noise),
            noise.below(10),
            noise.pick(&["!", "#", "*", "^", "~", "?"])
        ),
        // One with signs that do mean something.
        "q" => format!(
            "{}{}{}",
            noise.pick(&["a@", "b&", "c;", "d,", "e%", "f:", "g$", "h)"]),
            from(&format!("{LOWER}{UPPER}0123456789"), noise),
            noise.below(10)
        ),
        "u" => format!(
            "{}-{}-{}-{}-{}",
            part("h8", noise),
            part("h4", noise),
            part("h4", noise),
            part("h4", noise),
            part("h12", noise)
        ),
        "w" => (*noise.pick(WORDS)).to_owned(),
        "n" => noise.below(10_usize.pow(u32::try_from(length).unwrap_or(1).clamp(1, 9))).to_string(),
        "i" => format!("10.{}.{}.{}", noise.below(256), noise.below(256), noise.below(256)),
        "t" => format!("2026-11-21T14:{:02}:{:02}.{:03}Z", noise.below(60), noise.below(60), noise.below(1_000)),
        other => panic!("no part {other}"),
    }
}
