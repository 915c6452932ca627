//! Numbers as people read them, with their unit and in a stable width.

use crate::domain::diagnosis::Bill;

/// A number with its unit: `0.93`, `4.1 s`, `350 ms`, `12.3k/s`, `1.2 GiB`, `31%`, `NaN`.
pub fn figure(value: f64, unit: &str) -> String {
    if value.is_nan() {
        return "no data".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    match unit {
        "s" | "seconds" => seconds(value),
        // What is counted in thousandths is read as time all the same.
        "ms" => seconds(value / 1e3),
        "us" | "µs" => seconds(value / 1e6),
        "B" | "bytes" => scaled(value, 1024.0, &["", "Ki", "Mi", "Gi", "Ti", "Pi"], " ", "B"),
        "%" => format!("{}%", short(value)),
        "ratio" => format!("{}%", short(value * 100.0)),
        "/s" => scaled(value, 1000.0, &["", "k", "M", "G", "T"], "", "/s"),
        "" => scaled(value, 1000.0, &["", "k", "M", "G", "T"], "", ""),
        other => format!("{} {other}", scaled(value, 1000.0, &["", "k", "M", "G", "T"], "", "")),
    }
}

fn seconds(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0 s".to_owned()
    } else if size < 1e-3 {
        format!("{} µs", short(value * 1e6))
    } else if size < 1.0 {
        format!("{} ms", short(value * 1e3))
    } else if size < 600.0 {
        format!("{} s", short(value))
    } else if size < 36_000.0 {
        format!("{} min", short(value / 60.0))
    } else if size < 259_200.0 {
        format!("{} h", short(value / 3_600.0))
    } else {
        format!("{} d", short(value / 86_400.0))
    }
}

fn scaled(value: f64, base: f64, prefixes: &[&str], gap: &str, unit: &str) -> String {
    let mut value = value;
    let mut at = 0;
    while value.abs() >= base && at + 1 < prefixes.len() {
        value /= base;
        at += 1;
    }
    let gap = if unit.is_empty() { "" } else { gap };
    format!("{}{gap}{}{unit}", short(value), prefixes[at])
}

/// Three significant digits, without trailing zeros.
fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(0.001..1e6).contains(&size) {
        return format!("{value:.1e}");
    }
    let digits = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 0.1 {
        2
    } else {
        4
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A whole number with thousands separated: `1,204`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// What something costs, and the day so far: `0.022 $`, `today 1.20 of 5.00 $`, `12k of 1M tokens today`.
pub fn bill(bill: &Bill) -> Vec<String> {
    let sign = &bill.currency;
    let mut words = Vec::new();
    if let Some(cost) = bill.cost {
        words.push(format!("{} {sign}", money(cost)));
    }
    match (bill.today, bill.limit) {
        (today, Some(limit)) => {
            words.push(format!("today {} of {} {sign}", money(today.unwrap_or_default()), money(limit)));
        }
        (Some(today), None) => words.push(format!("today {} {sign}", money(today))),
        (None, None) => {}
    }
    if let Some(limit) = bill.tokens_limit {
        words.push(format!("{} of {} tokens today", count(bill.tokens_today), count(limit)));
    }
    words
}

/// An amount: cents, and of less than that the first two figures.
pub fn money(amount: f64) -> String {
    if amount == 0.0 || amount >= 0.1 {
        return format!("{amount:.2}");
    }
    let places = (1.0 - amount.log10().floor()).clamp(2.0, 6.0) as usize;
    format!("{amount:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_unit() {
        assert_eq!(figure(0.0921, "s"), "92.1 ms");
        assert_eq!(figure(5.2, "s"), "5.2 s");
        assert_eq!(figure(0.31, "ratio"), "31%");
        assert_eq!(figure(1_300_000_000.0, "B"), "1.21 GiB");
        assert_eq!(figure(12_345.0, "/s"), "12.3k/s");
        assert_eq!(figure(50.0, ""), "50");
        assert_eq!(figure(100.0, ""), "100");
        assert_eq!(figure(f64::NAN, "s"), "no data");
        assert_eq!(figure(f64::NEG_INFINITY, ""), "-Inf");
        assert_eq!(figure(-0.5, ""), "-0.5");
        assert_eq!(figure(864_000.0, "s"), "10 d");
        assert_eq!(figure(3e12, "s"), "3.5e7 d");
        assert_eq!(figure(1e300, "/s"), "1.0e288T/s");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1_204), "1,204");
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn costs_are_readable_however_small() {
        let amounts = [0.0, 0.000_012_3, 0.0123, 0.099, 0.1, 12.345].map(money);
        assert_eq!(amounts, ["0.00", "0.000012", "0.012", "0.099", "0.10", "12.35"]);
        let day = Bill {
            cost: Some(0.0123),
            today: Some(1.2),
            limit: Some(5.0),
            tokens_today: 12_000,
            tokens_limit: Some(1_000_000),
            currency: "$".into(),
        };
        assert_eq!(bill(&day)[..2], ["0.012 $", "today 1.20 of 5.00 $"]);
        assert!(bill(&Bill::default()).is_empty());
    }
}
