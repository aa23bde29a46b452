//! What comes back is what was put in, whatever the order and the overlaps.

use super::fixture::*;
use crate::model::interval::{Grid, Interval};
use crate::model::range::{DAY, HOUR, MINUTE};

#[test]
fn what_was_written_is_read_back_digit_for_digit_by_this_process_and_the_next() {
    let dir = folder();
    let (series, grid) = (series(Interval::M1), Grid::new(Interval::M1, None));
    let range = span(day(2024, 1, 5), day(2024, 1, 6));
    let batch = every(&series, grid, range, 1);
    let store = open(dir.path());
    let written = store.write(&series, grid, vec![parcel(batch.clone())]).unwrap();
    assert_eq!((written.rows, written.files), (1_440, 1));
    assert_eq!(files(&store, &series), ["2024-01-05.g1.1440"]);
    for store in [store, open(dir.path())] {
        let held = store.read(&series, range);
        assert_eq!(held.covered.iter().collect::<Vec<_>>(), [range]);
        assert_eq!(held.pieces.len(), 1);
        assert_eq!(held.pieces[0].origin, origin("binance", now()));
        assert!(held.pieces[0].batch.same_klines(&batch));
        let hour = span(range.start().plus(HOUR), range.start().plus(2 * HOUR));
        assert!(joined(&store, &series, hour).same_klines(&batch.slice(hour)));
        let later = span(range.start().plus(DAY), range.start().plus(DAY + MINUTE));
        assert!(store.read(&series, later).pieces.is_empty());
    }
}
