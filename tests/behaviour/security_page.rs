//! The numbered page about security and the tests that cite its numbers belong together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../src/security.md");

/// Requirements that no test cites: none. One that is listed here needs a sentence that says why.
const NOT_CITED: &[&str] = &[];

#[test]
fn every_number_that_is_cited_is_on_the_page() {
    let on_page = requirements();
    let cited = citations();
    assert!(cited.len() > 40, "the search for citations has broken");
    for (number, places) in cited {
        assert!(
            on_page.contains_key(&number),
            "requirement {number} is not on the page; cited in {places:?}"
        );
    }
}

#[test]
fn every_requirement_that_is_met_has_a_test_that_cites_it() {
    let cited = citations();
    for (number, text) in requirements() {
        let is_listed = NOT_CITED.contains(&&*number);
        let is_cited = cited.get(&number).is_some_and(|places| {
            let mut places = places.iter();
            places.any(|place| place.is_test)
        });
        if is_cited {
            assert!(!is_listed, "requirement {number} is cited by now");
        } else {
            assert!(
                is_listed || text.starts_with("Not done"),
                "no test cites requirement {number}"
            );
        }
    }
}

#[test]
fn the_page_has_every_number_once_and_in_order() {
    let numbers: Vec<_> = numbered_lines().map(|(number, _)| number).collect();
    let small = (1..=4).map(|number| format!("0.{number}"));
    let expected: Vec<_> = small.chain((1..=50).map(|n: u32| n.to_string())).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn citations_are_read_as_they_are_written() {
    for (text, want) in [
        ("Security requirement 12.", &["12"][..]),
        ("security requirement 0.2: bytes", &["0.2"]),
        ("Security requirements 3 and 4.", &["3", "4"]),
        (
            "Security requirements 3, 4 and 5, that is",
            &["3", "4", "5"],
        ),
        (
            "Security requirements 0.1 and 3 to 5.",
            &["0.1", "3", "4", "5"],
        ),
        ("// Security\n/// requirements 7,\n//! 8", &["7", "8"]),
        ("fn req_46_shows_nothing()", &["46"]),
        ("see section 0.3", &["0.3"]),
        ("RFC 8725 section 3.1, a requirement of ours", &[]),
    ] {
        let numbers = cited_in(&without_comment_marks(text));
        assert_eq!(Vec::from_iter(&numbers), Vec::from_iter(want), "{text}");
    }
}

/// The requirements with their first lines.
fn requirements() -> BTreeMap<String, String> {
    numbered_lines().collect()
}

fn numbered_lines() -> impl Iterator<Item = (String, String)> {
    PAGE.lines().filter_map(|line| {
        let (number, text) = line.strip_prefix("**")?.split_once(".** ")?;
        Some((number.to_owned(), text.to_owned()))
    })
}

/// Where a number is cited.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: PathBuf,
    /// Below `tests`, or in the test module of a source file.
    is_test: bool,
}

fn citations() -> BTreeMap<String, BTreeSet<Place>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for directory in ["src", "tests"] {
        collect(&root.join(directory), &mut files);
    }
    let mut found: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
    for file in files {
        // The examples of this file cite nothing.
        if file.ends_with("security_page.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let file = file.strip_prefix(root).unwrap().to_owned();
        let (code, tests) = match file.starts_with("tests") {
            true => ("", &*text),
            false => text.split_at(text.find("#[cfg(test)]").unwrap_or(text.len())),
        };
        for (part, is_test) in [(code, false), (tests, true)] {
            for number in cited_in(&without_comment_marks(part)) {
                let file = file.clone();
                let places = found.entry(number).or_default();
                places.insert(Place { file, is_test });
            }
        }
    }
    found
}

/// All Rust files below a directory.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // What a build of its own has left there.
            if !path.ends_with("target") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// One line of text, so that a citation may run over the end of a line of a comment.
fn without_comment_marks(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim();
        let comment = line.strip_prefix("//").unwrap_or(line);
        comment.trim_start_matches(['/', '!']).trim()
    });
    lines.collect::<Vec<_>>().join(" ").to_ascii_lowercase()
}

/// The numbers that a text cites; `3 to 5` stands for all three.
fn cited_in(text: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    for (start, prefix) in ["requirement ", "requirements ", "req_", "section 0."]
        .iter()
        .flat_map(|prefix| text.match_indices(prefix))
    {
        // The number of a section is that of the requirement.
        let skipped = if prefix == "section 0." {
            8
        } else {
            prefix.len()
        };
        let mut rest = &text[start + skipped..];
        let mut range_from: Option<u32> = None;
        while let Some((number, after)) = number(rest) {
            if let (Some(from), Ok(to)) = (range_from, number.parse::<u32>()) {
                numbers.extend((from + 1..to).map(|between: u32| between.to_string()));
            }
            numbers.push(number.to_owned());
            range_from = None;
            rest = if let Some(next) = after.strip_prefix(" to ") {
                range_from = number.parse().ok();
                next
            } else if let Some(next) = after.strip_prefix(" and ") {
                next
            } else if let Some(next) = after.strip_prefix(", ") {
                next
            } else {
                break;
            };
        }
    }
    numbers
}

/// A number such as `12` or `0.2` at the beginning of a text, and what follows it.
fn number(text: &str) -> Option<(&str, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    if whole == 0 {
        return None;
    }
    let fraction = text[whole..].strip_prefix('.').map_or(0, digits);
    let end = if fraction == 0 {
        whole
    } else {
        whole + 1 + fraction
    };
    Some(text.split_at(end))
}
