//! Small languages inside arguments: only the few forms that are certain.

use super::table::Parsed;
use super::{Effect, Understood};

pub(super) fn sed(understood: &mut Understood, parsed: &Parsed<'_>) {
    let mut scripts: Vec<&str> = parsed.values("-e").collect();
    if scripts.is_empty() {
        scripts.extend(parsed.operands.first().map(String::as_str));
    }
    if scripts.is_empty() || !scripts.iter().all(|script| reads_only(script)) {
        understood.raise(Effect::Opaque, "the script may write files or run programs");
    }
}

/// One command of sed: an address with `p`, `d`, `q` or `=`, or a substitution without `w` and `e`.
fn reads_only(script: &str) -> bool {
    let script = script.trim();
    if let Some(body) = script.strip_prefix("s/") {
        let parts: Vec<&str> = body.split('/').collect();
        return parts.len() == 3
            && !parts[0].ends_with('\\')
            && !parts[1].ends_with('\\')
            && !script.contains('\n')
            && parts[2].chars().all(|c| matches!(c, 'g' | 'p' | 'i' | 'I') || c.is_ascii_digit());
    }
    let Some(address) = script.strip_suffix(['p', 'd', 'q', '=']) else {
        return false;
    };
    let address = address.trim().trim_end_matches('!');
    address.split(',').count() <= 2
        && address.split(',').all(|part| {
            let line = part.strip_prefix(['+', '~']).unwrap_or(part);
            let pattern = part.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
            part.is_empty()
                || part == "$"
                || line.bytes().all(|b| b.is_ascii_digit())
                || pattern.is_some_and(|pattern| !pattern.contains(['/', '\\', '\n']))
        })
}

pub(super) fn awk(understood: &mut Understood, parsed: &Parsed<'_>) {
    let Some(script) = parsed.operands.first() else {
        return understood.raise(Effect::Opaque, "there is no script");
    };
    understood.reads_secrets |= script.contains("ENVIRON") || script.contains("SYMTAB");
    if !only_prints(script) {
        understood.raise(Effect::Opaque, "the script may write files or run programs");
    }
}

/// Whether a script of awk can neither write a file nor run a program.
///
/// Looked at as raw text, so that nothing depends on where a string or a pattern ends: without `|` there is no pipe,
/// without `@` no call by name and no extension, and a `>` that could redirect stands behind a brace.
fn only_prints(script: &str) -> bool {
    // What it reads must stand on the command line: ARGV can name further files while it runs.
    const ACTING: [&str; 11] =
        ["system", "getline", "close", "fflush", "func", "extension", "ARGV", "ARGC", "ENVIRON", "SYMTAB", "FUNCTAB"];
    let text = script.replace("||", "  ");
    if text.contains(['|', '@', '\n', '\r', '`']) || ACTING.iter().any(|word| text.contains(word)) {
        return false;
    }
    let body = text.split_once('{').map_or("", |(_, body)| body);
    !body.replace(">=", "  ").contains('>')
}

pub(super) fn jq(understood: &mut Understood, parsed: &Parsed<'_>) {
    let Some(filter) = parsed.operands.first() else {
        return understood.raise(Effect::Opaque, "there is no filter");
    };
    // jq writes nothing; what it can do is to show the environment or to include files.
    understood.reads_secrets |= filter.contains("env") || filter.contains("ENV");
    if filter.contains("import") || filter.contains("include") {
        understood.raise(Effect::Opaque, "the filter includes other files");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sed_reads_in_simple_forms_only() {
        for script in ["10,20p", "5q", "$p", "/error/p", "s/a/b/g", "s/a b/c/", "1d", "/a/,/b/p", "1!d", "="] {
            assert!(reads_only(script), "{script}");
        }
        for script in [
            "w /tmp/x",
            "1w/tmp/x",
            "s/a/b/w /tmp/x",
            "s/a/b/e",
            "e reboot",
            "1e reboot",
            "r /etc/x",
            "p;w x",
            "s|a|b|e",
            "s/a\\/b/c/e",
            "/a\\/e/p",
            "",
        ] {
            assert!(!reads_only(script), "{script}");
        }
    }

    #[test]
    fn awk_prints_and_computes_only() {
        for script in [
            "{print}",
            "{print $1}",
            "{ print $1, $NF }",
            "/error/",
            "/error/ {print $2}",
            "NR==10",
            "$9 >= 500 {print $7}",
            "$9 > 500",
            "{sum += $1} END {printf \"%d\\n\", sum}",
            "$1 == 1 || $2 == 2",
        ] {
            assert!(only_prints(script), "{script}");
        }
        for script in [
            "{system(\"reboot\")}",
            "{print > \"/tmp/x\"}",
            "{print >> \"/tmp/x\"}",
            "{print | \"sh\"}",
            "{print |& \"sh\"}",
            "{print ||| \"sh\"}",
            "{\"reboot\" | getline}",
            "{getline < \"x\"}",
            "@load \"x\"",
            "{@f(1)}",
            "function f() {}",
            "/{/ {print > \"x\"}",
            "BEGIN{ARGV[1]=\"/etc/sha\" \"dow\"; ARGC=2} {print}",
            "BEGIN{print SYMTAB[\"ENV\" \"IRON\"][\"HOME\"]}",
            "BEGIN{for (k in ENVIRON) print ENVIRON[k]}",
        ] {
            assert!(!only_prints(script), "{script}");
        }
    }
}
