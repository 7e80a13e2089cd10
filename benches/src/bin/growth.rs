//! Time per multiply-accumulate while layers grow in channels, image and depth. It should be flat or fall.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use samara_benches::layers::{Kind, Layers};
use samara_benches::plot::{self, Chart, Line};
use samara_benches::time;
use samara_packager::error::{About, Result};
use samara_packager::files::{self, AlignedBytes};
use samara_packager::plan::Kernels;
use samara_runtime::{Bundle, Choice, Dtype, Session, ops};
use serde_json::json;

/// Time per multiply-accumulate while layers grow in channels, image and depth, as a picture.
#[derive(Debug, Parser)]
#[command(name = "samara-growth")]
struct Args {
    /// The picture, SVG.
    #[arg(short, long, default_value = "growth.svg")]
    output: PathBuf,
    /// The points as JSON, as well.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Times that every point is measured; the least counts.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Plain loops only.
    #[arg(long)]
    reference: bool,
}

/// One direction to grow in.
struct Sweep {
    title: &'static str,
    x: &'static str,
    sizes: &'static [usize],
    at: fn(Kind, Dtype, usize) -> Layers,
}

const SWEEPS: [Sweep; 3] = [
    Sweep {
        title: "channels, 16x16 pixels",
        x: "channels",
        sizes: &[4, 8, 16, 32, 64, 128, 256],
        at: |kind, dtype, channels| Layers { kind, dtype, side: 16, channels, depth: 1 },
    },
    Sweep {
        title: "image, 32 channels",
        x: "pixels along each side",
        sizes: &[2, 4, 8, 16, 32, 64, 128],
        at: |kind, dtype, side| Layers { kind, dtype, side, channels: 32, depth: 1 },
    },
    Sweep {
        title: "depth, 16x16 pixels, 32 channels",
        x: "layers in a row",
        sizes: &[1, 2, 4, 8, 16, 32],
        at: |kind, dtype, depth| Layers { kind, dtype, side: 16, channels: 32, depth },
    },
];

/// A loaded point and the least time seen of it.
struct Point {
    sweep: usize,
    layers: Layers,
    size: usize,
    bytes: AlignedBytes,
    nanoseconds: f64,
}

impl Point {
    fn measure(&mut self, choice: Choice) -> Result<()> {
        let bundle = Bundle::check(&self.bytes)?;
        let session = Session::load_with(&bundle, ops::ALL, choice)?;
        let mut arena = AlignedBytes::zeros(session.arena_bytes());
        let mut run = session.bind(&mut arena)?;
        time::fill_inputs(&mut run, &session)?;
        run.run()?;
        let seen = time::least(3, || {
            // Loaded sessions only fail for indices, which no layer here has.
            let _checked = std::hint::black_box(run.run());
        });
        self.nanoseconds = self.nanoseconds.min(seen);
        Ok(())
    }

    fn picoseconds_per_mac(&self) -> f64 {
        1e3 * self.nanoseconds / self.layers.macs() as f64
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("samara-growth: {e}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let (kernels, choice) = match args.reference {
        true => (Kernels::Reference, Choice::Reference),
        false => (Kernels::HOST, Choice::Auto),
    };
    let mut points = Vec::new();
    for dtype in [Dtype::I8, Dtype::F32] {
        for (sweep, Sweep { sizes, at, .. }) in SWEEPS.iter().enumerate() {
            for kind in Kind::ALL {
                for &size in *sizes {
                    let layers = at(kind, dtype, size);
                    let bytes = layers.bundle(kernels).about(format_args!("{layers:?}"))?;
                    points.push(Point { sweep, layers, size, bytes, nanoseconds: f64::INFINITY });
                }
            }
        }
    }
    // Every point in every round, so that a busy moment of the machine disturbs no single one.
    for _ in 0..args.rounds {
        for point in &mut points {
            point.measure(choice).about(format_args!("{:?}", point.layers))?;
        }
    }
    let charts = charts(&points);
    let title = match args.reference {
        true => "Time per multiply-accumulate, reference kernels",
        false => "Time per multiply-accumulate, one thread",
    };
    files::write_atomic(&args.output, plot::svg(title, "ps per MAC", &charts, SWEEPS.len()).as_bytes())?;
    if let Some(path) = &args.json {
        let rows: Vec<_> = points.iter().map(row).collect();
        files::write_atomic(path, format!("{:#}\n", json!(rows)).as_bytes())?;
    }
    table(&charts);
    eprintln!("wrote {}", args.output.display());
    Ok(())
}

fn row(point: &Point) -> serde_json::Value {
    json!({
        "sweep": SWEEPS[point.sweep].x,
        "layer": point.layers.kind.name(),
        "dtype": point.layers.dtype.name(),
        "size": point.size,
        "macs": point.layers.macs(),
        "time_us": point.nanoseconds / 1e3,
        "ps_per_mac": point.picoseconds_per_mac(),
    })
}

fn charts(points: &[Point]) -> Vec<Chart> {
    let mut charts = Vec::new();
    for dtype in [Dtype::I8, Dtype::F32] {
        for (sweep, Sweep { title, x, .. }) in SWEEPS.iter().enumerate() {
            let line = |(colour, kind): (usize, Kind)| {
                let of = |p: &&Point| (p.sweep, p.layers.kind, p.layers.dtype) == (sweep, kind, dtype);
                let points =
                    points.iter().filter(of).map(|p| (p.size as f64, p.picoseconds_per_mac())).collect();
                Line { name: kind.name(), colour, points }
            };
            let lines = Kind::ALL.into_iter().enumerate().map(line).collect();
            let title = format!("{}: {title}", dtype.name());
            charts.push(Chart { title, x: (*x).to_owned(), lines });
        }
    }
    charts
}

/// Every line in numbers, with its steepest rise between neighbours.
fn table(charts: &[Chart]) {
    for chart in charts {
        eprintln!("{} (ps per MAC)", chart.title);
        for line in &chart.lines {
            let numbers: String = line.points.iter().map(|p| format!("{:>5}: {:<8.3}", p.0, p.1)).collect();
            let rise = line.points.windows(2).map(|w| w[1].1 / w[0].1).fold(0.0, f64::max);
            eprintln!("  {:<16} {numbers} steepest {rise:.2}", line.name);
        }
    }
}
