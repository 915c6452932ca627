//! A unified diff, read leniently: files, and their removed, added and surrounding lines.
//!
//! Pipelines shorten diffs, leave out file headers or write the path into the hunk's header; binary files and patches
//! of megabytes come along too. What is read is bounded, and what was left out is known.

/// Lines of a diff that are read, and characters of a line.
const MOST_LINES: usize = 6_000;
const MOST_CHARS: usize = 400;

/// What kind of file a patch touches: where its lines can take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// Tests, documents, looks, build pipelines and ownership: never part of what runs.
    Beside,
    /// The list of dependencies.
    Dependencies,
    /// Configuration and manifests.
    Configuration,
    /// Code, or not known.
    Code,
}

/// The patch of one file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Patch<'d> {
    /// Path, empty when the diff names none.
    pub(super) path: &'d str,
    /// What the hunk headers say beside the path: usually the enclosing function.
    pub(super) heads: Vec<&'d str>,
    /// Its hunks.
    pub(super) hunks: Vec<Hunk<'d>>,
}

/// Lines that belong together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Hunk<'d> {
    /// Removed lines, without their sign.
    pub(super) removed: Vec<&'d str>,
    /// Added lines, without their sign.
    pub(super) added: Vec<&'d str>,
    /// Lines around them.
    pub(super) around: Vec<&'d str>,
}

impl Patch<'_> {
    /// Where its lines take effect.
    pub(super) fn ground(&self) -> Ground {
        ground_of(self.path)
    }

    fn is_empty(&self) -> bool {
        self.hunks.iter().all(|hunk| hunk.removed.is_empty() && hunk.added.is_empty())
    }
}

/// The patches of a diff, and whether all of it was read.
pub(super) fn read(diff: &str) -> (Vec<Patch<'_>>, bool) {
    let mut patches: Vec<Patch<'_>> = Vec::new();
    let mut current = Patch::default();
    let mut lines = diff.lines();
    let mut headed = false;
    for line in lines.by_ref().take(MOST_LINES) {
        let line = clipped(line);
        if line.starts_with("diff ") || line.starts_with("index ") || line.starts_with("Binary files") {
            headed = false;
        } else if let Some(path) = line.strip_prefix("--- ").and_then(file_path) {
            finish(&mut patches, &mut current);
            current.path = path;
            headed = true;
        } else if let Some(rest) = line.strip_prefix("+++ ").filter(|_| headed) {
            if let Some(path) = file_path(rest).filter(|path| *path != "/dev/null") {
                current.path = path;
            }
            headed = false;
        } else if line.starts_with("@@") {
            let head = head_of(line);
            if let Some(path) = path_in(head).filter(|path| *path != current.path) {
                finish(&mut patches, &mut current);
                current.path = path;
            }
            current.heads.push(head);
            current.hunks.push(Hunk::default());
        } else {
            if current.hunks.is_empty() {
                current.hunks.push(Hunk::default());
            }
            let Some(hunk) = current.hunks.last_mut() else { continue };
            match line.as_bytes().first() {
                Some(b'-') => hunk.removed.push(&line[1..]),
                Some(b'+') => hunk.added.push(&line[1..]),
                _ => hunk.around.push(line),
            }
        }
    }
    finish(&mut patches, &mut current);
    (patches, lines.next().is_none())
}

fn finish<'d>(patches: &mut Vec<Patch<'d>>, current: &mut Patch<'d>) {
    let done = std::mem::take(current);
    if !done.is_empty() {
        patches.push(done);
    }
}

fn clipped(line: &str) -> &str {
    line.char_indices().nth(MOST_CHARS).map_or(line, |(end, _)| &line[..end])
}

/// The path of a `---` or `+++` header; none for a removed line that begins with two more dashes.
fn file_path(rest: &str) -> Option<&str> {
    let path = rest.split('\t').next()?.trim();
    let named = path.starts_with("a/") || path.starts_with("b/") || path == "/dev/null";
    let bare = path.contains(['/', '.']) && !path.contains(' ');
    (named || bare).then(|| path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path))
}

/// What a hunk's header says beside its line numbers.
fn head_of(line: &str) -> &str {
    let inner = line.trim_start_matches('@').trim();
    if inner.starts_with('-')
        && let Some((_, after)) = inner.split_once("@@")
    {
        return after.trim();
    }
    inner.trim_end_matches('@').trim()
}

/// The path at the beginning of a header that names one.
fn path_in(head: &str) -> Option<&str> {
    let first = head.split_whitespace().next()?.trim_end_matches([':', ',']);
    let name = first.rsplit('/').next()?;
    let ending = name.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty() && (1..=10).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let bare = first.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/+@".contains(&byte));
    (bare && (ending || first.contains('/')) && first.len() > 2).then_some(first)
}

/// Endings and parts of paths that never run.
const BESIDE: &[&str] = &[
    ".css",
    ".scss",
    ".less",
    ".md",
    ".rst",
    ".adoc",
    ".txt",
    ".svg",
    ".png",
    ".jpg",
    ".gif",
    ".ico",
    ".woff",
    "_test.",
    ".test.",
    ".spec.",
    "/test/",
    "/tests/",
    "/__tests__/",
    "/testdata/",
    "/docs/",
    "/doc/",
    "theme.",
    "changelog",
    "codeowners",
    "license",
    "readme",
    ".github/",
    ".circleci/",
    ".gitlab-ci",
    "jenkinsfile",
    ".gitignore",
    ".golangci",
    ".editorconfig",
    ".eslintrc",
    ".prettierrc",
    "test_",
];
/// Files that list dependencies.
const DEPENDENCIES: &[&str] = &[
    "go.mod",
    "go.sum",
    "package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock",
    "requirements",
    "pyproject.toml",
    "poetry.lock",
    "cargo.toml",
    "cargo.lock",
    "gemfile",
    "pom.xml",
    "build.gradle",
    "composer.json",
    "composer.lock",
];
/// Endings of configuration.
const CONFIGURATION: &[&str] = &[
    ".yaml",
    ".yml",
    ".toml",
    ".ini",
    ".conf",
    ".cfg",
    ".properties",
    ".env",
    ".json",
    ".tf",
    ".tfvars",
    ".hcl",
    ".xml",
];

fn ground_of(path: &str) -> Ground {
    let lower = path.to_ascii_lowercase();
    let rooted = format!("/{lower}");
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    if DEPENDENCIES.iter().any(|one| name.starts_with(one)) {
        return Ground::Dependencies;
    }
    let beside = |one: &&str| match *one {
        "test_" | "readme" | "license" | "changelog" | "codeowners" | "theme." | "jenkinsfile" => {
            name.starts_with(*one)
        }
        one if one.starts_with('.') && !one.ends_with('/') && !one.ends_with('.') => {
            name.ends_with(one) || name.starts_with(one)
        }
        one => rooted.contains(one),
    };
    if BESIDE.iter().any(beside) {
        Ground::Beside
    } else if CONFIGURATION.iter().any(|ending| name.ends_with(ending)) {
        Ground::Configuration
    } else {
        Ground::Code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_several_kinds_name_the_file() {
        let (patches, whole) = read("--- a/x/y.go\n+++ b/x/y.go\n@@ -1,2 +1,2 @@ func F() {\n-\ta\n+\tb\n \tc\n");
        assert!(whole);
        assert_eq!(patches.len(), 1);
        assert_eq!((patches[0].path, patches[0].heads[0]), ("x/y.go", "func F() {"));
        assert_eq!(patches[0].hunks[0].removed, ["\ta"]);
        let (patches, _) = read("@@ a/b.py @@ class C:\n+x\n@@ c.css\n-y\n@@ func (s *S) Run() {\n+z\n");
        assert_eq!(patches.iter().map(|patch| patch.path).collect::<Vec<_>>(), ["a/b.py", "c.css"]);
        let (patches, _) = read("-- a removed sql comment\n--- another\n+++ b\n-x = 1\n+x = 2");
        assert_eq!(patches.len(), 1);
    }

    #[test]
    fn what_cannot_run_is_known_by_its_path() {
        for (path, ground) in [
            ("web/button.css", Ground::Beside),
            ("pkg/retry_test.go", Ground::Beside),
            ("tests/a.py", Ground::Beside),
            ("README.md", Ground::Beside),
            (".github/workflows/build.yml", Ground::Beside),
            ("go.mod", Ground::Dependencies),
            ("charts/values.yaml", Ground::Configuration),
            ("src/latest.py", Ground::Code),
            ("", Ground::Code),
        ] {
            assert_eq!(ground_of(path), ground, "{path}");
        }
    }

    #[test]
    fn a_huge_diff_is_read_in_part() {
        let diff = "+x\n".repeat(MOST_LINES + 1);
        let (patches, whole) = read(&diff);
        assert!(!whole);
        assert_eq!(patches[0].hunks[0].added.len(), MOST_LINES);
    }
}
