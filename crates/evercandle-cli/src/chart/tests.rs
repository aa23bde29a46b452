use super::*;
use crate::args::Theme;
use crate::fixture;

fn plot(columns_max: usize) -> Plot {
    let answer = fixture::answer();
    let mut story = Story::new(answer.series.clone(), answer.range);
    let batches = story.add(answer);
    Plot::of(&story, &batches, columns_max)
}

#[test]
fn columns_take_their_klines_together() {
    let fine = plot(1000);
    assert_eq!((fine.columns.len(), fine.slots_per_column, fine.klines), (120, 1, 113));
    let coarse = plot(60);
    assert_eq!(
        (coarse.columns.len(), coarse.slots_per_column, coarse.klines),
        (60, 2, 113)
    );
    for (pair, column) in fine.columns.chunks(2).zip(&coarse.columns) {
        match (pair[0].bar, pair[1].bar, column.bar) {
            (Some(a), Some(b), Some(both)) => {
                assert_eq!((both.open, both.close), (a.open, b.close));
                assert_eq!((both.high, both.low), (a.high.max(b.high), a.low.min(b.low)));
                assert_eq!(both.volume, a.volume + b.volume);
            }
            (a, b, both) => assert_eq!(a.or(b), both),
        }
    }
}

#[test]
fn what_is_missing_is_drawn_and_told() {
    let plot = plot(1000);
    let gap = |i: usize| (plot.columns[i].bar.is_none(), plot.columns[i].gap);
    assert_eq!(gap(33), (false, None));
    assert_eq!(gap(34), (true, Some(Reason::VenueHalt)));
    assert_eq!(gap(72), (true, Some(Reason::NoUpstreamLeft)));
    assert!(plot.columns[119].unsettled && !plot.columns[118].unsettled);
    let sentences: Vec<String> = plot.legend.iter().map(Missing::sentence).collect();
    assert_eq!(sentences, ["6 slots: trading was halted", "1 slot: could not be had"]);
}

#[test]
fn a_terminal_chart() {
    insta::assert_snapshot!(
        "terminal_plain",
        terminal::draw(&plot(terminal::columns_max(80)), 80, 14, false)
    );
    insta::assert_snapshot!(
        "terminal_wide",
        terminal::draw(&plot(terminal::columns_max(140)), 140, 16, false)
    );
    let coloured = terminal::draw(&plot(67), 80, 14, true);
    assert!(coloured.contains("\x1b[32m") && coloured.contains("\x1b[33m"));
    let bare: String = {
        let mut rest = coloured.as_str();
        let mut bare = String::new();
        while let Some((before, after)) = rest.split_once('\x1b') {
            bare.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        bare + rest
    };
    assert!(bare.lines().all(|l| l.chars().count() <= 100), "{bare}");
}

#[test]
fn a_terminal_chart_is_as_high_as_was_asked_or_says_the_least() {
    let plot = plot(terminal::columns_max(40));
    let mut least = 0;
    for height in 1..40 {
        match terminal::fit(&plot, 40, height, false) {
            Ok(text) => assert_eq!(text.lines().count(), height, "{text}"),
            Err(named) => {
                assert!(height < named);
                least = named;
            }
        }
    }
    assert_eq!(least, 12);
    assert!(terminal::fit(&plot, 40, least, false).is_ok());
}

#[test]
fn the_header_of_a_narrow_picture_is_not_printed_over_itself() {
    let plot = plot(100);
    let summary = plot.summary().unwrap().replace("  ", "\u{a0}\u{a0} ");
    let line = |width, text: &str| -> String {
        let svg = svg::draw(&plot, (width, 900), Theme::Light);
        let line = svg.lines().find(|l| l.contains(text)).unwrap();
        let y = line.split("y=\"").nth(1).unwrap();
        y.split('"').next().unwrap().to_owned()
    };
    let subtitle = plot.subtitle();
    for (width, together) in [(300, false), (400, false), (1200, true)] {
        let at = |text: &str| line(width, &format!(">{text}<"));
        assert_eq!(at(&subtitle) == at(&summary), together, "{width}");
    }
}

#[test]
fn nothing_is_drawn_as_nothing() {
    let series = fixture::hours();
    let story = Story::new(series.clone(), fixture::range("2024-01-01", "2024-01-02"));
    let plot = Plot::of(&story, &[], 100);
    assert!(terminal::draw(&plot, 80, 10, false).contains("no klines"));
    assert!(svg::draw(&plot, (800, 400), Theme::Light).contains("no klines"));
}

#[test]
fn every_reason_has_a_colour_and_the_documents_are_self_contained() {
    assert!(svg::REASONS.into_iter().all(svg::has_color));
    let plot = plot(300);
    let svg = svg::draw(&plot, (1200, 640), Theme::Auto);
    assert!(svg.contains("prefers-color-scheme") && svg.contains("trading was halted"));
    let html = html::draw(&plot, (1200, 640), Theme::Dark);
    assert!(!html.contains("{{") && html.contains("<svg"));
    for text in [&svg, &html] {
        let outside = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http") && !outside.contains("@import") && !outside.contains("url("));
    }
}

/// Set EVERCANDLE_CHART_DIR to look at the pictures.
#[test]
#[allow(clippy::disallowed_methods, reason = "for looking at")]
fn a_png_is_drawn_with_its_text_on_a_machine_without_fonts() {
    let svg = svg::draw(&plot(300), (1200, 640), Theme::Light);
    let png = png::render(&svg).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    let textless = svg.lines().filter(|l| !l.starts_with("<text")).collect::<String>();
    let without = png::render(&textless).unwrap();
    assert_ne!(png, without, "the text left no pixel");
    if let Ok(dir) = std::env::var("EVERCANDLE_CHART_DIR") {
        let dir = std::path::Path::new(&dir);
        std::fs::write(dir.join("light.png"), &png).unwrap();
        let dark = svg::draw(&plot(300), (1200, 640), Theme::Dark);
        std::fs::write(dir.join("dark.png"), png::render(&dark).unwrap()).unwrap();
        std::fs::write(dir.join("chart.html"), html::draw(&plot(300), (1200, 640), Theme::Auto)).unwrap();
    }
}
