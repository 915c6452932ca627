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
    let certain = parsed.operands.first().is_some_and(|script| prints_fields(script));
    if !certain {
        understood.raise(Effect::Opaque, "the script may write files or run programs");
    }
}

/// `{print}`, `{print $1, $NF}`, `/pattern/ {print $2}`, `NR==1`.
fn prints_fields(script: &str) -> bool {
    let mut script = script.trim();
    if let Some(rest) = script.strip_prefix('/') {
        let Some((pattern, after)) = rest.split_once('/') else { return false };
        if pattern.contains('\\') {
            return false;
        }
        script = after.trim();
        if script.is_empty() {
            return true;
        }
    }
    let Some(body) = script.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return false;
    };
    let Some(fields) = body.trim().strip_prefix("print") else {
        return false;
    };
    let fields = fields.trim();
    fields.is_empty()
        || fields.split(',').map(str::trim).all(|field| {
            field
                .strip_prefix('$')
                .is_some_and(|name| name == "NF" || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())))
        })
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
    fn awk_prints_fields_only() {
        for script in ["{print}", "{print $1}", "{ print $1, $NF }", "/error/", "/error/ {print $2}"] {
            assert!(prints_fields(script), "{script}");
        }
        for script in [
            "{system(\"reboot\")}",
            "{print > \"/tmp/x\"}",
            "{print | \"sh\"}",
            "BEGIN{}",
            "{print $1;print}",
            "{print getline}",
        ] {
            assert!(!prints_fields(script), "{script}");
        }
    }
}
