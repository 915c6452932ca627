//! Alertmanager's fingerprint of an alert, for alerts that come from elsewhere.

use crate::domain::Labels;

/// Separates names and values in the hashed bytes; cannot stand in UTF-8.
const SEPARATOR: u8 = 0xff;

/// 64-bit FNV-1a over the sorted labels, in hexadecimal. Source: `labelSetToFingerprint` in
/// <https://github.com/prometheus/common/blob/main/model/signature.go>.
pub(crate) fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[SEPARATOR]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, value) in labels.iter() {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    format!("{hash:016x}")
}
