#!/usr/bin/env python3
"""Grouping accuracy of `stanch templates` on labelled logs.

    benches/grouping_accuracy.py DIRECTORY path/to/stanch [--only NAME,NAME] [--raw] [--misses]

DIRECTORY holds files `NAME*_structured.csv` with the columns LineId, Content and EventId, as the Loghub collection
publishes them, and, for --raw, the lines as they were written in `NAME*.log` beside each. A line counts as right when
the set of lines that share its template is exactly the set of lines that share its EventId (message-level grouping
accuracy). --misses prints how the wrong groups of the systems named by --only came out.
"""

import argparse
import collections
import csv
import pathlib
import subprocess


def groups(labels):
    found = collections.defaultdict(list)
    for line, label in enumerate(labels):
        found[label].append(line)
    return found


def assigned(binary, lines):
    # A line break inside a message would shift every number after it.
    text = "".join(line.replace("\r", " ").replace("\n", " ") + "\n" for line in lines)
    run = subprocess.run([binary, "templates", "--assign", "-"], input=text.encode(), stdout=subprocess.PIPE, check=True)
    return run.stdout.decode().split()


def accuracy(truth, found):
    right = {tuple(lines) for lines in groups(truth).values()}
    return sum(len(lines) for lines in groups(found).values() if tuple(lines) in right) / max(len(truth), 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("binary")
    parser.add_argument("--only", default="")
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--misses", action="store_true")
    options = parser.parse_args()
    only = set(filter(None, options.only.split(",")))
    scores = []
    for path in sorted(options.directory.glob("*_structured.csv")):
        name = path.name.split("_")[0]
        if only and name not in only:
            continue
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.DictReader(file))
        truth = [row["EventId"] for row in rows]
        lines = [row["Content"] for row in rows]
        if options.raw:
            raw = path.with_name(path.name.replace("_structured.csv", "").removesuffix(".csv"))
            lines = raw.read_text(encoding="utf-8", errors="replace").splitlines()
        if len(lines) != len(truth):
            print(f"{name:12} {len(lines)} lines, but {len(truth)} labels: left out")
            continue
        found = assigned(options.binary, lines)
        scores.append(accuracy(truth, found))
        print(f"{name:12} {scores[-1]:.4f}   templates {len(set(found)):5}   labelled {len(set(truth)):5}")
        if options.misses and only:
            by_found, by_truth = groups(found), groups(truth)
            right = {tuple(members) for members in by_truth.values()}
            for label, members in sorted(by_truth.items(), key=lambda item: -len(item[1])):
                parts = collections.Counter(found[line] for line in members)
                if tuple(by_found[found[members[0]]]) in right:
                    continue
                others = sum(len(by_found[part]) for part in parts) - len(members)
                print(f"   {label}: {len(members)} lines in {len(parts)} templates with {others} others")
                for part in list(parts)[:4]:
                    print("      ", lines[next(line for line in members if found[line] == part)][:200])
    if scores:
        print(f"{'mean':12} {sum(scores) / len(scores):.4f}")


if __name__ == "__main__":
    main()
