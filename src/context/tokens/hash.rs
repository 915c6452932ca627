// Shared by the build script, which lays the table out, and the vocabulary, which reads it.

/// A hash of short byte strings: a multiply and a fold per eight bytes (after wyhash, in the public domain).
fn hash(bytes: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = bytes.len() as u64 ^ MIX;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let product = u128::from(state ^ u64::from_le_bytes(word)) * u128::from(MIX);
        state = product as u64 ^ (product >> 64) as u64;
    }
    state ^ (state >> 32)
}
