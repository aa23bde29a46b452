//! The SVG as pixels.
//!
//! The font travels in the program (Ubuntu Light, under the Ubuntu font licence), so that a server without fonts draws
//! the same picture as a desktop.

use std::sync::Arc;

use resvg::{tiny_skia, usvg};

use crate::exit::{Exit, Failure};

/// Draws an SVG document at its own size.
pub(crate) fn render(svg: &str) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::new(Exit::Unexpected, format!("the picture could not be drawn: {why}"));
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts
        .faces()
        .next()
        .and_then(|face| face.families.first())
        .map(|(name, _)| name.clone());
    if let Some(family) = family {
        fonts.set_sans_serif_family(family);
    }
    let options = usvg::Options {
        fontdb: Arc::new(fonts),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|e| failed(e.to_string()))?;
    let size = tree.size().to_int_size();
    let mut pixels =
        tiny_skia::Pixmap::new(size.width(), size.height()).ok_or_else(|| failed("no such size".into()))?;
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| failed(e.to_string()))
}
