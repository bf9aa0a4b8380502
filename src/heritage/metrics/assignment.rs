//! The assignment problem on a sparse table of whole numbers.
//!
//! Shortest augmenting paths with dual prices, as in Jonker and Volgenant, but over the existing cells
//! instead of a full matrix: two clusterings of n models share at most n cells, however many clusters they
//! have.
//!
//! Each row has a profit u ≥ 0 and each column a price v ≥ 0 such that u + v ≥ w for every cell of weight w.
//! Assigned cells have u + v = w, and unassigned rows and columns have a profit or price of 0. So the sum of
//! all profits and prices is the weight of the assignment, which proves that no assignment is larger.
//!
//! References: Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse
//! linear assignment problems", 1987, doi 10.1007/BF02278710.

use core::cmp::Reverse;

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;

/// One cell of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) column: usize,
    pub(super) weight: usize,
}

/// The largest total weight of cells such that no two share a row or a column.
///
/// A row has at most one cell per column, all columns are below `columns`, and the sum of all weights must
/// not overflow. O(r·m log m) time for r rows and m cells, O(m + columns) space.
pub(super) fn largest_assignment(rows: &[Vec<Cell>], columns: usize) -> usize {
    let mut assignment = Assignment {
        rows,
        profit: vec![0; rows.len()],
        price: vec![0; columns],
        column_of: vec![None; rows.len()],
        owner: vec![None; columns],
    };
    let mut search = Search::new(columns);
    for row in 0..rows.len() {
        assignment.add(row, &mut search);
    }
    assignment.profit.iter().sum::<usize>() + assignment.price.iter().sum::<usize>()
}

struct Assignment<'a> {
    rows: &'a [Vec<Cell>],
    profit: Vec<usize>,
    price: Vec<usize>,
    column_of: Vec<Option<usize>>,
    owner: Vec<Option<usize>>,
}

/// The state of one search for a shortest path, reused to avoid allocating.
struct Search {
    distance: Vec<usize>,
    reached_from: Vec<usize>,
    reached: Vec<usize>,
    queue: BinaryHeap<Reverse<(usize, usize)>>,
}

/// The end of a path: a free column, or a row that becomes unassigned.
enum End {
    Column(usize),
    Row(usize),
}

impl Search {
    fn new(columns: usize) -> Self {
        Self {
            distance: vec![usize::MAX; columns],
            reached_from: vec![0; columns],
            reached: Vec::new(),
            queue: BinaryHeap::new(),
        }
    }

    fn reset(&mut self) {
        for column in self.reached.drain(..) {
            self.distance[column] = usize::MAX;
        }
        self.queue.clear();
    }
}

impl Assignment<'_> {
    /// Extends a largest assignment of the rows so far to one that includes `row`.
    fn add(&mut self, row: usize, search: &mut Search) {
        let best = |cell: &Cell| cell.weight.saturating_sub(self.price[cell.column]);
        self.profit[row] = self.rows[row].iter().map(best).max().unwrap_or(0);
        let (length, end) = self.shortest_path(row, search);
        self.reprice(row, length, search);
        self.augment(row, end, search);
        search.reset();
    }

    /// Dijkstra's algorithm. The length of a step is how far its cell is from u + v = w.
    fn shortest_path(&self, start: usize, search: &mut Search) -> (usize, End) {
        let mut best = (usize::MAX, start);
        let (mut row, mut distance) = (start, 0);
        loop {
            // Leaving a row unassigned costs its profit.
            best = best.min((distance + self.profit[row], row));
            for cell in &self.rows[row] {
                let slack = self.profit[row] + self.price[cell.column] - cell.weight;
                let through = distance + slack;
                let known = search.distance[cell.column];
                if through < known && through <= best.0 {
                    if known == usize::MAX {
                        search.reached.push(cell.column);
                    }
                    search.distance[cell.column] = through;
                    search.reached_from[cell.column] = row;
                    search.queue.push(Reverse((through, cell.column)));
                }
            }
            let next = loop {
                match search.queue.pop() {
                    Some(Reverse((length, column))) if length > search.distance[column] => {}
                    other => break other,
                }
            };
            match next {
                Some(Reverse((length, column))) if length <= best.0 => match self.owner[column] {
                    None => return (length, End::Column(column)),
                    Some(owner) => (row, distance) = (owner, length),
                },
                _ => return (best.0, End::Row(best.1)),
            }
        }
    }

    /// Adjusts profits and prices so that every step of the shortest path has length 0.
    fn reprice(&mut self, start: usize, length: usize, search: &Search) {
        self.profit[start] -= length;
        for &column in &search.reached {
            let change = length.saturating_sub(search.distance[column]);
            if let Some(owner) = self.owner[column].filter(|_| change > 0) {
                self.price[column] += change;
                self.profit[owner] -= change;
            }
        }
    }

    /// Gives each column on the path to the row it was reached from.
    fn augment(&mut self, start: usize, end: End, search: &Search) {
        let mut freed = match end {
            End::Column(column) => Some(column),
            End::Row(row) => self.column_of[row].take(),
        };
        while let Some(column) = freed {
            let row = search.reached_from[column];
            self.owner[column] = Some(row);
            freed = self.column_of[row].replace(column);
            if row == start {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tries all assignments: each row in turn takes any free column, or none.
    fn brute_force(table: &[Vec<usize>], taken: u32) -> usize {
        let Some((row, rest)) = table.split_first() else {
            return 0;
        };
        let with_column = row
            .iter()
            .enumerate()
            .filter(|(column, _)| taken & (1 << column) == 0)
            .map(|(column, weight)| weight + brute_force(rest, taken | 1 << column));
        with_column.fold(brute_force(rest, taken), usize::max)
    }

    fn sparse(table: &[Vec<usize>]) -> Vec<Vec<Cell>> {
        let cells = |row: &Vec<usize>| {
            let cells = row.iter().enumerate().filter(|&(_, &weight)| weight > 0);
            cells
                .map(|(column, &weight)| Cell { column, weight })
                .collect()
        };
        table.iter().map(cells).collect()
    }

    fn table() -> impl Strategy<Value = Vec<Vec<usize>>> {
        // Many zeros and few distinct values give sparse rows and ties.
        let weight = prop_oneof![3 => Just(0_usize), 4 => 1..4_usize, 2 => 1..1000_usize];
        (0..7_usize, 0..7_usize).prop_flat_map(move |(rows, columns)| {
            prop::collection::vec(prop::collection::vec(weight.clone(), columns), rows)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_assignment_is_larger(table in table()) {
            let columns = table.first().map_or(0, Vec::len);
            let found = largest_assignment(&sparse(&table), columns);
            prop_assert_eq!(found, brute_force(&table, 0));
        }
    }

    #[test]
    fn a_row_may_lose_its_column_permanently() {
        // The third row takes the first row's column, and no other is left for the first.
        let table = [vec![3, 0], vec![2, 9], vec![5, 9]];
        assert_eq!(largest_assignment(&sparse(&table), 2), 14);
        assert_eq!(brute_force(&table, 0), 14);
    }
}
