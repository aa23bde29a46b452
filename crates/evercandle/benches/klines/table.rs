//! One table, in characters.

/// What would be good enough.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// Seconds.
    Within(f64),
    /// Times the alternative.
    Ratio(f64),
    /// None was set.
    None,
}

/// One comparison.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Seconds.
    pub(crate) ours: f64,
    pub(crate) alternative: String,
    /// Seconds.
    pub(crate) theirs: f64,
    pub(crate) aim: Aim,
    /// Bytes, ours and theirs.
    pub(crate) peaks: [f64; 2],
}

/// Comparisons, and what does not fit into columns.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(crate) fn print(&self, legend: &[&str]) {
        let heading = [
            "",
            "median",
            "alternative",
            "median",
            "ratio",
            "aim",
            "peak",
            "its peak",
        ]
        .map(str::to_owned);
        let lines: Vec<[String; 8]> = std::iter::once(heading).chain(self.rows.iter().map(cells)).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..8).map(width).collect();
        println!();
        for line in &lines {
            let padded = line
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| match column {
                    0 | 2 | 5 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                });
            println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
        }
        println!();
        for note in &self.notes {
            println!("{note}");
        }
        for line in legend {
            println!("{line}");
        }
    }
}

fn cells(row: &Row) -> [String; 8] {
    let ratio = row.ours / row.theirs;
    let (aim, reached) = match row.aim {
        Aim::None => (String::new(), None),
        Aim::Within(seconds) => (format!("≤ {}", time(seconds)), Some(row.ours <= seconds)),
        Aim::Ratio(most) => (format!("≤ {most} ×"), Some(ratio <= most)),
    };
    let reached = match reached {
        None => "",
        Some(true) => " ✓",
        Some(false) => " ✗",
    };
    [
        row.name.clone(),
        time(row.ours),
        row.alternative.clone(),
        time(row.theirs),
        if ratio < 0.01 {
            format!("{ratio:.4}")
        } else {
            format!("{ratio:.2}")
        },
        format!("{aim}{reached}"),
        format!("{:.0} MB", row.peaks[0] / 1e6),
        format!("{:.0} MB", row.peaks[1] / 1e6),
    ]
}

/// Three digits and a unit.
fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}
