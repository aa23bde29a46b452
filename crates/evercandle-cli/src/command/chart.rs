//! `chart`: candles in the terminal, or as a picture.

use std::io::Write;
use std::path::Path;

use evercandle::Forming;
use futures::StreamExt;

use crate::args::{Chart, Global, Theme};
use crate::chart::{Plot, html, png, svg, terminal};
use crate::exit::{Exit, Failure, missing};
use crate::explain;
use crate::gather::{Gathered, Query, query};
use crate::screen::Screen;
use crate::session::Session;

/// Candles drawn when no range is given.
const SLOTS_DEFAULT: u32 = 120;
/// Pixels of a picture when nothing is said.
const SIZE_DEFAULT: (u32, u32) = (1200, 640);
/// Lines around the prices in the terminal: title, summary, volumes, axis, legend, prompt.
const LINES_AROUND: usize = 12;
/// Lines of prices at the most when nothing is said.
const LINES_MAX: usize = 24;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Picture {
    Png,
    Svg,
    Html,
}

pub(crate) async fn run(args: &Chart, global: &Global, screen: &Screen) -> Result<Exit, Failure> {
    let series = args.series.series()?;
    let picture = args.out.as_deref().map(picture).transpose()?;
    if let (Some(_), Some((w, h))) = (picture, args.size)
        && (w < svg::LEAST.0 || h < svg::LEAST.1)
    {
        let (least_w, least_h) = svg::LEAST;
        return Err(Failure::bad_input(format!(
            "--size {w}x{h}: a picture takes at least {least_w}x{least_h}"
        )));
    }
    let session = Session::open(global, &args.upstreams.internet, screen)?;
    let range = args
        .range
        .resolve(session.now(), Some((series.interval(), SLOTS_DEFAULT)))?;
    let range = if args.forming {
        range
    } else {
        args.range.closed(range, series.interval())
    };
    let query = Query {
        forming: if args.forming {
            Forming::Include
        } else {
            Forming::Exclude
        },
        ..query(series, range, &args.upstreams)?
    };
    let size = args.size.unwrap_or(SIZE_DEFAULT);
    let width = args.size.map_or(screen.width, |(w, _)| w as usize);
    let columns_max = match picture {
        Some(_) => svg::columns_max(size.0),
        None => terminal::columns_max(width),
    };
    let mut gathered = Gathered::new(&query);
    let mut plot: Option<Plot> = None;
    let mut answers = std::pin::pin!(query.answers(&session.client));
    while let Some(window) = answers.next().await {
        for batch in gathered.take(window?) {
            let grid = gathered.story.grid;
            plot.get_or_insert_with(|| Plot::new(query.series.clone(), query.range, grid, columns_max))
                .add(&batch);
        }
    }
    let story = gathered.finish()?;
    if args.explain {
        screen.say(&explain::story(&story, screen));
    } else {
        super::notices(&story, screen);
    }
    let Some(mut plot) = plot.filter(|_| story.rows > 0) else {
        return Err(match story.is_complete() {
            true => Failure::bad_input(format!("{} {}: there is no kline to draw", story.series, story.range))
                .hint("`evercandle gaps` says why"),
            false => missing(&story),
        });
    };
    plot.finish(&story);
    match (picture, &args.out) {
        (Some(kind), Some(path)) => draw(kind, &plot, size, args.theme, path).await?,
        _ => {
            let drawn = match args.size {
                Some((w, h)) => terminal::fit(&plot, width, h as usize, screen.stdout_color).map_err(|least| {
                    Failure::bad_input(format!("--size {w}x{h}: this chart takes at least {w}x{least}"))
                })?,
                None => {
                    let rows = screen.height.saturating_sub(LINES_AROUND).clamp(8, LINES_MAX);
                    terminal::draw(&plot, width, rows, screen.stdout_color)
                }
            };
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(drawn.as_bytes())?;
            stdout.flush()?;
        }
    }
    // The chart shows its gaps; the exit code says that some might still be filled.
    Ok(if story.is_complete() {
        Exit::Complete
    } else {
        Exit::Incomplete
    })
}

fn picture(path: &Path) -> Result<Picture, Failure> {
    let ending = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match ending.as_str() {
        "png" => Ok(Picture::Png),
        "svg" => Ok(Picture::Svg),
        "html" | "htm" => Ok(Picture::Html),
        _ => Err(Failure::bad_input(format!(
            "{}: expected a file ending in .png, .svg or .html",
            path.display()
        ))),
    }
}

async fn draw(kind: Picture, plot: &Plot, size: (u32, u32), theme: Theme, path: &Path) -> Result<(), Failure> {
    let bytes = match kind {
        Picture::Svg => svg::draw(plot, size, theme).into_bytes(),
        Picture::Html => html::draw(plot, size, theme).into_bytes(),
        Picture::Png => {
            let theme = if theme == Theme::Dark {
                Theme::Dark
            } else {
                Theme::Light
            };
            png::render(&svg::draw(plot, size, theme))?
        }
    };
    super::save(path, &bytes).await
}
