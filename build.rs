//! Lays out the o200k vocabulary and the letter classes of Unicode as tables that need no loading: counting tokens
//! must not cost every headless command the fifth of a second that building hash maps at run time takes.
//!
//! `src/context/tokens` reads what is written here. Layout of `o200k.bin`, all numbers little endian `u32`:
//! number of tokens `n`, number of slots `s` (a power of two), `s` slots (rank + 1, 0 is empty), `n + 1` offsets into
//! the bytes that follow.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use regex_syntax::hir::{Class, HirKind};

/// Slots per token, at least: short chains.
const ROOM: usize = 2;

// The hash must be the one that reads the table.
include!("src/context/tokens/hash.rs");

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/context/tokens/hash.rs");
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("o200k.bin"), vocabulary()?)?;
    fs::write(Path::new(&out).join("letters.rs"), letters()?)?;
    Ok(())
}

fn vocabulary() -> Result<Vec<u8>, Box<dyn Error>> {
    let reference = tiktoken_rs::o200k_base()?;
    // Ranks are dense from 0; special tokens lie behind a gap and never stand for ordinary text.
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    while let Ok(token) = reference.decode_bytes(&[u32::try_from(tokens.len())?]) {
        if token.starts_with(b"<|endof") {
            break;
        }
        tokens.push(token);
    }
    let slots = (tokens.len() * ROOM).next_power_of_two();
    let mut table = vec![0_u32; slots];
    for (rank, token) in tokens.iter().enumerate() {
        let mut slot = hash(token) as usize & (slots - 1);
        while table[slot] != 0 {
            slot = (slot + 1) & (slots - 1);
        }
        table[slot] = u32::try_from(rank)? + 1;
    }
    let mut out = Vec::new();
    let mut put = |number: u32| out.extend_from_slice(&number.to_le_bytes());
    put(u32::try_from(tokens.len())?);
    put(u32::try_from(slots)?);
    for slot in table {
        put(slot);
    }
    let mut end = 0;
    put(end);
    for token in &tokens {
        end += u32::try_from(token.len())?;
        put(end);
    }
    out.extend(tokens.concat());
    Ok(out)
}

/// Ranges of characters by class, as far as the tokeniser's pattern tells them apart.
fn letters() -> Result<String, Box<dyn Error>> {
    let mut ranges: BTreeMap<u32, (u32, &str)> = BTreeMap::new();
    for (pattern, class) in [
        (r"[\p{Lu}\p{Lt}]", "Upper"),
        (r"\p{Ll}", "Lower"),
        (r"[\p{Lm}\p{Lo}]", "Uncased"),
        (r"\p{M}", "Mark"),
        (r"\p{N}", "Number"),
        (r"\s", "Space"),
    ] {
        let HirKind::Class(Class::Unicode(found)) = regex_syntax::parse(pattern)?.into_kind() else {
            return Err(format!("{pattern} is no class of characters").into());
        };
        for range in found.ranges() {
            ranges.insert(range.start() as u32, (range.end() as u32, class));
        }
    }
    let mut out = String::from("static LETTERS: &[(u32, u32, Class)] = &[\n");
    for (start, (end, class)) in ranges {
        writeln!(out, "    ({start:#x}, {end:#x}, Class::{class}),")?;
    }
    out.push_str("];\n");
    Ok(out)
}
