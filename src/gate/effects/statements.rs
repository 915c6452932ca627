//! SQL inside arguments: a single plain SELECT over known functions, SHOW, EXPLAIN, and psql's describing commands.
//! Everything else changes something or is not understood: a function can write.

use super::table::Parsed;
use super::{Effect, Understood};

/// Functions that only compute or look.
const FUNCTIONS: [&str; 102] = [
    "abs",
    "age",
    "array_agg",
    "array_length",
    "avg",
    "bool_and",
    "bool_or",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "coalesce",
    "concat",
    "count",
    "current_database",
    "current_schema",
    "current_setting",
    "current_user",
    "database",
    "date",
    "date_format",
    "date_trunc",
    "dense_rank",
    "extract",
    "first_value",
    "floor",
    "from_unixtime",
    "greatest",
    "group_concat",
    "if",
    "ifnull",
    "inet_server_addr",
    "json_agg",
    "json_build_object",
    "json_extract",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "lower",
    "ltrim",
    "max",
    "md5",
    "min",
    "mod",
    "now",
    "ntile",
    "nullif",
    "num_nonnulls",
    "percentile_cont",
    "percentile_disc",
    "pg_blocking_pids",
    "pg_current_wal_lsn",
    "pg_database_size",
    "pg_get_indexdef",
    "pg_get_viewdef",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_postmaster_start_time",
    "pg_relation_size",
    "pg_safe_snapshot_blocking_pids",
    "pg_size_pretty",
    "pg_stat_get_activity",
    "pg_table_size",
    "pg_total_relation_size",
    "pg_wal_lsn_diff",
    "power",
    "rank",
    "regexp_replace",
    "replace",
    "right",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "split_part",
    "sqrt",
    "stddev",
    "string_agg",
    "strpos",
    "substr",
    "substring",
    "sum",
    "timediff",
    "timestampdiff",
    "to_char",
    "to_timestamp",
    "trim",
    "txid_current_snapshot",
    "unix_timestamp",
    "unnest",
    "upper",
    "utc_timestamp",
    "variance",
    "version",
    "width_bucket",
];

/// Words that may stand before a parenthesis without being a function.
const BEFORE_PARENTHESIS: [&str; 47] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "decimal",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "explain",
    "filter",
    "from",
    "group",
    "having",
    "ilike",
    "in",
    "intersect",
    "interval",
    "join",
    "lateral",
    "like",
    "limit",
    "not",
    "numeric",
    "offset",
    "on",
    "or",
    "order",
    "over",
    "partition",
    "recursive",
    "select",
    "some",
    "then",
    "union",
    "using",
    "values",
    "varchar",
    "when",
    "where",
    "with",
    "within",
];

/// Words that make a SELECT more than that.
const FORBIDDEN: [&str; 17] = [
    "alter", "analyze", "call", "copy", "create", "delete", "do", "drop", "execute", "for", "grant", "insert", "into",
    "lock", "merge", "truncate", "update",
];

/// Parts of a statement that name what holds secrets.
const SECRET: [&str; 19] = [
    "password",
    "passwd",
    "secret",
    "token",
    "pg_shadow",
    "pg_authid",
    "pg_user_mapping",
    "user_mapping_options",
    "pg_foreign_server",
    "foreign_server_options",
    "pg_subscription",
    "pg_file_settings",
    "conninfo",
    "authentication_string",
    "mysql.user",
    "mysql.global_priv",
    "mysql.servers",
    "master_info",
    "replication_connection",
];

pub(super) fn psql(understood: &mut Understood, parsed: &Parsed<'_>) {
    understood.reads_secrets |=
        understood.operands.iter().any(|operand| operand.contains("password") || operand.contains("://"));
    if understood
        .operands
        .iter()
        .chain(parsed.values("-d").map(str::to_owned).collect::<Vec<_>>().iter())
        .any(|name| name.contains('=') || name.contains("://"))
    {
        understood.facts.redirected = true;
        understood.raise(Effect::Opaque, "a connection string can point anywhere");
    }
    let commands: Vec<&str> = parsed.values("-c").collect();
    if commands.is_empty() && !parsed.has("-l") && !parsed.has("-V") {
        understood.raise(Effect::Opaque, "nothing says what it does");
    }
    for command in commands {
        if command.trim_start().starts_with('\\') {
            understood.reads_secrets |= ["\\deu", "\\des", "\\dew"].iter().any(|name| command.trim().starts_with(name));
            if !describes(command.trim()) {
                understood.raise(Effect::Opaque, "this command of psql is not understood");
            }
        } else {
            statement(understood, command);
        }
    }
}

pub(super) fn mysql(understood: &mut Understood, parsed: &Parsed<'_>) {
    let statements: Vec<&str> = parsed.values("-e").collect();
    if statements.is_empty() && !parsed.has("-V") {
        understood.raise(Effect::Opaque, "nothing says what it does");
    }
    understood.reads_secrets |= statements.iter().any(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("create user") || text.contains("show grants")
    });
    // The database with the accounts themselves.
    understood.reads_secrets |=
        parsed.values("-D").chain(parsed.operands.iter().map(String::as_str)).any(|base| base == "mysql");
    for text in statements {
        // The client's own way to ask for one column a line.
        statement(understood, text.trim_end().strip_suffix("\\G").unwrap_or(text));
    }
}

/// `\l`, `\dt+ public.*`: psql's commands that describe. <https://www.postgresql.org/docs/current/app-psql.html>
fn describes(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let name = words.next().unwrap_or_default().trim_start_matches('\\').trim_end_matches(['+', 'S']);
    let known = name == "l" || name == "conninfo" || (name.starts_with('d') && name.len() <= 3);
    let plain = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'*'));
    known && name.bytes().all(|b| b.is_ascii_lowercase()) && words.all(plain)
}

fn statement(understood: &mut Understood, text: &str) {
    let lower = text.to_ascii_lowercase();
    let lower = lower.trim().trim_end_matches(';').trim_end();
    let mut words = lower.split_whitespace();
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    let reads = match first {
        "select" | "with" => plain_query(lower),
        "explain" => plain_query(explained(lower)),
        // Of one table, and of one column of it; whatever else they explain, as EXPLAIN does.
        "describe" | "desc" => one_table(lower) || plain_query(explained(lower)),
        // They show; what they name may be called like a statement: `show create table orders`.
        "show" => {
            lower.bytes().all(|b| b.is_ascii_alphanumeric() || b" _.,'%=*-()<>".contains(&b)) && plain_show(lower)
        }
        _ => false,
    };
    if reads {
        let bare = lower.replace(" .", ".").replace(". ", ".");
        understood.reads_secrets |= SECRET.iter().any(|word| bare.contains(word))
            || lower == "show all"
            || (bare.contains("pg_settings") && !bare.contains("where"));
        return;
    }
    // A second statement, a program or a file could hide behind the first word.
    let hides =
        lower.contains([';', '\\']) || ["program", "outfile", "dumpfile", "$$"].iter().any(|word| lower.contains(word));
    let acts =
        matches!(second, "system" | "function" | "procedure" | "extension" | "language" | "trigger" | "rule" | "or");
    match first {
        _ if hides => understood.raise(Effect::Opaque, "the statement may hold another one"),
        "alter" | "create" if acts => {
            understood.raise(Effect::Opaque, format!("{first} {second} can run a program later"));
        }
        "drop" | "truncate" | "delete" | "grant" | "revoke" | "alter" | "create" => {
            understood.raise(Effect::Destroy, format!("{first} does not come back by itself"));
        }
        "insert" | "update" | "vacuum" | "reindex" | "set" | "analyze" | "kill" => {
            understood.raise(Effect::Mutate, format!("{first} changes something"));
        }
        _ => understood.raise(Effect::Opaque, "the statement is not understood"),
    }
}

/// What an EXPLAIN explains, without its options. With `analyze` it is executed, so it is looked at in any case.
fn explained(text: &str) -> &str {
    let mut rest = text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim_start();
    if text.starts_with("explain(") {
        rest = text.trim_start_matches("explain");
    }
    if let Some(options) = rest.strip_prefix('(')
        && let Some((inside, after)) = options.split_once(')')
        && inside.bytes().all(|b| b.is_ascii_alphanumeric() || b" ,_".contains(&b))
    {
        return after.trim_start();
    }
    for word in ["analyze ", "verbose "] {
        rest = rest.strip_prefix(word).unwrap_or(rest).trim_start();
    }
    rest
}

/// `describe orders`, `desc shop.orders 'cust%'`: a table and at most a column.
fn one_table(text: &str) -> bool {
    const STATEMENTS: [&str; 12] = [
        "analyze",
        "delete",
        "extended",
        "for",
        "format",
        "insert",
        "partitions",
        "replace",
        "select",
        "table",
        "update",
        "with",
    ];
    let names: Vec<&str> = text.split_whitespace().skip(1).collect();
    (1..=2).contains(&names.len())
        && !STATEMENTS.contains(&names[0])
        && names.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.'%".contains(&b)))
}

fn plain_show(text: &str) -> bool {
    // A condition can call functions, as that of a query.
    let calls = text.contains('(') && !plain_query(&text.replacen("show", "select", 1));
    !calls && !text.contains("--") && !text.split_whitespace().any(|word| matches!(word, "into" | "outfile"))
}

/// Whether a statement, in lower case, is one query that only reads.
fn plain_query(text: &str) -> bool {
    let text = text.trim().trim_end_matches(';');
    if !["select", "with"].iter().any(|first| text.split_whitespace().next() == Some(first)) {
        return false;
    }
    // A cast is the one thing with colons that people write.
    let without_casts = text.replace("::", " ");
    if without_casts.contains(['"', '`', '\\', '$', ';', ':', '@', '{', '#'])
        || text.contains("--")
        || text.contains("/*")
    {
        return false;
    }
    // Strings are cut out: an odd number of quotes leaves the last one open.
    let parts: Vec<&str> = text.split('\'').collect();
    if parts.len().is_multiple_of(2) {
        return false;
    }
    let code: String = parts.iter().step_by(2).copied().collect::<Vec<_>>().join(" ' ");
    let mut word = String::new();
    let mut last = String::new();
    for c in code.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || c == '_' || c == '.' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            if FORBIDDEN.contains(&word.as_str()) {
                return false;
            }
            last = std::mem::take(&mut word);
        }
        if c == '(' && !last.is_empty() {
            let known = FUNCTIONS.contains(&last.as_str()) || BEFORE_PARENTHESIS.contains(&last.as_str());
            if !known {
                return false;
            }
        } else if !c.is_whitespace() {
            last.clear();
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_that_only_read() {
        for text in [
            "select count(*) from pg_stat_activity where state = 'active'",
            "select pid, now() - query_start as age, query from pg_stat_activity order by 2 desc limit 10;",
            "select pg_size_pretty(pg_database_size(current_database()))",
            "select a::text from t where id in (1, 2) and (b > 3)",
            "with x as (select 1) select * from x",
        ] {
            assert!(plain_query(text), "{text}");
        }
    }

    #[test]
    fn queries_that_might_do_more() {
        for text in [
            "select pg_terminate_backend(1)",
            "select 1; drop table x",
            "select * into y from x",
            "select * from x for update",
            "with x as (delete from y returning 1) select 1",
            "show max_connections; drop table x",
            "explain analyze delete from x",
            "select pg_read_file('/etc/passwd')",
            "select lo_export(1, '/tmp/x')",
            "select \"pg_terminate_backend\"(1)",
            "select pg_terminate_backend (1)",
            "select pg_terminate_backend/**/(1)",
            "select pg_sleep(1000)",
            "select 'x' ' ; '' drop",
            "select dblink('a','b')",
            "select public.count(1)",
            "select nextval('s')",
            "select 1 \\gexec",
        ] {
            assert!(!plain_query(text), "{text}");
        }
    }

    #[test]
    fn psql_describes() {
        for command in ["\\l", "\\l+", "\\dt", "\\dt+ public.*", "\\conninfo", "\\d payments"] {
            assert!(describes(command), "{command}");
        }
        for command in
            ["\\! reboot", "\\dt \\! reboot", "\\copy x to y", "\\o x", "\\i x", "\\g |sh", "\\dt|sh", "\\list"]
        {
            assert!(!describes(command), "{command}");
        }
    }
}
