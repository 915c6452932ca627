//! Personal data: addresses, numbers and names of people. Hidden where the receiver may see redacted text only.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

use super::Found;
use super::values::is_benign;

/// A shape with a test that tells it from look-alikes.
type Shape = (&'static str, LazyLock<Regex>, fn(&str) -> bool);

fn regex(source: &str) -> Regex {
    Regex::new(source).expect("a constant expression")
}

static SHAPES: [Shape; 12] = [
    (
        "personal:email",
        LazyLock::new(|| regex(r"(?i)\b(?P<s>[a-z0-9._%+'-]{1,64}(?:@|%40)(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24})\b")),
        |_| true,
    ),
    (
        "personal:phone",
        LazyLock::new(|| {
            regex(
                r"(?:^|[^\w.+-])(?P<s>(?:\+|00)[1-9]\d{0,2}[ .\-/]?(?:\(\d{1,4}\)[ .\-/]?)?\d{1,4}(?:[ .\-/]?\d{2,5}){1,4})(?:$|[^\w:-])",
            )
        }),
        |value| (8..=15).contains(&digits(value).len()),
    ),
    (
        "personal:phone",
        LazyLock::new(|| regex(r"(?:^|[^\w.-])(?P<s>\(\d{3}\) ?\d{3}[-. ]\d{4}|\d{3}-\d{3}-\d{4})(?:$|[^\w:.-])")),
        |_| true,
    ),
    (
        "personal:ip",
        LazyLock::new(|| regex(r"(?:^|[^\d.])(?P<s>(?:\d{1,3}\.){3}\d{1,3})(?:$|[^\d.]|\.(?:$|\D))")),
        is_address,
    ),
    (
        "personal:ip",
        LazyLock::new(|| {
            regex(r"(?:^|[^\w:.])(?P<s>[0-9A-Fa-f:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?)(?:%\w+)?(?:$|[^\w:])")
        }),
        is_address6,
    ),
    (
        "personal:mac",
        LazyLock::new(|| {
            regex(
                r"(?i)(?:^|[^\w:-])(?P<s>(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|(?:[0-9a-f]{2}-){5}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4})(?:$|[^\w:-])",
            )
        }),
        |_| true,
    ),
    (
        "personal:card",
        LazyLock::new(|| {
            regex(
                r"(?:^|[^\w.-])(?P<s>[2-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})(?:$|[^\w.-]|\.(?:$|\D))",
            )
        }),
        is_card,
    ),
    (
        "personal:iban",
        LazyLock::new(|| regex(r"(?:^|\W)(?P<s>[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)(?:$|\W)")),
        is_iban,
    ),
    // National identification numbers that carry a checksum and a form of their own.
    ("personal:id", LazyLock::new(|| regex(r"(?:^|\W)(?P<s>[0-9XYZ]\d{7}-?[A-Z])(?:$|\W)")), is_dni),
    (
        "personal:id",
        LazyLock::new(|| regex(r"(?:^|\W)(?P<s>[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z])(?:$|\W)")),
        |_| true,
    ),
    ("personal:id", LazyLock::new(|| regex(r"(?:^|[^\w.-])(?P<s>\d{3}\.\d{3}\.\d{3}-\d{2})(?:$|\W)")), is_cpf),
    ("personal:id", LazyLock::new(|| regex(r"(?:^|[^\w.-])(?P<s>\d{3}-\d{2}-\d{4})(?:$|[^\w.-])")), is_ssn),
];

/// Fields whose names promise a person.
static FIELDS: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r#"(?i)(?:^|[^A-Za-z0-9])(?P<name>(?:[a-z0-9]{1,20}[_.-])?(?:"#,
        r"user(?:_?name)?|login|logname|usr|account_?name|author|actor|principal|subject|sub|owner|customer|patient|employee|remote_?user|requester|reporter|assignee|",
        r"(?:first|last|full|given|family|middle|customer|display|contact|card_?holder|billing|shipping|recipient|sender|real)_?name|surname|cardholder|",
        r"phone(?:_?number)?|mobile|tel|telephone|msisdn|fax|e_?mail(?:_?address)?|address|street|postcode|zip(?:_?code)?|dob|date_?of_?birth|birth_?date|birthday|",
        r#"passport|ssn|tax_?id|national_?id|pesel|bsn|nino|aadhaar|personnummer|nif|license_?plate|latitude|longitude)"#,
        r#")(?:\\*["']|%22)?\s{0,2}(?:=>|[:=]|%3[AD])\s{0,2}(?:\\*(?P<quote>["'])(?P<s>[^"'\\\n]{1,120})|(?P<t>[^\s"'<>,;&|)}\]\\{(\[]{2,120}))"#,
    ))
});

/// Adds personal data.
pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    for (order, (kind, shape, test)) in SHAPES.iter().enumerate() {
        for value in each(shape, text).filter(|value| test(value.as_str())) {
            found.push(Found { start: value.start(), end: value.end(), kind, order: 20_000 + order });
        }
    }
    for groups in FIELDS.captures_iter(text) {
        let (Some(name), Some(value)) = (groups.name("name"), groups.name("s").or_else(|| groups.name("t"))) else {
            continue;
        };
        let told = value.as_str();
        if is_benign(told) || told.len() < 2 || told.starts_with("//") || is_service_account(told) {
            continue;
        }
        found.push(Found { start: value.start(), end: value.end(), kind: kind_of(name.as_str(), told), order: 21_000 });
    }
}

/// All matches of the group `s`; the sign behind one may be the sign in front of the next.
fn each<'t>(shape: &'t Regex, text: &'t str) -> impl Iterator<Item = regex::Match<'t>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let value = shape.captures_at(text, at)?.name("s")?;
        at = value.end().max(at + 1);
        while !text.is_char_boundary(at) {
            at += 1;
        }
        (at <= text.len()).then_some(value)
    })
}

/// What a field's value is called.
fn kind_of(name: &str, value: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if value.contains('@') {
        "personal:email"
    } else if has(&["phone", "mobile", "tel", "msisdn", "fax"]) {
        "personal:phone"
    } else if has(&[
        "passport",
        "ssn",
        "tax",
        "national",
        "pesel",
        "bsn",
        "nino",
        "aadhaar",
        "personnummer",
        "nif",
        "plate",
    ]) {
        "personal:id"
    } else if has(&["address", "street", "postcode", "zip", "dob", "birth", "latitude", "longitude"]) {
        "personal:detail"
    } else if has(&[
        "first", "last", "full", "given", "family", "middle", "display", "contact", "holder", "surname", "_name",
        "author",
    ]) && !has(&["user", "account"])
    {
        "personal:person"
    } else {
        "personal:user"
    }
}

/// `system:serviceaccount:shop:payments` and what databases call their own accounts: no people.
fn is_service_account(value: &str) -> bool {
    value.starts_with("system:")
        || matches!(value, "root" | "postgres" | "nobody" | "system" | "admin" | "default" | "anonymous")
}

fn digits(value: &str) -> Vec<u32> {
    value.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn is_address(value: &str) -> bool {
    value
        .parse::<Ipv4Addr>()
        .is_ok_and(|address| !address.is_loopback() && !address.is_unspecified() && !address.is_broadcast())
}

fn is_address6(value: &str) -> bool {
    // A time of day and `::` alone are none.
    value.matches(':').count() >= 2
        && value.bytes().filter(u8::is_ascii_hexdigit).count() >= 2
        && value.parse::<Ipv6Addr>().is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
}

/// The check digit of ISO/IEC 7812 (Luhn), on numbers that are no constant.
fn is_card(value: &str) -> bool {
    let digits = digits(value);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 1 { digit * 2 - if *digit > 4 { 9 } else { 0 } } else { *digit })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

/// The check of ISO 13616: the rearranged number leaves one when divided by 97.
fn is_iban(value: &str) -> bool {
    let bare: Vec<char> = value.chars().filter(|c| *c != ' ').collect();
    (15..=34).contains(&bare.len())
        && bare[4..]
            .iter()
            .chain(&bare[..4])
            .filter_map(|c| c.to_digit(36))
            .fold(0_u32, |rest, digit| if digit < 10 { (rest * 10 + digit) % 97 } else { (rest * 100 + digit) % 97 })
            == 1
}

/// Spain's DNI and NIE: the letter is the rest by 23.
fn is_dni(value: &str) -> bool {
    let bare: String = value.chars().filter(|c| *c != '-').collect();
    let (number, letter) = bare.split_at(bare.len() - 1);
    let number = number.replace('X', "0").replace('Y', "1").replace('Z', "2");
    let rest = number.parse::<usize>().map(|number| number % 23);
    rest.is_ok_and(|rest| "TRWAGMYFPDXBNJZSQVHLCKE"[rest..].starts_with(letter))
}

/// Brazil's CPF: two check digits by eleven.
fn is_cpf(value: &str) -> bool {
    let digits = digits(value);
    let check = |count: usize| {
        let sum: u32 =
            digits[..count].iter().zip((2..).take(count).collect::<Vec<u32>>().iter().rev()).map(|(a, b)| a * b).sum();
        match sum * 10 % 11 {
            10 => 0,
            rest => rest,
        }
    };
    digits.len() == 11 && check(9) == digits[9] && check(10) == digits[10]
}

/// Ranges that the United States' authority issues.
fn is_ssn(value: &str) -> bool {
    let area: u32 = value[..3].parse().unwrap_or(0);
    area != 0 && area != 666 && area < 900 && &value[4..6] != "00" && &value[7..] != "0000"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        find(text, &mut found);
        let mut kinds: Vec<&str> = found.into_iter().map(|one| one.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    #[test]
    fn each_kind_is_found_by_its_form_and_check() {
        for (text, kind) in [
            ("mail to jane.doe+shop@mail.example.com bounced", "personal:email"),
            ("called +49 30 901820 twice", "personal:phone"),
            ("call (555) 123-4567", "personal:phone"),
            ("from 10.2.3.4:5432", "personal:ip"),
            ("peer 2001:db8::8a2e:370:7334 reset", "personal:ip"),
            ("eth0 00:1b:44:11:3a:b7 up", "personal:mac"),
            ("card 4111 1111 1111 1111 declined", "personal:card"),
            ("account DE89370400440532013000 unknown", "personal:iban"),
            ("dni 12345678Z", "personal:id"),
            ("cpf 529.982.247-25", "personal:id"),
            ("ssn 219-09-9999", "personal:id"),
            ("user=jdoe action=login", "personal:user"),
            (r#"{"first_name":"Jane"}"#, "personal:person"),
            (r#"{\"username\": \"jdoe\"}"#, "personal:user"),
            ("login: jdoe", "personal:user"),
        ] {
            assert_eq!(kinds(text), [kind], "{text}");
        }
    }

    #[test]
    fn look_alikes_are_none() {
        for text in [
            "at 14:02:20 took 5.2 s",
            "2026-11-21T14:02:21.123+00:00",
            "image pay@sha256:9f86d081",
            "v1.2.3",
            "card 4111 1111 1111 1112",
            "DE88370400440532013000",
            "127.0.0.1:8080",
            "std::net::addr",
            "12345678A",
            "1790000000000 1790000123456",
            "user=null",
            "999.1.1.1",
            "use_count: 3",
            "username=postgres",
        ] {
            assert_eq!(kinds(text), Vec::<&str>::new(), "{text}");
        }
    }
}
