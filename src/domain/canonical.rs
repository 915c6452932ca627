//! Canonical JSON: one value, one text. What is hashed or signed is written this way.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes `value` with sorted keys, without spaces, numbers as `serde_json` writes them. Two equal values give the
/// same bytes on every machine.
pub fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

/// Lower-case hex, as digests are written everywhere.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            // Sorted here, because the order of the map depends on a feature any dependency may switch on.
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_value(&map[key], out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_at_every_depth_and_nothing_is_padded() {
        let value = json!({"b": [1, {"z": null, "a": "x\n\"y\""}], "a": 1.5, "ä": true});
        assert_eq!(canonical_json(&value), r#"{"a":1.5,"b":[1,{"a":"x\n\"y\"","z":null}],"ä":true}"#);
    }
}
