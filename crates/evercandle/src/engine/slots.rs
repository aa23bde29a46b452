//! How many calls to one upstream may be in flight, and how many of them for nobody in particular.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::resilience::quota::Class;

/// One in so many slots is not for bulk.
const KEPT: usize = 4;

/// The slots of one upstream. Never closed.
pub(crate) struct Slots {
    all: Semaphore,
    /// Where bulk queues, so that nobody else queues behind it.
    bulk: Semaphore,
}

/// A slot, until it is dropped.
pub(crate) struct Slot<'a> {
    _slot: Option<SemaphorePermit<'a>>,
    _bulk: Option<SemaphorePermit<'a>>,
}

impl Slots {
    pub(crate) fn new(slots: usize) -> Slots {
        let slots = slots.max(1);
        Slots {
            all: Semaphore::new(slots),
            bulk: Semaphore::new((slots - slots / KEPT).max(1)),
        }
    }

    /// Waits for a slot.
    pub(crate) async fn acquire(&self, class: Class) -> Slot<'_> {
        let bulk = match class {
            Class::Bulk => self.bulk.acquire().await.ok(),
            Class::Interactive | Class::Probe => None,
        };
        Slot {
            _slot: self.all.acquire().await.ok(),
            _bulk: bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// How many slots a class gets when nobody gives any back.
    fn to_be_had(slots: usize, class: Class) -> usize {
        let slots = Slots::new(slots);
        let held: Vec<Slot> = (0..1_000).map_while(|_| slots.acquire(class).now_or_never()).collect();
        held.len()
    }

    #[test]
    fn bulk_leaves_a_quarter_to_those_who_are_waited_for() {
        for (slots, bulk) in [(0, 1), (1, 1), (2, 2), (4, 3), (8, 6), (100, 75)] {
            let had = [Class::Bulk, Class::Interactive].map(|class| to_be_had(slots, class));
            assert_eq!(had, [bulk, slots.max(1)], "of {slots}");
        }
    }

    #[test]
    fn a_queue_of_bulk_keeps_nobody_else_waiting() {
        let slots = Slots::new(8);
        let held: Vec<Slot> = (0..6)
            .filter_map(|_| slots.acquire(Class::Bulk).now_or_never())
            .collect();
        assert_eq!(held.len(), 6);
        let mut queued: Vec<_> = (0..100).map(|_| Box::pin(slots.acquire(Class::Bulk))).collect();
        assert!(queued.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        assert!(slots.acquire(Class::Interactive).now_or_never().is_some());
        drop(held);
        assert_eq!(queued.iter_mut().filter_map(|w| w.now_or_never()).count(), 100);
    }
}
