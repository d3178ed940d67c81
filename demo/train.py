"""A training job that gives the same bytes wherever and however often it is interrupted.

Travels as text into the demo's GPUJob (python3 -c), so it needs the standard library alone. Each
step is integer and hash arithmetic over the whole state; a checkpoint is the state. It keeps the
checkpoint contract of docs/runner.md: writes below OVERSPILL_CHECKPOINT_URI, tells what is
durable in OVERSPILL_DROP_DIR/checkpoint, resumes from OVERSPILL_RESUME_URI, and obeys SIGUSR1 and
the command file. URIs are s3://bucket/key (AWS_* in the environment) or file:///path.
"""

import hashlib
import hmac
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

STEPS = int(os.environ.get("TRAIN_STEPS", "60"))
EVERY = int(os.environ.get("TRAIN_CHECKPOINT_EVERY", "5"))
PACE_S = float(os.environ.get("TRAIN_SECONDS_PER_STEP", "0"))
DROP = os.environ.get("OVERSPILL_DROP_DIR", "")
BLOCKS, BLOCK = 1024, 64
TRIES = 20

asked: list[str] = []


class Model:
    """The weights (64 KiB) and how many steps they have seen."""

    def __init__(self, step: int, weights: bytes) -> None:
        self.step, self.weights = step, weights

    @classmethod
    def fresh(cls) -> "Model":
        """Step 0; the seed is fixed."""
        return cls(0, b"".join(hashlib.sha512(b"seed %d" % n).digest() for n in range(BLOCKS)))

    @classmethod
    def load(cls, data: bytes) -> "Model":
        """What `dump` wrote; anything else is an error, not a model."""
        head, _, rest = data.partition(b"\n")
        step, digest = head.split()
        if hashlib.sha256(rest).hexdigest().encode() != digest:
            raise ValueError("the checkpoint is damaged: its digest does not fit")
        return cls(int(step), rest)

    def dump(self) -> bytes:
        """Step, digest and weights."""
        digest = hashlib.sha256(self.weights).hexdigest()
        return b"%d %s\n" % (self.step, digest.encode()) + self.weights

    def train(self) -> None:
        """One step: every block depends on itself, its left neighbour and the step."""
        self.step += 1
        old, made, left = self.weights, [], b"%d" % self.step
        for start in range(0, BLOCKS * BLOCK, BLOCK):
            left = hashlib.sha512(left + old[start : start + BLOCK]).digest()
            made.append(left)
        self.weights = b"".join(made)

    def loss(self) -> float:
        """A figure that falls, for the log."""
        return 4 / (1 + self.step / 8) + self.weights[0] / 2560


def signed(method: str, uri: str, body: bytes) -> urllib.request.Request:
    """A request to an S3-compatible store, signed by AWS signature version 4."""
    where, base = urlsplit(uri), os.environ["AWS_ENDPOINT_URL"]
    region = os.environ.get("AWS_REGION", "us-east-1")
    path = f"/{where.netloc}{where.path}"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    payload = hashlib.sha256(body).hexdigest()
    headers = {
        "host": urlsplit(base).netloc,
        "x-amz-content-sha256": payload,
        "x-amz-date": stamp,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = "\n".join([method, path, "", lines, names, payload])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
    )
    return urllib.request.Request(base + path, data=body or None, method=method, headers=headers)  # noqa: S310 -- the store's own URL


def transfer(method: str, uri: str, body: bytes = b"") -> bytes:
    """Reads or writes one object; a store that is away for a moment is asked again."""
    if uri.startswith("file://"):
        path = Path(urlsplit(uri).path)
        if method == "GET":
            return path.read_bytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return b""
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(signed(method, uri, body), timeout=10) as answer:  # noqa: S310 -- as above
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            if refused.code < 500 or not left:
                raise
        except OSError:
            if not left:
                raise
        time.sleep(1)
    raise AssertionError("unreachable")


def tell(name: str, text: str) -> None:
    """Puts a file into the drop directory at once and whole."""
    if DROP:
        draft = Path(DROP, f".{name}.new")
        draft.write_text(text)
        draft.replace(Path(DROP, name))


def save(model: Model) -> None:
    """A checkpoint counts as durable, and is told, only after the store has taken it."""
    uri = f"{os.environ['OVERSPILL_CHECKPOINT_URI']}/step-{model.step:04d}"
    transfer("PUT", uri, model.dump())
    tell("checkpoint", f"{uri}\n{model.step}\n")
    print(f"step {model.step}: checkpoint is durable", flush=True)


def is_ordered() -> bool:
    """Whether a checkpoint was asked for, by signal or by file, since the last look."""
    command = Path(DROP, "command") if DROP else None
    if command is not None and command.exists():
        asked.append(command.read_text().strip())
        command.unlink(missing_ok=True)
    found = bool(asked)
    asked.clear()
    return found


def rest(model: Model) -> None:
    """Stands for the GPU's work: the rest of the step's time, with an ear for orders."""
    until = time.monotonic() + PACE_S
    while time.monotonic() < until:
        if is_ordered():
            save(model)
        time.sleep(min(0.05, PACE_S))


def main() -> int:
    """Trains to the last step; the artefact is OVERSPILL_CHECKPOINT_URI/final."""
    signal.signal(signal.SIGUSR1, lambda *_: asked.append("checkpoint"))
    tell("handles-usr1", f"{os.getpid()}\n")
    resume = os.environ.get("OVERSPILL_RESUME_URI", "")
    model = Model.load(transfer("GET", resume)) if resume else Model.fresh()
    print(f"attempt {os.environ.get('OVERSPILL_ATTEMPT', '-')} starts from: {resume or 'nothing'}")
    while model.step < STEPS:
        model.train()
        tell("progress", f"{model.step * 100 // STEPS}\n")
        print(f"step {model.step}: loss {model.loss():.3f}", flush=True)
        if model.step % EVERY == 0:
            save(model)
        rest(model)
    transfer("PUT", f"{os.environ['OVERSPILL_CHECKPOINT_URI']}/final", model.dump())
    print("final artefact is written", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
