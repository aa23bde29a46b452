//! An answer in Python's hands: its rows by the Arrow C interfaces, its story as JSON.
//!
//! Nothing is copied. What is handed out holds the answer's buffers, and those hold the mapped files, so a table stays
//! valid for as long as Python keeps it, whatever happens to the cache meanwhile. No pointer is made here: Arrow makes
//! the C structures, and the interpreter's capsules own them.

use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchIterator};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use evercandle::model::batch::{column_names, decimal_columns, schema_of};
use evercandle::model::funding;
use evercandle::{Answer, Batch, Gap, Segment, TimeRange, Timestamp};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

use crate::failure;
use crate::story;

/// Name of the column that says who supplied each row.
const SOURCE: &str = "source";

/// An answer. Immutable, so any number of threads may use it.
#[pyclass(frozen, name = "Klines", module = "evercandle._native")]
pub(crate) struct NativeKlines {
    answer: Arc<Answer>,
}

impl NativeKlines {
    pub(crate) fn new(answer: Answer) -> NativeKlines {
        NativeKlines {
            answer: Arc::new(answer),
        }
    }

    fn schema(&self, source: bool) -> SchemaRef {
        let stored = schema_of(&self.answer.series);
        if !source {
            return stored;
        }
        let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let mut fields = stored.fields().to_vec();
        fields.push(Arc::new(Field::new(SOURCE, kind, false)));
        Arc::new(Schema::new(fields))
    }

    /// Who supplied each row of a batch.
    fn sources(&self, batch: &Batch) -> ArrayRef {
        let mut builder = StringDictionaryBuilder::<Int32Type>::new();
        let mut segments = self.answer.segments.iter().peekable();
        for &micros in batch.open_times() {
            let open_time = Timestamp::from_micros(micros);
            while segments.next_if(|segment| segment.range.end() <= open_time).is_some() {}
            match segments.peek() {
                Some(segment) => builder.append_value(segment.origin.provider.as_str()),
                // Every row lies in a segment; an answer that broke this promise still does not invent a source.
                None => builder.append_value(""),
            }
        }
        Arc::new(builder.finish())
    }

    /// Position of a column.
    fn position(&self, name: &str) -> Option<usize> {
        let names = column_names(self.answer.series.kind());
        names.iter().position(|known| *known == name)
    }

    /// The batch that a row of the answer is in, and which of its rows it is.
    fn locate(&self, position: usize) -> Option<(&Batch, usize)> {
        let mut left = position;
        for batch in &self.answer.batches {
            if left < batch.len() {
                return Some((batch, left));
            }
            left -= batch.len();
        }
        None
    }

    fn rows(&self, source: bool) -> Result<Vec<RecordBatch>, ArrowError> {
        let schema = self.schema(source);
        let batches = self.answer.batches.iter().filter(|batch| !batch.is_empty());
        batches
            .map(|batch| {
                let mut columns = batch.rows().columns().to_vec();
                if source {
                    columns.push(self.sources(batch));
                }
                RecordBatch::try_new(schema.clone(), columns)
            })
            .collect()
    }

    fn part(&self, start: i64, end: i64) -> NativeKlines {
        let whole = &self.answer;
        let asked = TimeRange::clamped(Timestamp::from_micros(start), Timestamp::from_micros(end));
        let range = whole.grid.align(asked).intersect(whole.range);
        let batches = whole.batches.iter().map(|batch| batch.slice(range));
        let segments = whole.segments.iter().map(|segment| Segment {
            range: segment.range.intersect(range),
            ..segment.clone()
        });
        let gaps = whole.gaps.iter().map(|gap| Gap {
            range: gap.range.intersect(range),
            ..gap.clone()
        });
        NativeKlines::new(Answer {
            series: whole.series.clone(),
            range,
            grid: whole.grid,
            batches: batches.filter(|batch| !batch.is_empty()).collect(),
            segments: segments.filter(|segment| !segment.range.is_empty()).collect(),
            gaps: gaps.filter(|gap| !gap.range.is_empty()).collect(),
            resting: whole.resting,
            trail: whole.trail.clone(),
            notices: whole.notices.clone(),
        })
    }
}

#[pymethods]
impl NativeKlines {
    fn __len__(&self) -> usize {
        self.answer.len()
    }

    /// `(exchange, market, symbol, interval)`; for the interval of funding rates `fundingRate`.
    fn series(&self) -> (&'static str, &'static str, String, &'static str) {
        let series = &self.answer.series;
        let symbol = series.symbol().as_str().to_owned();
        let (market, interval) = (series.market().as_str(), series.label());
        (series.exchange().as_str(), market, symbol, interval)
    }

    /// The slots asked for, in microseconds.
    fn range(&self) -> (i64, i64) {
        let range = self.answer.range;
        (range.start().as_micros(), range.end().as_micros())
    }

    fn is_complete(&self) -> bool {
        self.answer.is_complete()
    }

    /// Everything but the rows, as JSON.
    fn story(&self, py: Python<'_>) -> PyResult<String> {
        failure::guarded(py, || py.detach(|| story::answer(&self.answer).to_string()))
    }

    #[pyo3(signature = (source = false))]
    fn arrow_c_schema<'py>(&self, py: Python<'py>, source: bool) -> PyResult<Bound<'py, PyCapsule>> {
        let exported = FFI_ArrowSchema::try_from(self.schema(source).as_ref()).map_err(arrow_error)?;
        PyCapsule::new_with_value(py, exported, c"arrow_schema")
    }

    #[pyo3(signature = (source = false))]
    fn arrow_c_stream<'py>(&self, py: Python<'py>, source: bool) -> PyResult<Bound<'py, PyCapsule>> {
        let rows = failure::guarded(py, || self.rows(source))?.map_err(arrow_error)?;
        let rows = rows.into_iter().map(Ok);
        let reader = RecordBatchIterator::new(rows, self.schema(source));
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), c"arrow_array_stream")
    }

    /// A column's pieces, in order: one per stored file that had a part in the answer.
    fn column(&self, py: Python<'_>, name: &str) -> PyResult<Vec<Column>> {
        let index = self.position(name).ok_or_else(|| {
            let names = column_names(self.answer.series.kind()).join(", ");
            let why = format!("no column {name:?}: expected one of {names}");
            failure::raise(py, "bad_request", &why)
        })?;
        failure::guarded(py, || {
            let batches = self.answer.batches.iter().filter(|batch| !batch.is_empty());
            batches.map(|batch| Column::of(batch, index)).collect()
        })
    }

    /// One row: its values in the order of the columns; `None` beyond the last.
    fn row(&self, py: Python<'_>, position: usize) -> PyResult<Option<Vec<Option<Cell>>>> {
        failure::guarded(py, || {
            let (batch, row) = self.locate(position)?;
            let columns = 0..column_names(batch.series().kind()).len();
            Some(columns.map(|column| cell(batch, row, column)).collect())
        })
    }

    /// One decimal of one row as the exchange printed it; `None` where there is no such row, the column is no decimal,
    /// or whoever supplied the row does not publish it.
    fn printed(&self, py: Python<'_>, position: usize, name: &str) -> PyResult<Option<String>> {
        failure::guarded(py, || {
            let (batch, row) = self.locate(position)?;
            batch.print(row, self.position(name)?)
        })
    }

    /// The part that opens from `start` to before `end`, in microseconds, with its own story.
    fn between(&self, py: Python<'_>, start: i64, end: i64) -> PyResult<NativeKlines> {
        failure::guarded(py, || self.part(start, end))
    }
}

/// A number of a row.
#[derive(IntoPyObject)]
pub(crate) enum Cell {
    Whole(i64),
    Double(f64),
}

/// `None` for what was not published.
fn cell(batch: &Batch, row: usize, column: usize) -> Option<Cell> {
    if batch.is_null(row, column) {
        return None;
    }
    let kind = batch.series().kind();
    if decimal_columns(kind).contains(&column) {
        return batch.floats(column).get(row).copied().map(Cell::Double);
    }
    let whole = match column_names(kind)[column] {
        "interval_hours" => funding::interval_hours(batch, row),
        "close_time" => batch.close_times().get(row).copied(),
        "count" => batch.counts().get(row).copied(),
        _ => batch.open_times().get(row).copied(),
    };
    whole.map(Cell::Whole)
}

/// A stretch of one column in memory, for NumPy: `numpy.asarray(column)` is a read-only view that keeps it alive.
#[pyclass(frozen, module = "evercandle._native")]
pub(crate) struct Column {
    batch: Batch,
    index: usize,
    /// NumPy knows no nulls: of a column that may have some, the doubles, with NaN for what was not published.
    told: Option<Vec<f64>>,
}

impl Column {
    fn of(batch: &Batch, index: usize) -> Column {
        let told = |row| match cell(batch, row, index) {
            Some(Cell::Double(value)) => value,
            Some(Cell::Whole(whole)) => whole as f64,
            None => f64::NAN,
        };
        let may_be_null = schema_of(batch.series()).field(index).is_nullable();
        Column {
            batch: batch.clone(),
            index,
            told: may_be_null.then(|| (0..batch.len()).map(told).collect()),
        }
    }
}

#[pymethods]
impl Column {
    fn __len__(&self) -> usize {
        self.batch.len()
    }

    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let name = column_names(self.batch.series().kind())[self.index];
        let (kind, address) = match (&self.told, name) {
            (Some(told), _) => ("<f8", told.as_ptr().addr()),
            (None, "open_time" | "funding_time") => ("<M8[us]", self.batch.open_times().as_ptr().addr()),
            (None, "close_time") => ("<M8[us]", self.batch.close_times().as_ptr().addr()),
            (None, "count") => ("<i8", self.batch.counts().as_ptr().addr()),
            (None, _) => ("<f8", self.batch.floats(self.index).as_ptr().addr()),
        };
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("shape", (self.batch.len(),))?;
        interface.set_item("typestr", kind)?;
        interface.set_item("data", (address, true))?;
        Ok(interface)
    }
}

fn arrow_error(error: ArrowError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
