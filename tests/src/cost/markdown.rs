//! Tables of a Markdown page: each is below a line `<!-- table: NAME -->`, which a reader does not see.

use std::collections::BTreeMap;

/// The figures of a table, named by its first column, with values in the second.
pub(super) struct Figures {
    table: String,
    by_name: BTreeMap<String, f64>,
}

impl Figures {
    pub(super) fn get(&self, name: &str) -> f64 {
        *self.by_name.get(name).unwrap_or_else(|| panic!("docs/cost.md: the table {} has no line {name:?}", self.table))
    }
}

pub(super) struct Page {
    path: &'static str,
    lines: Vec<String>,
}

impl Page {
    pub(super) fn new(path: &'static str, text: &str) -> Self {
        Self { path, lines: text.lines().map(str::to_owned).collect() }
    }

    pub(super) fn into_text(self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// The first and the last line of a table, head included.
    fn place(&self, name: &str) -> std::ops::Range<usize> {
        let marker = format!("<!-- table: {name} -->");
        let at = self.lines.iter().position(|line| *line == marker);
        let at = at.unwrap_or_else(|| panic!("{} has no line {marker}", self.path));
        let first = (at + 1..self.lines.len()).find(|line| self.lines[*line].starts_with('|'));
        let first = first.unwrap_or_else(|| panic!("{} has no table below {marker}", self.path));
        let length = self.lines[first..].iter().take_while(|line| line.starts_with('|')).count();
        first..first + length
    }

    /// The cells of a table, without its head.
    pub(super) fn rows(&self, name: &str) -> Vec<Vec<String>> {
        let cells = |line: &String| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        self.lines[self.place(name)].iter().skip(2).map(cells).collect()
    }

    pub(super) fn figures(&self, name: &str) -> Figures {
        let figure = |row: Vec<String>| (row[0].clone(), parse(&row[1]));
        Figures { table: name.to_owned(), by_name: self.rows(name).into_iter().map(figure).collect() }
    }

    /// Replaces a table's lines; its head stays.
    pub(super) fn fill(&mut self, name: &str, rows: &[Vec<String>]) {
        let place = self.place(name);
        let lines = rows.iter().map(|row| format!("| {} |", row.join(" | ")));
        self.lines.splice(place.start + 2..place.end, lines);
    }
}

/// A figure with thousands separators.
pub(super) fn parse(cell: &str) -> f64 {
    cell.replace(',', "").parse().unwrap_or_else(|_| panic!("docs/cost.md: {cell:?} is not a figure"))
}

/// Dollars: cents below a hundred.
pub(super) fn dollars(amount: f64) -> String {
    if amount < 99.995 { format!("${amount:.2}") } else { format!("${}", thousands(amount)) }
}

/// A quantity, to a hundredth where it is small.
pub(super) fn quantity(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 { thousands(value) } else { format!("{value:.2}") }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
