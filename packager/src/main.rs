//! The `samara` command.

fn main() -> std::process::ExitCode {
    samara_packager::cli::main()
}
