//! What a site adds to the tables: only ever stricter.
//!
//! A file of its own names programs, and where wanted verbs and flags, with the effect that they have at least. It can
//! raise an effect, never lower one: whatever it says, the tables have spoken first and the worse of both counts.

use serde::Deserialize;

use super::flag::fits;
use super::table::Tests;
use super::{Effect, TABLES, Understood, base_name, understand_with, wrappers};
use crate::gate::lexer;
use crate::gate::taint::Inventory;

/// Most bytes of a file.
const MAX_BYTES: usize = 1 << 20;

/// Entries that raise effects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stricter {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Name of the program; `*` for every one.
    program: String,
    /// Its verb, which may end in `*`; left out: every verb.
    verb: Option<String>,
    /// A flag; left out: with or without.
    flag: Option<String>,
    /// The least effect.
    effect: Effect,
    /// Why, as it is shown.
    why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    stricter: Vec<Entry>,
    #[serde(default)]
    test: Tests,
}

impl Stricter {
    /// Reads a file of entries and runs its tests. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("larger than {MAX_BYTES} bytes"));
        }
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.version != 1 {
            return Err(format!("version {} is not known; this program knows 1", file.version));
        }
        for entry in &file.stricter {
            let program = &entry.program;
            if program != "*" && !TABLES.contains_key(program) && !wrappers::NAMES.contains(&program.as_str()) {
                return Err(format!("program `{program}` has no table: it is opaque already"));
            }
            if entry.effect == Effect::Read {
                return Err(format!("{program}: `read` would make nothing stricter"));
            }
            if entry.flag.as_ref().is_some_and(|flag| flag.len() < 2 || !flag.starts_with('-')) {
                return Err(format!("{program}: a flag starts with a dash"));
            }
            if entry.why.is_empty() {
                return Err(format!("{program}: why must say something"));
            }
        }
        let stricter = Self { entries: file.stricter };
        stricter.passes(&file.test)?;
        // What nothing tests may be a typing error that raises nothing.
        for (place, entry) in stricter.entries.iter().enumerate() {
            let mut without = stricter.clone();
            without.entries.remove(place);
            if without.passes(&file.test).is_ok() {
                let what =
                    entry.verb.as_ref().or(entry.flag.as_ref()).map(|word| format!(" {word}")).unwrap_or_default();
                return Err(format!("{}{what}: no test of the file fails without this entry", entry.program));
            }
        }
        Ok(stricter)
    }

    fn passes(&self, tests: &Tests) -> Result<(), String> {
        for (line, effect, secrets) in tests.lines() {
            let argv = lexer::split(line).map_err(|error| format!("test `{line}`: {error}"))?;
            let got = understand_with(&argv, &Inventory::default(), self);
            if got.effect != effect || secrets.is_some_and(|secrets| secrets != got.reads_secrets) {
                return Err(format!("test `{line}`: expected {}, got {}", effect.word(), got.effect.word()));
            }
        }
        Ok(())
    }

    /// The entries of both: the worse of them counts.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.entries.extend(other.entries);
        self
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Raises the effect of what was understood of `argv`, as far as an entry fits.
    pub(super) fn raise(&self, understood: &mut Understood, argv: &[String]) {
        let name = argv.first().map_or("", |program| base_name(program));
        for entry in &self.entries {
            let program = entry.program == "*" || entry.program == name;
            // The verb of a wrapper is that of its inner command; where a verb is asked for, the program must be its.
            let verb =
                entry.verb.as_ref().is_none_or(|verb| understood.program == name && fits(verb, &understood.verb));
            if program && verb && entry.flag.as_ref().is_none_or(|flag| given(flag, &argv[1..])) {
                understood.raise(entry.effect, entry.why.clone());
            }
        }
    }
}

/// Whether a flag may be among the words. Rather once too often: a short one is seen in every cluster.
fn given(flag: &str, words: &[String]) -> bool {
    words.iter().any(|word| {
        let bare = word.split('=').next().unwrap_or_default();
        let mut letters = flag.chars().skip(1);
        match (letters.next(), letters.next()) {
            (Some(letter), None) if letter != '-' => {
                word.starts_with('-') && !word.starts_with("--") && word.contains(letter)
            }
            _ => bare == flag || (bare.len() > 2 && bare.starts_with("--") && flag.starts_with(bare)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn effect(line: &str, stricter: &Stricter) -> Effect {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        understand_with(&argv, &Inventory::default(), stricter).effect
    }

    #[test]
    fn an_entry_raises_and_a_wrapper_does_not_help() {
        let stricter = Stricter::parse(
            "version = 1\n\
             [[stricter]]\nprogram = \"kubectl\"\nverb = \"get\"\nflag = \"--raw\"\neffect = \"opaque\"\nwhy = \"w\"\n\
             [[stricter]]\nprogram = \"psql\"\neffect = \"destroy\"\nwhy = \"the database is not ours\"\n\
             [test]\nread = [\"kubectl get pods\"]\nopaque = [\"kubectl get --raw /metrics\"]\ndestroy = [\"psql -l\"]\n",
        )
        .unwrap();
        assert_eq!(effect("kubectl get --raw=/metrics", &stricter), Effect::Opaque);
        assert_eq!(effect("sudo timeout 5 psql -l", &stricter), Effect::Destroy);
        assert_eq!(effect("kubectl exec a -- psql -l", &stricter), Effect::Destroy);
        assert_eq!(effect("kubectl get pods", &stricter), Effect::Read);
        assert_eq!(effect("frobnicate", &stricter), Effect::Opaque);
    }

    #[test]
    fn a_file_that_lowers_or_is_mistaken_does_not_load() {
        let entry = |text: &str| format!("version = 1\n[[stricter]]\n{text}\n");
        for text in [
            entry("program = \"kubectl\"\neffect = \"read\"\nwhy = \"w\""),
            entry("program = \"kubctl\"\neffect = \"opaque\"\nwhy = \"w\""),
            entry("program = \"kubectl\"\neffect = \"opaque\"\nwhy = \"\""),
            entry("program = \"kubectl\"\nflag = \"raw\"\neffect = \"opaque\"\nwhy = \"w\""),
            entry("program = \"kubectl\"\nverbs = \"get\"\neffect = \"opaque\"\nwhy = \"w\""),
            entry("program = \"kubectl\"\nverb = \"gett\"\neffect = \"opaque\"\nwhy = \"w\""),
            "version = 2".to_owned(),
            "version = 1\n[test]\nread = [\"kubectl delete pod x\"]".to_owned(),
        ] {
            assert!(Stricter::parse(&text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_entry_lowers_an_effect(
            program in prop::sample::select(vec!["*", "kubectl", "rm", "sudo", "curl", "git"]),
            verb in prop::option::of(prop::sample::select(vec!["get", "delete", "*", "rollout*"])),
            flag in prop::option::of(prop::sample::select(vec!["--all", "-f", "--raw", "-A"])),
            raised in prop::sample::select(vec![Effect::Mutate, Effect::Destroy, Effect::Opaque]),
            line in prop::sample::select(vec![
                "kubectl get pods -A", "kubectl delete pods --all", "kubectl rollout undo deploy/a", "rm -rf /data",
                "sudo rm -f x", "curl -f http://a", "git push -f", "frobnicate --all", "kubectl get pods --raw",
            ]),
        ) {
            let entry = Entry {
                program: program.to_owned(), verb: verb.map(str::to_owned), flag: flag.map(str::to_owned),
                effect: raised, why: "w".to_owned(),
            };
            let stricter = Stricter { entries: vec![entry] };
            prop_assert!(effect(line, &stricter) >= effect(line, &Stricter::default()));
        }
    }
}
