//! Load and run with nothing around them: what sizes, symbols and the panic-free proof are taken from.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod bare {
    use core::hint::black_box;
    use core::panic::PanicInfo;

    use samara_cortex_m::flash::{self, Aligned};
    #[cfg(not(feature = "list-none"))]
    use samara_runtime::{Bundle, Error, Session};

    #[cortex_m_rt::entry]
    fn main() -> ! {
        static mut ARENA: Aligned<[u8; flash::ARENA_BYTES]> = Aligned([0; flash::ARENA_BYTES]);
        black_box(infer(&mut ARENA.0));
        loop {
            core::hint::spin_loop();
        }
    }

    /// The whole life of a session; returns the error's number, 0 for none.
    #[cfg(not(feature = "list-none"))]
    #[inline(never)]
    fn infer(arena: &mut [u8]) -> u16 {
        fn whole(arena: &mut [u8]) -> Result<(), Error> {
            let bundle = Bundle::parse(flash::bundle())?;
            let session = Session::load(&bundle, flash::OPS)?;
            let mut run = session.bind(arena)?;
            if let Some(golden) = &bundle.golden {
                run.self_test(golden)?;
            }
            for i in 0..black_box(usize::from(bundle.plan.header.inputs)) {
                black_box(run.input(i)?);
            }
            run.run()?;
            #[cfg(feature = "planted-panic")]
            assert!(black_box(true), "planted");
            for o in 0..black_box(usize::from(bundle.plan.header.outputs)) {
                black_box(run.output(o)?.bytes());
            }
            Ok(())
        }
        whole(arena).map_or_else(Error::code, |()| 0)
    }

    /// The same harness around nothing.
    #[cfg(feature = "list-none")]
    #[inline(never)]
    fn infer(arena: &mut [u8]) -> u16 {
        black_box((arena, flash::bundle()));
        0
    }

    #[cfg(feature = "panic-free")]
    #[panic_handler]
    fn panic(_: &PanicInfo<'_>) -> ! {
        #![allow(unsafe_code)]
        unsafe extern "C" {
            fn samara_a_panic_path_is_left() -> !;
        }
        // SAFETY: never executed: the symbol is undefined, so a program that could reach this does not link.
        unsafe { samara_a_panic_path_is_left() }
    }

    #[cfg(not(feature = "panic-free"))]
    #[panic_handler]
    fn panic(_: &PanicInfo<'_>) -> ! {
        loop {
            core::hint::spin_loop();
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("bare: this is firmware; build it with --target thumbv7em-none-eabihf");
    std::process::exit(2);
}
