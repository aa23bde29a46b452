//! A chart as SVG: small, self-contained, readable as text; also what the PNG and the HTML page are made of.
//!
//! Colours are classes, so that one file follows the viewer's light or dark preference. Renderers that know no media
//! queries get one theme, written out.

use std::fmt::Write;

#[cfg(test)]
use super::Reason;
use super::{Plot, ticks};
use crate::args::Theme;

/// Width and height at which text has its natural size.
const NATURAL: (f64, f64) = (1200.0, 640.0);
/// Width and height below which texts cannot be told from each other.
pub(crate) const LEAST: (u32, u32) = (300, 200);
/// Width of a character, as a share of its size: a little more than digits take.
const CHARACTER: f64 = 0.55;
/// Size of the lines below the title.
const SMALL: f64 = 13.5;
/// Share of the height that the volumes take.
const VOLUME_SHARE: f64 = 0.18;

/// Where things are, in pixels; the page's script needs it too.
pub(crate) struct Layout {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    /// Where prices end and the space before volumes begins.
    pub(crate) price_bottom: f64,
    pub(crate) volume_top: f64,
    pub(crate) bottom: f64,
    pub(crate) scale: f64,
    /// Whether the summary has a line of its own, for want of room beside the subtitle.
    summary_below: bool,
}

impl Layout {
    pub(crate) fn new((width, height): (u32, u32), plot: &Plot) -> Layout {
        let (width, height) = (f64::from(width), f64::from(height));
        let scale = (width / NATURAL.0).min(height / NATURAL.1).clamp(0.5, 4.0);
        let legend = if plot.legend.is_empty() && !plot.columns.iter().any(|c| c.unsettled) {
            0.0
        } else {
            24.0
        };
        let (left, right) = (18.0 * scale, width - 92.0 * scale);
        let summary = plot.summary().map_or(0.0, |summary| breadth(&summary, SMALL));
        let summary_below = (breadth(&plot.subtitle(), SMALL) + summary + SMALL) * scale > right - left;
        let top = if summary_below { 94.0 } else { 74.0 } * scale;
        let bottom = height - (34.0 + legend) * scale;
        let volume = (bottom - top) * VOLUME_SHARE;
        Layout {
            width,
            height,
            left,
            right,
            top,
            price_bottom: bottom - volume - 10.0 * scale,
            volume_top: bottom - volume,
            bottom,
            scale,
            summary_below,
        }
    }

    pub(crate) fn pitch(&self, plot: &Plot) -> f64 {
        (self.right - self.left) / plot.columns.len().max(1) as f64
    }
}

/// How many columns a picture of this width has: a candle needs a few pixels to be seen.
pub(crate) fn columns_max(width: u32) -> usize {
    (width as usize / 4).clamp(20, 600)
}

/// The chart as a document.
pub(crate) fn draw(plot: &Plot, size: (u32, u32), theme: Theme) -> String {
    let layout = Layout::new(size, plot);
    let mut out = String::new();
    let mut picture = Picture {
        plot,
        layout: &layout,
        out: &mut out,
    };
    picture.open(theme);
    picture.heading();
    if let Some((low, high)) = plot.prices() {
        picture.price_axis(low, high);
        picture.time_axis();
    }
    picture.open_plot();
    picture.gaps();
    match plot.prices() {
        Some((low, high)) => picture.candles(low, high),
        None => picture.empty(),
    }
    picture.push(format_args!("</svg>"));
    picture.legend();
    out.push_str("</svg>\n");
    out
}

struct Picture<'a> {
    plot: &'a Plot,
    layout: &'a Layout,
    out: &'a mut String,
}

/// Colours by class: name, property, light, dark.
const COLORS: [(&str, &str, &str, &str); 16] = [
    (".paper", "fill", "#ffffff", "#11151d"),
    (".title", "fill", "#131722", "#e8eaf0"),
    (".text", "fill", "#6a6f7d", "#9aa0ae"),
    (".rule", "stroke", "#e9ebf1", "#222834"),
    (".frame", "stroke", "#c9cdd8", "#3a4252"),
    (".up", "fill", "#1f9d8b", "#26b3a0"),
    (".up-wick", "stroke", "#1f9d8b", "#26b3a0"),
    (".down", "fill", "#e04b4b", "#ef5f5c"),
    (".down-wick", "stroke", "#e04b4b", "#ef5f5c"),
    (".last", "fill", "#2962ff", "#5b8cff"),
    (".last-line", "stroke", "#2962ff", "#5b8cff"),
    (".g-no_upstream_left", "fill", "#d6336c", "#f06595"),
    (".g-absent_upstream", "fill", "#7048e8", "#9775fa"),
    (".g-venue_halt", "fill", "#f08c00", "#ffa94d"),
    (".g-before_listing", "fill", "#868e96", "#868e96"),
    (".g-not_yet_closed", "fill", "#1c7ed6", "#4dabf7"),
];

/// How a document begins: its size, title and colours, and the paper.
pub(super) fn head((w, h): (f64, f64), title: &str, theme: Theme) -> String {
    let rules = |dark: bool| -> String {
        let rule = |(class, property, light, night): &(&str, &str, &str, &str)| {
            format!("{class}{{{property}:{}}}", if dark { night } else { light })
        };
        COLORS.iter().map(rule).collect()
    };
    let base = "text{font-family:system-ui,-apple-system,'Segoe UI',Ubuntu,sans-serif}\
        .title{font-weight:600}.wide{opacity:.16}.hollow{fill-opacity:.25}.bar{fill-opacity:.45}";
    let style = match theme {
        Theme::Light => format!("{base}{}", rules(false)),
        Theme::Dark => format!("{base}{}", rules(true)),
        Theme::Auto => format!(
            "{base}{}@media (prefers-color-scheme:dark){{{}}}",
            rules(false),
            rules(true)
        ),
    };
    let title = escape(title);
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" aria-label="{title}">
<title>{title}</title>
<style>{style}</style>
<rect class="paper" width="{w}" height="{h}"/>
"#
    )
}

impl Picture<'_> {
    fn push(&mut self, line: std::fmt::Arguments<'_>) {
        self.out
            .write_fmt(line)
            .and_then(|()| self.out.write_char('\n'))
            .expect("a String takes everything");
    }

    fn open(&mut self, theme: Theme) {
        let (w, h) = (self.layout.width, self.layout.height);
        self.out.push_str(&head((w, h), &self.plot.title(), theme));
    }

    fn text(&mut self, class: &str, x: f64, y: f64, size: f64, anchor: &str, text: &str) {
        let size = size * self.layout.scale;
        // Two spaces would be shown as one.
        let text = escape(text).replace("  ", "\u{a0}\u{a0} ");
        self.push(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" font-size="{size:.1}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    fn heading(&mut self) {
        let (plot, layout) = (self.plot, self.layout);
        let s = layout.scale;
        self.text("title", layout.left, 30.0 * s, 20.0, "start", &plot.title());
        // The line may run on above the prices' labels, and what is still too long is written smaller.
        let room = (layout.width - 2.0 * layout.left) / s;
        let fitting = |text: &str| SMALL * (room / breadth(text, SMALL)).min(1.0);
        let subtitle = plot.subtitle();
        self.text("text", layout.left, 53.0 * s, fitting(&subtitle), "start", &subtitle);
        match plot.summary() {
            Some(summary) if layout.summary_below => {
                self.text("text", layout.left, 73.0 * s, fitting(&summary), "start", &summary);
            }
            Some(summary) => self.text("text", layout.right, 53.0 * s, SMALL, "end", &summary),
            None => {}
        }
    }

    /// A picture in the picture, so that the page's script can zoom without moving the axes.
    fn open_plot(&mut self) {
        let layout = self.layout;
        let (x, y, w, h) = (
            layout.left,
            layout.top,
            layout.right - layout.left,
            layout.bottom - layout.top + 6.0,
        );
        self.push(format_args!(
            r#"<svg id="plot" x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" viewBox="{x:.1} {y:.1} {w:.1} {h:.1}" preserveAspectRatio="none">"#
        ));
    }

    /// Runs of columns with the same reason are one rectangle, from top to bottom. A column that has klines and lacks
    /// some shows a mark below instead.
    fn gaps(&mut self) {
        let (plot, layout) = (self.plot, self.layout);
        let pitch = layout.pitch(plot);
        let shown = |i: usize| plot.columns.get(i).and_then(|c| c.gap.map(|g| (g, c.bar.is_none())));
        let mut i = 0;
        while i < plot.columns.len() {
            let Some((reason, whole)) = shown(i) else {
                i += 1;
                continue;
            };
            let from = i;
            while shown(i) == Some((reason, whole)) {
                i += 1;
            }
            let x = layout.left + from as f64 * pitch;
            let width = (i - from) as f64 * pitch;
            let (class, y, height) = match whole {
                true => ("wide ", layout.top, layout.bottom - layout.top),
                false => ("", layout.bottom, 4.0 * layout.scale),
            };
            let name = reason.name();
            let label = escape(reason.label());
            self.push(format_args!(
                r#"<rect class="{class}g-{name}" x="{x:.2}" y="{y:.1}" width="{width:.2}" height="{height:.1}"><title>{label}</title></rect>"#
            ));
        }
    }

    fn price_axis(&mut self, low: f64, high: f64) {
        let (plot, layout) = (self.plot, self.layout);
        let s = layout.scale;
        let count = ((layout.price_bottom - layout.top) / (52.0 * s)) as usize;
        let (prices, digits) = ticks::prices(low, high, count.max(2));
        let (left, right) = (layout.left, layout.right);
        let last = plot.bars().last().map(|b| b.close);
        let last_y = last.map(|p| self.y(p, low, high));
        for price in prices {
            let y = self.y(price, low, high);
            self.push(format_args!(r#"<path class="rule" d="M{left:.1} {y:.1}H{right:.1}"/>"#));
            if last_y.is_none_or(|at| (at - y).abs() > 14.0 * s) {
                self.text(
                    "text",
                    right + 10.0 * s,
                    y + 4.5 * s,
                    13.0,
                    "start",
                    &ticks::price(price, digits),
                );
            }
        }
        if let (Some(price), Some(y)) = (last, last_y) {
            let digits = ticks::digits((high - low) / 200.0);
            self.push(format_args!(
                r#"<path class="last-line" stroke-dasharray="{0:.1} {0:.1}" stroke-width="{1:.1}" d="M{left:.1} {y:.1}H{right:.1}"/>"#,
                3.0 * s,
                0.8 * s
            ));
            self.text(
                "last",
                right + 10.0 * s,
                y + 4.5 * s,
                13.0,
                "start",
                &ticks::price(price, digits),
            );
        }
        let unit = plot.series.market().volume_unit().as_str();
        let volume = format!("{} {unit}", crate::text::short(plot.volume_max()));
        self.text(
            "text",
            right + 10.0 * s,
            layout.volume_top + 11.0 * s,
            12.0,
            "start",
            &volume,
        );
        self.push(format_args!(
            r#"<path class="frame" fill="none" d="M{left:.1} {0:.1}H{right:.1}M{right:.1} {1:.1}V{0:.1}"/>"#,
            layout.bottom, layout.top
        ));
    }

    fn time_axis(&mut self) {
        let (plot, layout) = (self.plot, self.layout);
        let s = layout.scale;
        let count = ((layout.right - layout.left) / (96.0 * s)) as usize;
        self.push(format_args!(r#"<g id="times">"#));
        for tick in ticks::times(plot, count.max(2)) {
            let x = layout.left + tick.column as f64 * layout.pitch(plot);
            self.push(format_args!(
                r#"<path class="rule" d="M{x:.1} {:.1}V{:.1}"/>"#,
                layout.top, layout.bottom
            ));
            if x < layout.right - 20.0 * s {
                self.text(
                    "text",
                    x.max(layout.left + 14.0 * s),
                    layout.bottom + 20.0 * s,
                    13.0,
                    "middle",
                    &tick.label,
                );
            }
        }
        self.push(format_args!("</g>"));
    }

    /// Wicks and bodies of a direction share one path each: small files, and quick to draw.
    fn candles(&mut self, low: f64, high: f64) {
        let (plot, layout) = (self.plot, self.layout);
        let pitch = layout.pitch(plot);
        let body = (pitch * 0.68).max(0.8);
        let stroke = (1.1 * layout.scale).min(pitch * 0.5).max(0.6);
        let volume_max = plot.volume_max().max(f64::MIN_POSITIVE);
        let volume_height = layout.bottom - layout.volume_top;
        for (rises, class) in [(true, "up"), (false, "down")] {
            let (mut wicks, mut bodies, mut hollow, mut volumes) = Default::default();
            for (i, column) in plot.columns.iter().enumerate() {
                let Some(bar) = column.bar.filter(|b| b.rises() == rises) else {
                    continue;
                };
                let middle = layout.left + (i as f64 + 0.5) * pitch;
                let left = middle - body / 2.0;
                let (top, bottom) = (
                    self.y(bar.open.max(bar.close), low, high),
                    self.y(bar.open.min(bar.close), low, high),
                );
                let filled: &mut String = if column.unsettled { &mut hollow } else { &mut bodies };
                rectangle(filled, left, top, body, (bottom - top).max(stroke));
                line(
                    &mut wicks,
                    middle,
                    self.y(bar.high, low, high),
                    self.y(bar.low, low, high),
                );
                let tall = (bar.volume / volume_max * volume_height).max(0.4);
                rectangle(&mut volumes, left, layout.bottom - tall, body, tall);
            }
            self.push(format_args!(r#"<path class="{class} bar" d="{volumes}"/>"#));
            self.push(format_args!(
                r#"<path class="{class}-wick" stroke-width="{stroke:.2}" fill="none" vector-effect="non-scaling-stroke" d="{wicks}"/>"#
            ));
            self.push(format_args!(r#"<path class="{class}" d="{bodies}"/>"#));
            if !hollow.is_empty() {
                self.push(format_args!(
                    r#"<path class="{class} hollow {class}-wick" stroke-dasharray="2 1.5" vector-effect="non-scaling-stroke" d="{hollow}"/>"#
                ));
            }
        }
    }

    fn empty(&mut self) {
        let layout = self.layout;
        let (x, y) = ((layout.left + layout.right) / 2.0, (layout.top + layout.bottom) / 2.0);
        self.text("text", x, y, 18.0, "middle", "no klines");
    }

    fn legend(&mut self) {
        let (plot, layout) = (self.plot, self.layout);
        let s = layout.scale;
        let y = layout.height - 14.0 * s;
        let mut x = layout.left;
        for missing in &plot.legend {
            let sentence = missing.sentence();
            let name = missing.reason.name();
            self.push(format_args!(
                r#"<rect class="g-{name}" opacity=".55" x="{x:.1}" y="{:.1}" width="{1:.1}" height="{1:.1}" rx="2"/>"#,
                y - 10.0 * s,
                11.0 * s
            ));
            self.text("text", x + 17.0 * s, y, 13.0, "start", &sentence);
            x += (17.0 + sentence.chars().count() as f64 * 6.9 + 18.0) * s;
        }
        if plot.columns.iter().any(|c| c.unsettled) {
            self.text("text", x, y, 13.0, "start", "dashed: may still change");
        }
    }

    fn y(&self, price: f64, low: f64, high: f64) -> f64 {
        // A little air above and below, so that extremes do not touch the frame.
        let margin = (high - low) * 0.03;
        let share = (price - low + margin) / (high - low + 2.0 * margin);
        self.layout.price_bottom - share * (self.layout.price_bottom - self.layout.top)
    }
}

fn rectangle(path: &mut String, x: f64, y: f64, width: f64, height: f64) {
    write!(path, "M{x:.2} {y:.2}h{width:.2}v{height:.2}h-{width:.2}z").expect("a String takes everything");
}

fn line(path: &mut String, x: f64, from: f64, to: f64) {
    write!(path, "M{x:.2} {from:.2}V{to:.2}").expect("a String takes everything");
}

/// How wide a text is, before scaling.
fn breadth(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * CHARACTER
}

/// Text as XML wants it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// All reasons, so that a missing colour is found by a test and not by a reader.
#[cfg(test)]
pub(super) const REASONS: [Reason; 5] = [
    Reason::NoUpstreamLeft,
    Reason::AbsentUpstream,
    Reason::VenueHalt,
    Reason::BeforeListing,
    Reason::NotYetClosed,
];

#[cfg(test)]
pub(super) fn has_color(reason: Reason) -> bool {
    COLORS
        .iter()
        .any(|(class, ..)| *class == format!(".g-{}", reason.name()))
}
