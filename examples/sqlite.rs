//! Connections to `SQLite` that are reused: a hundred inserts from twenty tasks, on threads, over three
//! connections.

use std::time::Duration;

use rusqlite::Connection;
use spinney::{Pool, ResourcePool, block_on, unblock};

fn open(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // Writers of one file wait for each other.
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.execute("CREATE TABLE IF NOT EXISTS squares (n INTEGER, square INTEGER)", ())?;
    Ok(connection)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("squares.db");
    block_on(async {
        let create = move || {
            let path = path.clone();
            async move { unblock(move || open(&path)).await.expect("opening does not panic") }
        };
        let connections = ResourcePool::builder(create)
            .max_size(3)
            // A connection that is left inside of a transaction is not used again.
            .recycle(|connection, _| Box::pin(std::future::ready(connection.is_autocommit())))
            .build();

        let pool = connections.clone();
        let insert = move |n: i64| {
            let pool = pool.clone();
            async move {
                let item = pool.item().await.expect("the file can be opened");
                // The item goes to the thread. Should the closure panic, it is discarded.
                unblock(move || item.execute("INSERT INTO squares VALUES (?, ?)", (n, n * n))).await
            }
        };
        for inserted in Pool::new(20).map(insert, 0..100).await? {
            assert_eq!(inserted??, 1);
        }

        let item = connections.item().await?;
        let sum = "SELECT count(*), sum(square) FROM squares";
        let read = move || item.query_row(sum, (), |row| Ok((row.get(0)?, row.get(1)?)));
        let (rows, sum): (i64, i64) = unblock(read).await??;
        assert!(connections.len() <= 3);
        println!("{rows} rows over at most 3 connections, the squares sum up to {sum}");
        Ok(())
    })
}
