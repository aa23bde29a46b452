//! The SVG on a page that answers the pointer: values of the candle below it, zoom with the wheel, double click for all.
//!
//! One file, no request to anywhere: it can be mailed.

use serde_json::json;

use super::svg::{self, Layout, escape};
use super::{Plot, ticks};
use crate::args::Theme;

const PAGE: &str = include_str!("page.html");

/// The page.
pub(crate) fn draw(plot: &Plot, size: (u32, u32), theme: Theme) -> String {
    let layout = Layout::new(size, plot);
    let digits = plot
        .prices()
        .map_or(2, |(low, high)| ticks::digits((high - low) / 1000.0));
    let columns: Vec<_> = plot
        .columns
        .iter()
        .map(|c| {
            let bar = c.bar.map(|b| {
                let price = |p: f64| ticks::price(p, digits);
                json!([
                    price(b.open),
                    price(b.high),
                    price(b.low),
                    price(b.close),
                    crate::text::short(b.volume)
                ])
            });
            json!([
                crate::text::instant(c.range.start()),
                bar,
                c.gap.map(|g| g.label()),
                u8::from(c.unsettled)
            ])
        })
        .collect();
    let data = json!({
        "left": layout.left, "right": layout.right, "top": layout.top, "bottom": layout.bottom,
        "columns": columns,
    });
    let scheme = match theme {
        Theme::Auto => "light dark",
        Theme::Light => "light",
        Theme::Dark => "dark",
    };
    // "</" would end the script early; JSON may escape the slash.
    let data = data.to_string().replace("</", "<\\/");
    PAGE.replace("{{scheme}}", scheme)
        .replace("{{title}}", &escape(&plot.title()))
        .replace("{{svg}}", &svg::draw(plot, size, theme))
        .replace("{{data}}", &data)
}
