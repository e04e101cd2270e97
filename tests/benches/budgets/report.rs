//! One line per budget, and whether all of them hold.

/// The measurements, compared with the budgets.
#[derive(Default)]
pub(crate) struct Report {
    failed: usize,
}

impl Report {
    /// A budget that `measured` must not exceed.
    pub(crate) fn at_most(&mut self, what: &str, budget: f64, measured: f64, unit: &str, note: &str) {
        self.line(what, "<=", budget, measured, unit, note, measured <= budget);
    }

    /// A budget that `measured` must reach.
    pub(crate) fn at_least(&mut self, what: &str, budget: f64, measured: f64, unit: &str, note: &str) {
        self.line(what, ">=", budget, measured, unit, note, measured >= budget);
    }

    /// A budget that cannot be measured on this machine, and why.
    pub(crate) fn not_measured(what: &str, why: &str) {
        println!("----  {what:<49} not measured: {why}");
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of a line")]
    fn line(&mut self, what: &str, sign: &str, budget: f64, measured: f64, unit: &str, note: &str, holds: bool) {
        let ratio = if budget > 0.0 { format!("{:4.2}", measured / budget) } else { "   -".to_owned() };
        let verdict = if holds { "PASS" } else { "FAIL" };
        self.failed += usize::from(!holds);
        println!(
            "{verdict}  {what:<49} budget {sign} {budget:>7.2} {unit:<6} measured {measured:>7.2}  ratio {ratio}  {note}"
        );
    }

    /// The number of exceeded budgets.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }
}

/// The middle value.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The 99th percentile.
pub(crate) fn percentile_99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}
