//! What a hub costs that has nothing to do: the CPU time of a process whose four threads wait.
//!
//! Linux only: the time is read from `/proc/self/stat`, in ticks of 10 ms.

use std::error::Error;
use std::time::Duration;

use spinney::{Hub, sleep, yield_now};
use spinney_benches::Args;

fn main() -> Result<(), Box<dyn Error>> {
    let idle = Duration::from_secs(if Args::read()?.is_quick() { 1 } else { 5 });
    let hub = Hub::builder().threads(4).build()?;
    hub.block_on(yield_now());
    let before = cpu_ticks()?;
    futures_lite::future::block_on(sleep(idle));
    let ticks = cpu_ticks()? - before;
    let percent = f64::from(ticks) / idle.as_secs_f64();
    println!("hub_idle: 4 threads used {percent:.2} % of a core over {idle:?}");
    drop(hub);
    Ok(())
}

/// The CPU time of this process, in hundredths of a second.
fn cpu_ticks() -> Result<u32, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // After the name, which may contain anything, user time is the 12th field, system time the 13th.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    ticks.sum::<Result<u32, _>>().map_err(Into::into)
}
