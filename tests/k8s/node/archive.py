"""Writes an image with one static binary to standard output, as `docker save` would: TAG BINARY."""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path


def archive(files: dict[str, bytes], *, mode: int) -> bytes:
    """Return files by name as one tar."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))
    return held.getvalue()


def image(tag: str, binary: Path) -> bytes:
    """Return an image that runs the binary, and has nothing else."""
    layer = archive({binary.name: binary.read_bytes()}, mode=0o755)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": [f"/{binary.name}"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    return archive({name: config, "layer.tar": layer, "manifest.json": manifest}, mode=0o644)


if __name__ == "__main__":
    sys.stdout.buffer.write(image(sys.argv[1], Path(sys.argv[2])))
