#!/usr/bin/env python3
"""Read a Samara repository with python-tuf and compare what arrives.

Needs the PyPI package `tuf`. Exit 0: refreshed, downloaded, and the bytes are as expected; exit 1 otherwise.
"""

import argparse
import json
import pathlib
import sys
import tempfile


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--metadata-url", required=True)
    parser.add_argument("--targets-url", required=True)
    parser.add_argument("--root", required=True, type=pathlib.Path, help="trusted root.json")
    parser.add_argument("--target", required=True, action="append", help="target name; may be repeated")
    parser.add_argument(
        "--expect", action="append", type=pathlib.Path, default=[], help="file with the target's bytes, same order"
    )
    arguments = parser.parse_args()
    if arguments.expect and len(arguments.expect) != len(arguments.target):
        parser.error("give one --expect per --target, or none")

    from tuf.api.exceptions import RepositoryError, DownloadError
    from tuf.ngclient import Updater

    with tempfile.TemporaryDirectory() as scratch:
        metadata = pathlib.Path(scratch, "metadata")
        downloads = pathlib.Path(scratch, "downloads")
        metadata.mkdir()
        downloads.mkdir()
        try:
            updater = Updater(
                metadata_dir=str(metadata),
                metadata_base_url=arguments.metadata_url,
                target_dir=str(downloads),
                target_base_url=arguments.targets_url,
                bootstrap=arguments.root.read_bytes(),
            )
            updater.refresh()
            seen = []
            for name, expected in zip(arguments.target, arguments.expect or [None] * len(arguments.target)):
                info = updater.get_targetinfo(name)
                if info is None:
                    print(f"python-tuf finds no target {name}", file=sys.stderr)
                    return 1
                path = pathlib.Path(updater.download_target(info))
                if expected is not None and path.read_bytes() != expected.read_bytes():
                    print(f"{name} differs from {expected}", file=sys.stderr)
                    return 1
                seen.append({"name": name, "length": info.length, "hashes": info.hashes, "custom": info.custom})
        except (RepositoryError, DownloadError, OSError, ValueError) as error:
            print(f"python-tuf refuses: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
    print(json.dumps({"targets": seen}, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
