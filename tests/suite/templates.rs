//! `stanch templates` on files as they come.

use std::io::Write as _;
use std::process::Stdio;

use crate::program::Program;

const LOG: &str = "2026-01-31 10:00:00 INFO c.s.Pay - charge 17 took 12ms\n2026-01-31 10:00:01 INFO c.s.Pay - charge 18 took 3ms\n\
    2026-01-31 10:00:02 ERROR c.s.Pay - charge 19 failed\njava.lang.IllegalStateException: no pool\n\tat c.s.Pay.run(Pay.java:3)\n\
    2026-01-31 10:00:03 INFO c.s.Pay - charge 20 took 7ms\n";

#[test]
fn a_log_is_mined_from_a_file_however_it_is_packed_and_from_standard_input() {
    let program = Program::new();
    let plain = program.file("app.log", LOG);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(LOG.as_bytes()).unwrap();
    let gzipped = program.home().join("app.log.1");
    std::fs::write(&gzipped, encoder.finish().unwrap()).unwrap();
    let packed = program.home().join("app.log.2");
    std::fs::write(&packed, zstd::encode_all(LOG.as_bytes(), 1).unwrap()).unwrap();
    let want = program.json(&["templates", plain.to_str().unwrap()]);
    assert_eq!((want["lines"].as_u64(), want["events"].as_u64()), (Some(6), Some(4)), "{want}");
    let templates = want["templates"].as_array().unwrap();
    assert_eq!(templates.len(), 2);
    assert_eq!((templates[0]["id"].as_u64(), templates[0]["count"].as_u64()), (Some(1), Some(3)));
    assert_eq!(templates[0]["template"], "<*> INFO c.s.Pay - charge <*> took <*>");
    assert_eq!((templates[1]["level"].as_str(), templates[1]["count"].as_u64()), (Some("error"), Some(1)));
    assert!(templates[1]["exemplar"].as_str().unwrap().contains("no pool"));
    for path in [&gzipped, &packed] {
        assert_eq!(program.json(&["templates", path.to_str().unwrap()]), want);
    }
    let mut child = program
        .command(&["templates", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().unwrap().write_all(LOG.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap(), want);
}

#[test]
fn each_line_gets_the_number_of_its_template() {
    let program = Program::new();
    let plain = program.file("app.log", LOG);
    let said = program.run(&["templates", "--assign", plain.to_str().unwrap()]);
    assert_eq!((said.code, said.stdout.as_str()), (0, "1\n1\n2\n2\n2\n1\n"), "{said:?}");
    let traceback = program.file("b.log", "INFO up\nTraceback (most recent call last):\n  File \"x\"\nValueError: 3\n");
    assert_eq!(program.run(&["templates", "--assign", traceback.to_str().unwrap()]).stdout.lines().count(), 4);
}

#[test]
fn two_logs_are_compared() {
    let program = Program::new();
    let before = program.file("old.log", &"job 1 done\n".repeat(50));
    let now = program.file("new.log", &format!("{}{}", "job 2 done\n".repeat(40), "pool exhausted\n".repeat(9)));
    let found = program.json(&["templates", "--against", before.to_str().unwrap(), now.to_str().unwrap()]);
    let first = &found["templates"][0];
    assert_eq!(
        (first["template"].as_str(), first["change"].as_str()),
        (Some("pool exhausted"), Some("new")),
        "{found}"
    );
    assert_eq!((first["baselineCount"].as_u64(), first["count"].as_u64()), (Some(0), Some(9)));
}

#[test]
fn noise_is_harmless() {
    let program = Program::new();
    let noise: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let path = program.home().join("noise");
    std::fs::write(&path, [noise, vec![b'x'; 3 << 20], b"\n\x1b]0;owned\x07 \xe2\x80\xae evil\n".to_vec()].concat())
        .unwrap();
    for arguments in
        [&["templates"][..], &["templates", "--limit", "3"], &["templates", "--json"], &["templates", "--assign"]]
    {
        let said = program.run(&[arguments, &[path.to_str().unwrap()]].concat());
        assert_eq!(said.code, 0, "{}", said.stderr);
        assert!(!said.stdout.contains(['\x1b', '\x07', '\u{202e}']));
    }
    let said = program.run(&["templates", "absent.log"]);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("absent.log"), "{}", said.stderr);
}
