//! Shrinks pictures: a `Pool` for the I/O, which bounds the pictures in memory, and a `ThreadPool`
//! for the computation, which bounds the busy cores.
//!
//! The pictures are files of a simple format (binary PPM), which the program creates itself.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use spinney::{Pool, ThreadPool, block_on, unblock};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The factor by which a thumbnail is smaller, in each direction.
const FACTOR: usize = 8;

struct Picture {
    width: usize,
    height: usize,
    /// Row by row; red, green and blue.
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// A gradient, given its size and its shade of blue.
    fn new(width: usize, height: usize, blue: u8) -> Self {
        let shade = |at: usize, of: usize| u8::try_from(at * 255 / of).expect("at < of");
        let row = |y| (0..width).map(move |x| [shade(x, width), shade(y, height), blue]);
        Self { width, height, pixels: (0..height).flat_map(row).collect() }
    }

    fn parse(file: &[u8]) -> Option<Self> {
        let mut parts = file.splitn(4, |&byte| byte == b'\n');
        let (magic, size, most) = (parts.next()?, parts.next()?, parts.next()?);
        let (width, height) = std::str::from_utf8(size).ok()?.split_once(' ')?;
        let (width, height) = (width.parse().ok()?, height.parse().ok()?);
        let pixels: Vec<_> = parts.next()?.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
        let sound = magic == b"P6" && most == b"255" && pixels.len() == width * height;
        sound.then_some(Self { width, height, pixels })
    }

    fn to_file(&self) -> Vec<u8> {
        let head = format!("P6\n{} {}\n255\n", self.width, self.height);
        [head.as_bytes(), self.pixels.as_flattened()].concat()
    }

    /// Each pixel is the average of a square of pixels.
    fn thumbnail(&self) -> Self {
        let (width, height) = (self.width / FACTOR, self.height / FACTOR);
        let pixel = |at: usize| {
            let corner = at / width * FACTOR * self.width + at % width * FACTOR;
            [0, 1, 2].map(|colour| {
                let rows = (0..FACTOR).map(|y| &self.pixels[corner + y * self.width..][..FACTOR]);
                let sum: usize = rows.flatten().map(|pixel| usize::from(pixel[colour])).sum();
                u8::try_from(sum / (FACTOR * FACTOR)).expect("an average")
            })
        };
        Self { width, height, pixels: (0..width * height).map(pixel).collect() }
    }
}

/// Creates a thumbnail beside the picture at `path`.
async fn shrink(threads: ThreadPool, path: PathBuf) -> Result<String> {
    let target = path.with_extension("small.ppm");
    // The file system blocks. That costs no thread of the hub, and none of those that compute.
    let file = unblock(move || fs::read(path)).await??;
    let work = move || Picture::parse(&file).map(|picture| picture.thumbnail());
    let small = threads.apply(work).await?.ok_or("not a valid PPM")?;
    let said = format!("{}x{}, first {:?}", small.width, small.height, small.pixels[0]);
    unblock(move || fs::write(target, small.to_file())).await??;
    Ok(said)
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let paths: Vec<_> = (0..10).map(|n| folder.path().join(format!("{n}.ppm"))).collect();
    for (n, path) in (0..).zip(&paths) {
        let picture = Picture::new(320 + 16 * usize::from(n), 240, 20 * n);
        fs::write(path, picture.to_file())?;
    }
    fs::write(&paths[7], "not a picture")?;

    let threads = ThreadPool::builder().capacity(2).build();
    let job = move |path| shrink(threads.clone(), path);
    let (total, ended) = (paths.len(), AtomicUsize::new(0));
    let show = move |_| eprint!("\r{} of {total}", ended.fetch_add(1, Relaxed) + 1);
    let mapper = Pool::new(4).mapper().on_item(show);
    // One bad file does not stop the others.
    let thumbnails = block_on(mapper.try_map(job, paths).collect_all());
    eprintln!();
    for (n, thumbnail) in thumbnails.into_iter().enumerate() {
        match thumbnail {
            Ok(said) => println!("{n}.ppm: {said}"),
            Err(error) => println!("{n}.ppm: {error}"),
        }
    }
    let files = fs::read_dir(folder.path())?.count();
    println!("{files} files");
    Ok(())
}
