//! `templates`: mines the templates of log files or standard input. Needs no configuration and no network.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::analysis::templates::{FormId, Mined, Miner, TemplateChange};
use crate::app::cli::Templates;
use crate::app::failure::Failure;
use crate::app::output::Output;
use crate::domain::Text;
use crate::domain::evidence::LogChange;

/// Bytes of a line that are read; the rest of it is skipped.
const MAX_LINE: usize = 64 << 10;
/// Bytes read at once.
const BUFFER: usize = 256 << 10;
/// Characters of a template on a line for people.
const SHOWN: usize = 400;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    lines: u64,
    events: u64,
    /// Events that were collected coarsely because the bound on forms was reached.
    folded: u64,
    /// Templates, before `--limit`.
    found: usize,
    templates: Vec<Row<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: usize,
    template: &'a Text,
    count: u64,
    share: f64,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<&'static str>,
    exemplar: &'a Text,
}

pub(in crate::app) fn templates(arguments: &Templates, output: Output) -> Result<(), Failure> {
    let mut miner = Miner::new();
    let mut counts: Vec<[u64; 2]> = Vec::new();
    let mut assigned = Assigned { forms: arguments.assign.then(Vec::new), waiting: 0 };
    for path in &arguments.against {
        let mut unassigned = Assigned { forms: None, waiting: 0 };
        mine(path, &mut miner, |form| unassigned.take(form, &mut counts, 0))?;
    }
    let standard_input = [PathBuf::from("-")];
    let files = if arguments.files.is_empty() { &standard_input[..] } else { &arguments.files };
    for path in files {
        mine(path, &mut miner, |form| assigned.take(form, &mut counts, 1))?;
    }
    let mined = miner.templates();
    if let Some(forms) = &assigned.forms {
        return assign(forms, &mined);
    }
    let changes = (!arguments.against.is_empty()).then(|| mined.changes(&counts));
    let rows = rows(&mined, changes.as_deref());
    let found = rows.len();
    let answer = Answer {
        lines: mined.lines,
        events: mined.events,
        folded: mined.folded,
        found,
        templates: rows.into_iter().take(arguments.limit.unwrap_or(usize::MAX)).collect(),
    };
    output.answer(&answer, || text(&answer))
}

/// The form of each line, when it is wanted: four bytes a line.
struct Assigned {
    forms: Option<Vec<u32>>,
    /// Lines whose event has not been named yet.
    waiting: usize,
}

impl Assigned {
    fn take(&mut self, said: Said, counts: &mut Vec<[u64; 2]>, period: usize) {
        let Said { form, is_event, is_line } = said;
        self.waiting += usize::from(is_line);
        let Some(form) = form else { return };
        if is_event {
            let at = form.index() as usize;
            if counts.len() <= at {
                counts.resize(at + 1, [0; 2]);
            }
            counts[at][period] += 1;
        }
        if let Some(forms) = &mut self.forms {
            forms.extend(std::iter::repeat_n(form.index(), self.waiting));
        }
        self.waiting = 0;
    }
}

/// What the miner said about a line, or at the end of a file.
#[derive(Clone, Copy)]
struct Said {
    form: Option<FormId>,
    is_event: bool,
    is_line: bool,
}

fn mine(path: &Path, miner: &mut Miner, mut take: impl FnMut(Said)) -> Result<(), Failure> {
    let fail = |error: io::Error| Failure::failed(format!("{}: cannot be read: {error}", path.display()));
    let mut reader = open(path).map_err(fail)?;
    let mut line = Vec::new();
    while next_line(&mut reader, &mut line).map_err(fail)? {
        let events = miner.events();
        let form = miner.push(&String::from_utf8_lossy(&line));
        take(Said { form, is_event: miner.events() > events, is_line: true });
    }
    let form = miner.finish();
    take(Said { form, is_event: form.is_some(), is_line: false });
    Ok(())
}

/// Opens a file, or standard input for `-`; gzip and zstd are told by their first bytes.
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut raw: Box<dyn Read> =
        if path.as_os_str() == "-" { Box::new(io::stdin().lock()) } else { Box::new(File::open(path)?) };
    let mut magic = Vec::with_capacity(4);
    raw.by_ref().take(4).read_to_end(&mut magic)?;
    let is_gzip = magic.starts_with(&[0x1F, 0x8B]);
    let is_zstd = magic == [0x28, 0xB5, 0x2F, 0xFD];
    let whole = io::Cursor::new(magic).chain(raw);
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(BUFFER, flate2::read::MultiGzDecoder::new(whole)))
    } else if is_zstd {
        Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::new(whole)?))
    } else {
        Box::new(BufReader::with_capacity(BUFFER, whole))
    })
}

/// Reads the next line without its end into `line`, at most [`MAX_LINE`] bytes of it; whether there was one.
fn next_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if reader.take(MAX_LINE as u64).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() == MAX_LINE {
        reader.skip_until(b'\n')?;
    }
    Ok(true)
}

/// Prints the template's number for each line.
fn assign(forms: &[u32], mined: &Mined) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut write = || -> io::Result<()> {
        for form in forms {
            let id = mined.template_of(FormId::at(*form)).map_or(0, |index| index + 1);
            writeln!(out, "{id}")?;
        }
        out.flush()
    };
    match write() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

fn rows<'a>(mined: &'a Mined, changes: Option<&[TemplateChange]>) -> Vec<Row<'a>> {
    let row = |index: usize, change: Option<&TemplateChange>| {
        let one = &mined.templates[index];
        let count = change.map_or(one.count, |change| change.counts[1]);
        Row {
            id: index + 1,
            template: &one.template,
            count,
            share: change.map_or_else(|| one.count as f64 / mined.events.max(1) as f64, |change| change.share[1]),
            level: one.level,
            baseline_count: change.map(|change| change.counts[0]),
            change: change.and_then(|change| change.change).map(word),
            exemplar: &one.exemplar,
        }
    };
    match changes {
        None => (0..mined.templates.len()).map(|index| row(index, None)).collect(),
        Some(changes) => changes.iter().map(|change| row(change.template, Some(change))).collect(),
    }
}

const fn word(change: LogChange) -> &'static str {
    match change {
        LogChange::New => "new",
        LogChange::Vanished => "vanished",
        LogChange::More => "more",
        LogChange::Fewer => "fewer",
    }
}

fn text(answer: &Answer<'_>) -> String {
    let mut out = format!("{} lines, {} events, {} templates", answer.lines, answer.events, answer.found);
    if answer.folded > 0 {
        out.push_str(&format!("; {} events folded: too many different lines", answer.folded));
    }
    out.push('\n');
    let is_compared = answer.templates.iter().any(|row| row.baseline_count.is_some());
    let change = if is_compared { "  BASELINE CHANGE  " } else { "" };
    out.push_str(&format!("{:>5} {:>9} {:>6} {:5}{change} TEMPLATE\n", "ID", "COUNT", "SHARE", "LEVEL"));
    for row in &answer.templates {
        let change = match row.baseline_count {
            Some(count) => format!(" {count:>9} {:8}", row.change.unwrap_or("-").to_uppercase()),
            None => String::new(),
        };
        let level = if row.level.is_empty() { "-" } else { row.level };
        out.push_str(&format!(
            "{:>5} {:>9} {:>5.1}% {level:5}{change} {}\n",
            row.id,
            row.count,
            row.share * 100.0,
            row.template.truncated(SHOWN).one_line(),
        ));
        if row.exemplar != row.template {
            for line in row.exemplar.lines().take(12) {
                out.push_str(&format!("{:28}  {}\n", "", Text::new(line).truncated(SHOWN)));
            }
        }
    }
    out
}
