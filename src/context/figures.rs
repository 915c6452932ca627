//! Numbers as a model reads them cheaply: three significant digits with their unit.

/// A number with three significant digits: `0.0123`, `4.21`, `12.3k`, `5M`. Large counts keep a suffix of powers of
/// a thousand; `–` where there is no number.
pub(super) fn three(value: f64) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let size = value.abs();
    match size {
        _ if size >= 9.995e14 => format!("{value:.2e}"),
        _ if size >= 9.995e11 => format!("{}T", digits(value / 1e12)),
        _ if size >= 9.995e8 => format!("{}G", digits(value / 1e9)),
        _ if size >= 9.995e5 => format!("{}M", digits(value / 1e6)),
        _ if size >= 9_995.0 => format!("{}k", digits(value / 1e3)),
        _ if size != 0.0 && size < 1e-4 => format!("{value:.2e}"),
        _ => digits(value),
    }
}

/// Three significant digits without trailing zeros.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if size >= 999.5 {
        return format!("{value:.0}");
    }
    let decimals = (2.0 - size.log10().floor()).clamp(0.0, 7.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A value with its unit; seconds and bytes in the unit that fits them.
pub(super) fn quantity(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return three(value);
    }
    let size = value.abs();
    match unit {
        "s" | "seconds" if size > 0.0 && size < 1e-3 => format!("{}us", digits(value * 1e6)),
        "s" | "seconds" if size > 0.0 && size < 1.0 => format!("{}ms", digits(value * 1e3)),
        "s" | "seconds" => format!("{}s", three(value)),
        "B" | "bytes" if size >= 1024.0 => {
            let power = (size.log2() / 10.0).floor().clamp(1.0, 5.0);
            let name = ["KiB", "MiB", "GiB", "TiB", "PiB"][power as usize - 1];
            format!("{}{name}", digits(value / 1024_f64.powf(power)))
        }
        "B" | "bytes" => format!("{}B", digits(value)),
        _ => format!("{}{unit}", three(value)),
    }
}

/// A figure before and after: `90ms→5.2s`.
pub(super) fn before_after(figure: crate::domain::evidence::BeforeAfter, factor: f64, unit: &str) -> String {
    let side = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| quantity(value * factor, unit));
    let (before, after) = (side(figure.before), side(figure.after));
    // A shared unit is written once.
    let before =
        before.strip_suffix(unit).filter(|_| !matches!(unit, "s" | "B") && after.ends_with(unit)).unwrap_or(&before);
    format!("{before}→{after}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_three_digits_and_their_unit() {
        for (value, want) in [
            (0.0, "0"),
            (0.012_345, "0.0123"),
            (4.0, "4"),
            (4.212, "4.21"),
            (31.25, "31.2"),
            (1_234.0, "1234"),
            (12_345.0, "12.3k"),
            (999_999.0, "1M"),
            (-5.0, "-5"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(three(value), want);
        }
        assert_eq!(quantity(0.09, "s"), "90ms");
        assert_eq!(quantity(5.2, "s"), "5.2s");
        assert_eq!(quantity(1_572_864.0, "B"), "1.5MiB");
        assert_eq!(quantity(31.0, "%"), "31%");
    }

    proptest! {
        #[test]
        fn a_printed_number_is_within_half_a_percent(value in -1e14f64..1e14) {
            let text = three(value);
            let (number, factor) = match text.as_bytes()[text.len() - 1] {
                b'k' => (&text[..text.len() - 1], 1e3),
                b'M' => (&text[..text.len() - 1], 1e6),
                b'G' => (&text[..text.len() - 1], 1e9),
                b'T' => (&text[..text.len() - 1], 1e12),
                _ => (text.as_str(), 1.0),
            };
            let read: f64 = number.parse::<f64>().unwrap() * factor;
            prop_assert!((read - value).abs() <= value.abs() * 0.006 + 1e-12, "{} {}", value, text);
        }
    }
}
