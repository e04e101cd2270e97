//! Metrics that a story can inspect.

use std::sync::{Arc, Mutex};

use runtime::telemetry::{Measure, Metric, Metrics};

/// Collects every metric that is put into [`CollectedMetrics::metrics`]; clones share what is collected.
#[derive(Debug, Clone, Default)]
pub struct CollectedMetrics(Arc<Mutex<Vec<Metric>>>);

impl CollectedMetrics {
    /// The sink to hand to the code under test.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let collected = Arc::clone(&self.0);
        Metrics::from_fn(move |metric| collected.lock().unwrap().push(metric.clone()))
    }

    /// Everything so far, in order.
    #[must_use]
    pub fn all(&self) -> Vec<Metric> {
        self.0.lock().unwrap().clone()
    }

    /// How often one metric was put.
    #[must_use]
    pub fn count(&self, measure: Measure) -> usize {
        self.0.lock().unwrap().iter().filter(|metric| metric.measure == measure).count()
    }

    /// The sum of all values of one metric; 0 if there is none.
    #[must_use]
    pub fn sum(&self, measure: Measure) -> f64 {
        self.0.lock().unwrap().iter().filter(|metric| metric.measure == measure).map(|metric| metric.value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_kept_and_summed_by_name() {
        let collected = CollectedMetrics::default();
        let metrics = collected.metrics();
        metrics.put(&Metric::count(Measure::PushRefused, 1).with_dimension("signature"));
        metrics.put(&Metric::count(Measure::PushRefused, 2).with_dimension("padding"));
        metrics.put(&Metric::count(Measure::SecondIssuer, 1));
        assert!((collected.sum(Measure::PushRefused) - 3.0).abs() < f64::EPSILON);
        assert!(collected.sum(Measure::Failed).abs() < f64::EPSILON);
        assert_eq!((collected.count(Measure::PushRefused), collected.all().len()), (2, 3));
    }
}
