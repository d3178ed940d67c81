"""The `nvidia-smi` a lease finds first on its PATH: it prints the GPUs the host claims to have.

Written once per lease, so that evidence asked for inside a lease is that of the leased GPU, or of
what a lying host really carries.
"""

import uuid
from pathlib import Path

from overspill.sandbox.gpus import Gpu


def write_shim(folder: Path, lease: str, gpu: Gpu | None, count: int) -> None:
    """Puts the program into the folder; without GPUs there is none, as on a real host."""
    folder.mkdir(parents=True, exist_ok=True)
    if gpu is None or count < 1:
        return
    rows = "\n".join(
        f"{n}|{gpu.product_name}|{gpu.memory_mib}|{gpu_uuid(lease, n)}" for n in range(count)
    )
    program = folder / "nvidia-smi"
    program.write_text(_PROGRAM.replace("@ROWS@", rows).replace("@COUNT@", str(count)))
    program.chmod(0o755)


def gpu_uuid(lease: str, number: int) -> str:
    """The GPU's identity: lasting for the lease, unlike any other."""
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_URL, f'overspill-sandbox/{lease}/{number}')}"


_PROGRAM = r"""#!/bin/sh
# Stands in for nvidia-smi: --query-gpu with --format=csv, and -L.
fields= header=1 units=1 list=
for arg; do
  case "$arg" in
    --query-gpu=*) fields=${arg#*=} ;;
    --format=*)
      case ",${arg#*=}," in *,noheader,*) header= ;; esac
      case ",${arg#*=}," in *,nounits,*) units= ;; esac ;;
    -L|--list-gpus) list=1 ;;
  esac
done
rows='@ROWS@'
value() {
  case "$1" in
    index) echo "$index" ;;
    name|gpu_name) echo "$name" ;;
    uuid|gpu_uuid) echo "$uuid" ;;
    count) echo '@COUNT@' ;;
    driver_version) echo '570.86.15' ;;
    memory.total) echo "$memory${units:+ MiB}" ;;
    memory.used|utilization.gpu) echo "0${units:+ %}" ;;
    *) echo "Field \"$1\" is not a valid field to query." >&2; exit 2 ;;
  esac
}
if [ -n "$header" ] && [ -n "$fields" ]; then echo "$fields" | sed 's/,/, /g'; fi
echo "$rows" | while IFS='|' read -r index name memory uuid; do
  if [ -n "$list" ] || [ -z "$fields" ]; then
    echo "GPU $index: $name (UUID: $uuid)"
    continue
  fi
  line=
  for field in $(echo "$fields" | tr ',' ' '); do
    found=$(value "$field") || exit 2
    line="${line:+$line, }$found"
  done
  echo "$line"
done
"""
