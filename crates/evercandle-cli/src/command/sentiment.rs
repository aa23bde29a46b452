//! `sentiment`: how the market feels, by which measure, today or day by day.

use std::path::Path;

use evercandle::{Secondary, Sentiment, SentimentRequest};

use crate::args::{self, Global, Theme};
use crate::chart::days::{self, Days};
use crate::chart::png;
use crate::exit::{Exit, Failure};
use crate::output::{self, sentiment};
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::text;

/// Lines of bars in the terminal.
const CHART_ROWS: usize = 12;

pub(crate) async fn run(args: &args::Sentiment, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let picture = args.out.as_deref().map(picture).transpose()?;
    let session = Session::open(global, &args.latest.internet, screen)?;
    let request = SentimentRequest {
        count: args.days,
        secondary: match args.no_secondary {
            true => Secondary::Refuse,
            false => Secondary::Allow,
        },
        deadline: args.latest.deadline,
    };
    let answer = session.client.sentiment(request).await?;
    session.client.flush().await;
    if args.latest.explain {
        screen.say(&crate::explain::latest(&answer.trail, screen));
    }
    let found = &answer.sentiment;
    if let Some(warning) = sentiment::warning(found) {
        screen.say(&format!("{} {warning}", screen.ink(Ink::Warning, "warning:")));
    }
    let told = found.readings.len() + found.missing.len();
    if told < args.days as usize {
        screen.say(&format!(
            "{} {} were asked for, {} could be had",
            screen.ink(Ink::Warning, "note:"),
            text::count(u64::from(args.days), "day"),
            told
        ));
    }
    match (&args.out, args.chart) {
        (Some(path), _) => {
            let theme = match (picture, args.theme) {
                (Some(Picture::Png), Theme::Auto) => Theme::Light,
                (_, theme) => theme,
            };
            let drawn = days::picture(&days_of(found, false)?, theme);
            let bytes = match picture {
                Some(Picture::Png) => png::render(&drawn)?,
                _ => drawn.into_bytes(),
            };
            super::save(path, &bytes).await?;
        }
        (None, true) => {
            let color = screen.stdout_color;
            let drawn = days::draw(&days_of(found, color)?, screen.width, CHART_ROWS, color, sentiment::ink);
            output::print(&drawn)?;
        }
        (None, false) => {
            let format = output::latest_format(args.latest.format, screen);
            output::print(&sentiment::text(found, format, screen))?;
        }
    }
    if found.measure.is_primary() {
        screen.say(&screen.ink(Ink::Faint, sentiment::ATTRIBUTION));
    }
    Ok(Exit::Complete)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Picture {
    Png,
    Svg,
}

fn picture(path: &Path) -> Result<Picture, Failure> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "png" => Ok(Picture::Png),
        "svg" => Ok(Picture::Svg),
        _ => Err(Failure::bad_input(format!(
            "{}: expected a file ending in .png or .svg",
            path.display()
        ))),
    }
}

fn days_of(found: &Sentiment, color: bool) -> Result<Days, Failure> {
    if !sentiment::is_percentage(&found.measure) {
        let what = found.measure.describe();
        return Err(Failure::new(
            Exit::Unavailable,
            format!("there is nothing between 0 and 100 to draw: {what}"),
        )
        .hint("without --chart and --out it is printed"));
    }
    let readings: Vec<_> = found.readings.iter().map(|r| (r.at, r.value)).collect();
    Ok(Days::new(
        sentiment::title(found, color),
        sentiment::summary(found),
        &readings,
    ))
}
