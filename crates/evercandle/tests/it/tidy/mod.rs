//! The architecture's invariants, read off the source tree.
//!
//! Each test here is a bold line in ARCHITECTURE.md and names it; a failure says which line of which file breaks the
//! invariant and what to do instead. Reading text is crude: it sees `crate::store`, not what the compiler sees. That is
//! enough against drift, and it needs no compiler.

mod tree;

use std::collections::BTreeMap;

use tree::{LIBRARY, Source, check, everything, files, folders, library, root, search, search_all, source, words};

/// Lines of a file without its tests. A longer one is two files that have not been told apart yet.
const LINES_MAX: usize = 700;
/// This file: it spells out what it forbids.
const TIDY: &str = "crates/evercandle/tests/it/tidy/mod.rs";

/// Which parts of the library each part may know, besides itself. Whoever is not here may not know anything of ours.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &[]),
    ("clock", &["model"]),
    ("resilience", &["model"]),
    ("answer", &["model"]),
    ("error", &["answer", "model"]),
    ("request", &["answer", "model"]),
    ("price", &["answer", "error", "model"]),
    ("sentiment", &["answer", "model"]),
    ("health", &["answer", "model"]),
    ("telemetry", &["answer", "model"]),
    (
        "provider",
        &["answer", "clock", "config", "model", "price", "sentiment", "telemetry"],
    ),
    ("store", &["answer", "clock", "config", "model", "telemetry"]),
    (
        "engine",
        &[
            "answer",
            "clock",
            "config",
            "error",
            "health",
            "model",
            "price",
            "provider",
            "request",
            "resilience",
            "sentiment",
            "store",
            "telemetry",
        ],
    ),
    (
        "client",
        &[
            "answer",
            "clock",
            "config",
            "engine",
            "error",
            "health",
            "model",
            "price",
            "provider",
            "request",
            "sentiment",
            "store",
        ],
    ),
    // Asks as anybody would: it knows the client, and nothing that the client is made of.
    (
        "schedule",
        &[
            "answer",
            "client",
            "clock",
            "config",
            "error",
            "health",
            "model",
            "price",
            "request",
            "sentiment",
            "telemetry",
        ],
    ),
    // Decides by what is known, and asks nobody.
    ("alert", &["answer", "config", "health", "model", "schedule"]),
];

// --- what depends on what ---------------------------------------------------------------------------------------------

#[test]
fn modules_know_only_what_lies_below_them() {
    let mut found = Vec::new();
    for source in library() {
        let module = source.module();
        let Some(home) = module.first().cloned() else { continue };
        let allowed = MAY_USE.iter().find(|(name, _)| *name == home).map(|(_, may)| *may);
        for (line, used) in source.uses() {
            if used.starts_with(char::is_uppercase) {
                found.push(source.at(
                    line,
                    format!("`crate::{used}` hides where it comes from; name its module"),
                ));
            } else if used != home && !allowed.is_some_and(|may| may.contains(&used.as_str())) {
                found.push(source.at(line, format!("{home} uses {used}")));
            }
        }
    }
    check(
        found,
        "a part of the library knows another that is not below it",
        "move what is shared into model/, or let engine/ bring the two together; MAY_USE in this file is the picture",
    );
}

#[test]
fn the_simulator_depends_on_none_of_ours() {
    let mut found = Vec::new();
    for (krate, allowed) in [
        ("evercandle-simulator", &[][..]),
        ("xtask", &[][..]),
        ("evercandle", &["evercandle-simulator"][..]),
    ] {
        let manifest = source(&format!("crates/{krate}/Cargo.toml"));
        let (mut section, package) = (String::new(), format!("name = \"{krate}\""));
        for (number, line) in manifest.lines() {
            if line.starts_with('[') {
                section = line.to_owned();
            }
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let ours = name.starts_with("evercandle") && section.contains("dependencies") && line != package;
            let for_tests = section == "[dev-dependencies]";
            if ours && !(for_tests && allowed.contains(&name)) {
                found.push(manifest.at(number, format!("{krate} depends on {name}")));
            }
        }
    }
    check(
        found,
        "a crate depends on one it must be able to disagree with",
        "the simulator shares nothing with the library; the library may use it in tests only",
    );
}

#[test]
fn every_provider_folder_is_in_the_catalogue() {
    let catalogue = source("crates/evercandle/src/provider/mod.rs");
    let entries: String = catalogue
        .lines()
        .map(|(_, line)| line)
        .skip_while(|line| !line.contains("CATALOG: &[Entry]"))
        .scan(false, |done, line| {
            let before = *done;
            *done |= line.contains("];");
            (!before).then_some(line)
        })
        .collect();
    assert!(!entries.is_empty(), "{}: no CATALOG found", catalogue.path);
    let mut found = Vec::new();
    for folder in folders(&root().join("crates/evercandle/src/provider")) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        if !entries.contains(&format!("{name}::")) {
            found.push(format!("{}: provider/{name}/ has no entry in CATALOG", catalogue.path));
        }
        if !folder.join("README.md").is_file() {
            found.push(format!(
                "{LIBRARY}provider/{name}/README.md: missing; what do we know of this upstream?"
            ));
        }
    }
    check(
        found,
        "an upstream that nothing knows of",
        "add its line to CATALOG and say in its README.md what it really does, with dates",
    );
}

#[test]
fn an_upstreams_hosts_appear_only_in_its_folder() {
    let outside = library()
        .into_iter()
        .filter(|s| !s.path.starts_with("crates/evercandle/src/provider/"));
    check(
        search(
            outside,
            &[
                ".binance.",
                "binance.com",
                "amazonaws.com",
                "\"binance-vision\"",
                "coingecko.com",
                "api.alternative.me",
            ],
        ),
        "something peculiar to an upstream outside its folder",
        "move it to provider/<upstream>/, behind the role it plays",
    );
}

// --- purity -----------------------------------------------------------------------------------------------------------

#[test]
fn model_plan_and_layout_are_pure() {
    let pure = library().into_iter().filter(|s| {
        let path = s.path.trim_start_matches(LIBRARY);
        path.starts_with("model/") || path == "engine/plan.rs" || path == "store/layout.rs"
    });
    let impure = [
        "async ",
        ".await",
        "tokio",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "SystemTime",
        "Instant",
        "crate::clock",
        "crate::telemetry",
        "rand::",
    ];
    check(
        search(pure, &impure),
        "pure code reaches outside",
        "pass in what it needs: time, randomness, what was read",
    );
}

#[test]
fn resilience_neither_waits_nor_looks_at_a_clock() {
    let mechanisms = library().into_iter().filter(|s| s.is_under("resilience/"));
    check(
        search(
            mechanisms,
            &[
                "async ",
                ".await",
                "::now()",
                "sleep",
                "elapsed()",
                "rand::rng",
                "thread_rng",
                "std::fs",
                "spawn",
            ],
        ),
        "a mechanism acts by itself",
        "take `now` (or the generator) as an argument; engine/attempt.rs does the waiting",
    );
}

// --- the one place ----------------------------------------------------------------------------------------------------

#[test]
fn only_the_clock_reads_time_or_sleeps() {
    let elsewhere = library().into_iter().filter(|s| !s.is("clock.rs"));
    let mut found = search(
        elsewhere,
        &[
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "time::sleep",
            "thread::sleep",
            "time::interval",
            ".elapsed()",
        ],
    );
    let patient = [
        "engine/attempt.rs",
        "engine/probe.rs",
        "engine/outlast.rs",
        "schedule/mod.rs",
        "clock.rs",
    ];
    let others = library().into_iter().filter(|s| !patient.iter().any(|file| s.is(file)));
    found.extend(search(others, &[".sleep(", ".sleep_until("]));
    check(
        found,
        "time is read, or waited for, outside its one place",
        "take a `Clock` and ask it; only engine/attempt.rs, engine/probe.rs, engine/outlast.rs and schedule/mod.rs ask it to sleep",
    );
}

#[test]
fn only_the_configuration_reads_the_environment() {
    let elsewhere = library().into_iter().filter(|s| !s.is("config/mod.rs"));
    check(
        search(elsewhere, &["std::env", "env::var"]),
        "the environment is read outside config/mod.rs",
        "add a field to `Config` and pass it on",
    );
}

#[test]
fn only_the_store_touches_the_disk() {
    let elsewhere = library()
        .into_iter()
        .filter(|s| !s.is_under("store/") && !s.is("config/mod.rs"));
    check(
        search(elsewhere, &["std::fs", "tokio::fs", "File::", "rustix::fs", "memmap2"]),
        "the disk is touched outside the store",
        "let the store do it, or config/mod.rs if it is configuration",
    );
}

#[test]
fn only_http_sends() {
    let elsewhere = library().into_iter().filter(|s| !s.is("provider/http.rs"));
    check(
        search(
            elsewhere,
            &["reqwest", "TcpStream", "TcpListener", "UdpSocket", "tokio::net"],
        ),
        "something is sent past provider/http.rs, and so past its limits",
        "use `Http`",
    );
}

#[test]
fn only_telemetry_names_metrics() {
    let elsewhere = library().into_iter().filter(|s| !s.is("telemetry.rs"));
    check(
        search(elsewhere, &["metrics::"]),
        "a metric is emitted outside telemetry.rs",
        "add a function to telemetry.rs that says what happened, and call it",
    );
}

#[test]
fn only_the_edges_are_serialisable() {
    let inside = library()
        .into_iter()
        .filter(|s| !s.is_under("config/") && !s.is_under("store/"));
    let mut found = search(inside, &["Serialize,", "Serialize)", "derive(Serialize"]);
    // Upstreams' JSON is read in their folders, and never written.
    found.retain(|place| !(place.contains("src/provider/") && place.contains("Deserialize")));
    check(
        found,
        "a type of the inside has a form outside",
        "translate at the edge: the command line's output, an upstream's folder, the store's story",
    );
}

#[test]
fn a_stored_file_is_never_changed() {
    let store = library().into_iter().filter(|s| s.is_under("store/"));
    check(
        search(store, &[".set_len(", ".truncate(true)", "map_mut", "MmapMut"]),
        "a file that others may have mapped is changed in place",
        "write another file and rename it; see store/disk.rs",
    );
}

#[test]
fn there_is_one_unsafe_block() {
    let (mut found, mut blocks) = (Vec::new(), Vec::new());
    for source in everything().into_iter().filter(|s| s.is_rust() && s.path != TIDY) {
        let all: Vec<&str> = source.text.lines().collect();
        for (number, line) in source.code() {
            if !["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait"]
                .iter()
                .any(|form| line.contains(form))
            {
                continue;
            }
            blocks.push(source.at(number, line.trim().to_owned()));
            let above = &all[number.saturating_sub(12)..number - 1];
            if !above.iter().any(|line| line.contains("SAFETY:")) {
                found.push(source.at(
                    number,
                    "no `// SAFETY:` above it: which invariant, and who keeps it?".to_owned(),
                ));
            }
        }
    }
    if blocks.len() > 1 {
        found.extend(blocks);
    }
    check(
        found,
        "more unsafe code than the one mapping of a file",
        "use what the store maps, or a library that has proved its own",
    );
}

// --- tidiness ---------------------------------------------------------------------------------------------------------

#[test]
fn every_module_says_what_it_is_for() {
    let found = everything()
        .into_iter()
        .filter(|s| s.is_rust() && !s.is_test() && !s.text.starts_with("//!"))
        .map(|s| s.at(1, "no `//!` header".to_owned()))
        .collect();
    check(
        found,
        "a file that does not introduce itself",
        "begin with the problem it solves, then the choice made; see STYLE.md",
    );
}

#[test]
fn no_file_is_too_long() {
    let mut found = Vec::new();
    for source in everything().into_iter().filter(Source::is_rust) {
        let lines = source.code().last().map_or(0, |(number, _)| number);
        if lines > LINES_MAX {
            found.push(source.at(LINES_MAX, format!("{lines} lines without tests; at most {LINES_MAX}")));
        }
    }
    check(
        found,
        "a file too long to be read in one go",
        "find the two things it does",
    );
}

#[test]
fn nothing_is_left_undone() {
    let ours = || everything().into_iter().filter(|s| s.is_rust() && s.path != TIDY);
    let mut found = search_all(ours(), &["todo!(", "unimplemented!(", "dbg!("]);
    found.extend(search_all(ours(), &["#[ignore"]));
    for source in ours() {
        for (number, line) in source.lines() {
            if ["TODO", "FIXME", "XXX", "HACK"]
                .iter()
                .any(|word| words(line).any(|w| w == *word))
            {
                found.push(source.at(number, line.trim().to_owned()));
            }
        }
    }
    check(
        found,
        "something was left for later",
        "do it, or say what is absent in ARCHITECTURE.md under \"Deliberately absent\"",
    );
}

#[test]
fn nothing_depends_on_somebodys_machine() {
    let here = root().canonicalize().unwrap().to_string_lossy().into_owned();
    let folders = ["/home/", "/Users/", "/root/", "C:\\", here.as_str()];
    let ours = everything()
        .into_iter()
        .filter(|s| s.path != TIDY && s.path != "Cargo.lock");
    check(
        search_all(ours, &folders),
        "an absolute path that exists on one machine",
        "take it from configuration, or make it relative to the workspace",
    );
}

// --- documents --------------------------------------------------------------------------------------------------------

#[test]
fn decision_records_are_numbered_without_a_hole() {
    let mut found = Vec::new();
    let folder = root().join("docs/decisions");
    let mut names: Vec<String> = files(&folder)
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for (name, number) in names.iter().zip(1..) {
        let path = format!("docs/decisions/{name}");
        if !name.starts_with(&format!("{number:04}-")) || !name.ends_with(".md") {
            found.push(format!(
                "{path}:1: expected {number:04}-<title>.md here; is a number missing or taken twice?"
            ));
            continue;
        }
        let record = source(&path);
        if !record.text.starts_with(&format!("# {number:04}: ")) {
            found.push(record.at(1, format!("expected a title that begins with `# {number:04}: `")));
        }
        for section in ["## Context", "## Decision", "## Consequences", "## Rejected"] {
            if !record.lines().any(|(_, line)| line == section) {
                found.push(record.at(1, format!("no section `{section}`")));
            }
        }
    }
    check(
        found,
        "a decision record that cannot be found or read",
        "number them in order, never delete one; the form is in CONTRIBUTING.md",
    );
}

#[test]
fn the_map_shows_every_file_of_the_library() {
    let map = source("ARCHITECTURE.md");
    let mut found = Vec::new();
    for source in library() {
        let name = source.path.rsplit('/').next().unwrap_or_default();
        let shown = if name == "mod.rs" {
            source.path.rsplit('/').nth(1).unwrap_or_default()
        } else {
            name
        };
        if !map.text.contains(shown) {
            found.push(format!("{}: {} is not on the map", map.path, source.path));
        }
    }
    let names: Vec<String> = everything().into_iter().map(|s| s.path).collect();
    for (number, line) in map.lines() {
        let rust = words(line).filter(|w| w.ends_with(".rs"));
        for word in rust {
            if !names
                .iter()
                .any(|name| *name == word || name.ends_with(&format!("/{word}")))
            {
                found.push(map.at(number, format!("{word} does not exist")));
            }
        }
    }
    check(
        found,
        "ARCHITECTURE.md shows another tree",
        "change the map in the commit that moves the file",
    );
}

#[test]
fn every_invariant_is_asserted_and_every_assertion_is_an_invariant() {
    let (page, tidy) = (source("ARCHITECTURE.md"), source(TIDY));
    let mut tests: BTreeMap<String, bool> = BTreeMap::new();
    let mut is_test = false;
    for (_, line) in tidy.lines() {
        if is_test && let Some(rest) = line.strip_prefix("fn ") {
            tests.insert(rest.split('(').next().unwrap_or_default().to_owned(), false);
        }
        is_test = line == "#[test]";
    }
    let mut found = Vec::new();
    for (number, line) in page.lines() {
        for word in words(line).filter_map(|w| w.strip_prefix("tidy::").map(str::to_owned)) {
            match tests.get_mut(&word) {
                Some(named) => *named = true,
                None => found.push(page.at(number, format!("no test is called {word}"))),
            }
        }
    }
    let unnamed = tests.iter().filter(|(_, named)| !**named);
    found.extend(unnamed.map(|(test, _)| format!("{}: `tidy::{test}` is not named there", page.path)));
    check(
        found,
        "invariants and their tests have drifted apart",
        "each bold line under \"Architecture invariants\" names its test as `tidy::…`, and the other way round",
    );
}

#[test]
fn the_readme_lists_every_setting_with_its_default() {
    let readme = source("README.md");
    let (mut section, mut found) = (String::new(), Vec::new());
    // An array stands on several lines there, and on one in the table.
    let defaults = evercandle::Config::default()
        .to_toml()
        .replace("[\n    ", "[")
        .replace(",\n    ", ", ")
        .replace(",\n]", "]");
    for line in defaults.lines() {
        if let Some(name) = line.strip_prefix("[[") {
            section = format!("{}[].", name.trim_end_matches(']'));
        } else if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        } else if let Some((key, value)) = line.split_once(" = ") {
            let name = format!("`{section}{key}`");
            let row = readme
                .lines()
                .find(|(_, row)| row.starts_with('|') && row.contains(&name))
                .map(|(_, row)| row.replace('_', ""));
            match row {
                None => found.push(format!("{}: {name} is not listed", readme.path)),
                Some(row) if !row.contains(&format!("`{}`", value.replace('_', ""))) => {
                    found.push(format!(
                        "{}: {name} is listed, but not with its default `{value}`",
                        readme.path
                    ));
                }
                Some(_) => {}
            }
        }
    }
    check(
        found,
        "the README's table of settings is not the configuration's",
        "change the table in README.md",
    );
}
