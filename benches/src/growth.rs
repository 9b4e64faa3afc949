//! Counts the instructions of operations at one size and at four times that, to check that none
//! costs more among many. Times are less useful here: items beyond the cache cost more in any
//! program.

use std::error::Error;

use crate::instructions::count;
use crate::load::Load;
use crate::table;
use crate::workload::Workload;
use crate::workloads::growth::ID;

const ITEMS: [u32; 2] = [10_000, 40_000];

/// Four times the work may cost this much more: a logarithm, or an array that doubles.
const AT_MOST: f64 = 5.0;

/// Counts, and prints how much more four times the work costs.
///
/// # Errors
///
/// If callgrind is missing, or an operation costs more than five times as much.
pub(crate) fn check(workloads: &[Workload]) -> Result<(), Box<dyn Error>> {
    let workload = workloads.iter().find(|workload| workload.id == ID);
    let workload = workload.ok_or("there is no workload of growth")?;
    let mut rows = Vec::new();
    for rival in &workload.rivals {
        eprintln!("counting {}", rival.name);
        let counts = ITEMS.map(|items| count(workload, rival, Load { items, ..workload.load }));
        let [few, many] = counts;
        rows.push((rival.name.as_str(), few?, many?));
    }
    println!("{}", table::growth(ITEMS, &rows));
    let steep = rows.iter().filter(|(_, few, many)| many / few > AT_MOST);
    let steep: Vec<&str> = steep.map(|(name, ..)| *name).collect();
    if steep.is_empty() {
        Ok(())
    } else {
        Err(format!("more than {AT_MOST} times: {}", steep.join("; ")).into())
    }
}
