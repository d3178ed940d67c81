"""An SDL becomes the GPUJob that asks for the same, or is refused with the line that stands in
the way."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.api.crd import openapi
from overspill.api.kinds import JOB
from overspill.cli import main
from overspill.cli.errors import CliError
from overspill.cli.import_sdl import import_sdl
from overspill.cli.import_sdl_job import Imported, Wish, imported
from overspill.core.vocabulary import Workload

SCHEMA = openapi(JOB)

SDL = """\
version: "2.0"
services:
  chat:
    image: vllm/vllm-openai:v0.9
    command: [vllm, serve]
    args: ["meta-llama/Llama-3.1-8B", --port, "8000"]
    env: [HF_HOME=/data/hf, "EMPTY=", "EQUALS=a=b"]
    expose:
      - {port: 8000, as: 80, to: [{global: true}]}
      - {port: 9000, to: [{global: true}]}
profiles:
  compute:
    big:
      resources:
        cpu: {units: 4.5}
        memory: {size: 32Gi}
        storage: [{size: 100Gi}]
        gpu:
          units: 2
          attributes:
            vendor:
              nvidia:
                - {model: a100, ram: 80Gi, interface: sxm}
                - {model: h100, ram: 80Gi, interface: sxm}
  placement:
    anywhere:
      attributes: {host: akash, region: us-west}
      signedBy: {anyOf: [akash1auditor]}
      pricing:
        big: {denom: uact, amount: 5000.5}
deployment:
  chat:
    anywhere: {profile: big, count: 1}
"""


def job_of(text: str, **wish: Any) -> dict[str, Any]:
    found = imported(text, Wish(**wish))
    assert found.faults == ()
    assert found.job is not None
    jsonschema.validate(found.job, SCHEMA)
    return found.job


def test_a_service_becomes_an_inference_job() -> None:
    job = job_of(SDL, max_total_usd="50")
    assert job["metadata"] == {"name": "chat"}
    assert job["spec"] == {
        "workload": "Inference",
        "gpu": {
            "count": 2,
            "models": ["a100-80gb", "h100"],
            "memoryMin": "80Gi",
            "interconnect": {"class": "NVLink", "mode": "Required"},
        },
        "placement": {"regions": ["us-west"]},
        "budget": {"maxTotalUSD": "50", "maxHourlyUSD": "3.0003"},
        "endpoint": {"port": 8000, "protocol": "HTTP"},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "chat",
                        "image": "vllm/vllm-openai:v0.9",
                        "command": ["vllm", "serve"],
                        "args": ["meta-llama/Llama-3.1-8B", "--port", "8000"],
                        "env": [
                            {"name": "HF_HOME", "value": "/data/hf"},
                            {"name": "EMPTY", "value": ""},
                            {"name": "EQUALS", "value": "a=b"},
                        ],
                        "ports": [{"containerPort": 8000}, {"containerPort": 9000}],
                        "resources": {
                            "limits": {
                                "cpu": "4.5",
                                "memory": "32Gi",
                                "ephemeral-storage": "100Gi",
                                "nvidia.com/gpu": 2,
                            }
                        },
                    }
                ]
            }
        },
    }


def test_what_only_steers_akash_is_told_with_its_line() -> None:
    notes = imported(SDL, Wish()).notes
    assert [(n.line, n.sentence.split()[0]) for n in notes] == [
        (27, "profiles.placement.anywhere.attributes.host"),
        (28, "profiles.placement.anywhere.signedBy"),
    ]


def test_without_a_port_it_is_a_batch_job() -> None:
    start, end = SDL.index("    expose:"), SDL.index("profiles:\n")
    job = job_of(SDL[:start] + SDL[end:])
    assert job["spec"]["workload"] == "Batch"
    assert "endpoint" not in job["spec"]


def test_the_kind_of_work_can_be_said() -> None:
    job = job_of(SDL, workload=Workload.TRAINING, name="other")
    assert (job["spec"]["workload"], job["metadata"]["name"]) == ("Training", "other")
    assert "endpoint" not in job["spec"]


def test_copies_are_replicas_of_a_service() -> None:
    assert job_of(SDL.replace("count: 1", "count: 3"))["spec"]["replicas"] == 3


def test_a_price_in_akt_needs_its_rate() -> None:
    text = SDL.replace("denom: uact", "denom: uakt")
    (fault,) = imported(text, Wish()).faults
    assert (fault.line, "--akt-usd" in fault.sentence) == (30, True)
    budget = job_of(text, akt_usd=Decimal("0.5"))["spec"]["budget"]
    assert budget == {"maxHourlyUSD": "1.50015"}


@pytest.mark.parametrize(
    ("before", "after", "line", "told"),
    [
        ('version: "2.0"', 'version: "3.0"', 1, 'must be version "2.0" or "2.1"'),
        ('version: "2.0"\n', 'version: "2.0"\ninclude: [a]\n', 2, "cannot be carried over"),
        ("    command:", "    credentials: {host: h}\n    command:", 5, "private registry"),
        ("    command:", "    params: {tee: cpu}\n    command:", 5, "cannot be carried over"),
        ("    command:", "    comand:", 5, "is not a word of the SDL"),
        ("    command:", "    image: other\n    command:", 5, "stands there twice"),
        ("image: vllm/vllm-openai:v0.9", "args: []", 4, "has no image"),
        ('"8000"]', "8000]", 6, "put it in quotes ('8000' is none)"),
        ("[HF_HOME=/data/hf,", "[HF_HOME,", 7, "must be NAME=value"),
        ("{port: 9000,", "{port: 9000, proto: udp,", 10, "markets forward TCP only"),
        ("{port: 9000,", "{port: 99000,", 10, "must be a port number"),
        ("9000, to: [{global: true}]", "9000, to: [{service: db}]", 10, "sister services"),
        ("services:\n", "services:\n  db: {image: postgres}\n", 5, "is a second service"),
        ("size: 32Gi", "size: lots", 16, "must be an amount like"),
        ("[{size: 100Gi}]", "[{size: 1Gi}, {size: 2Gi}]", 17, "a GPUJob has one disk"),
        (
            "[{size: 100Gi}]",
            "[{size: 1Gi, attributes: {class: beta2, persistent: true}}]",
            17,
            "a rented disk is plain",
        ),
        ("units: 2", "units: 0", 19, "asks for no GPU"),
        ("              nvidia:", "              amd:", 23, "only NVIDIA"),
        ("host: akash", "tier: gold", 27, "no other place could promise it"),
        ("amount: 5000.5", "amount: 0", 30, "is no price that anybody could bid"),
        ("big: {denom", "small: {denom", 27, "has no pricing for big"),
        ("profile: big", "profile: huge", 13, "has no huge"),
        ("    anywhere: {profile", "    nowhere: {profile", 26, "has no nowhere"),
        ("  chat:\n    anywhere", "  chta:\n    anywhere", 33, "is no service of this SDL"),
        ("services:", "services: [\n", 5, "this is not YAML"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_what_a_gpujob_cannot_say_is_refused_with_its_line(
    before: str, after: str, line: int, told: str
) -> None:
    assert before in SDL
    found = imported(SDL.replace(before, after, 1), Wish())
    assert found.job is None
    assert [f for f in found.faults if f.line == line and told in f.sentence], found.faults


def test_copies_of_a_job_that_ends_are_refused() -> None:
    text = SDL.replace("count: 1", "count: 3")
    (fault,) = imported(text, Wish(workload=Workload.BATCH)).faults
    assert (fault.line, "GPUJobs of their own" in fault.sentence) == (33, True)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a", "a: &a [*a]", "version: ~", "services: {a: ~}\nprofiles: {}\ndeployment: {}"],
)
def test_no_text_makes_it_stumble(text: str) -> None:
    found = imported(text, Wish())
    assert isinstance(found, Imported)
    assert found.job is None
    assert found.faults


def test_the_verb_prints_yaml_that_kubectl_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deploy.yaml"
    file.write_text(SDL)
    assert main.main(["import-sdl", str(file), "--max-total-usd", "9"]) == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed) == job_of(SDL, max_total_usd="9")
    assert printed.startswith(f"# {file}:27: profiles.placement.anywhere.attributes.host")


def test_without_a_ceiling_it_says_that_the_job_stays_at_home(tmp_path: Path) -> None:
    file = tmp_path / "deploy.yaml"
    file.write_text(SDL)
    assert "# budget.maxTotalUSD is not set" in import_sdl(str(file), Wish())


def test_the_verb_refuses_with_one_line_per_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deploy.yaml"
    file.write_text(SDL.replace("units: 2", "units: 0").replace("host: akash", "tier: gold"))
    assert main.main(["import-sdl", str(file)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"error: {file} cannot become a GPUJob:"
    assert [line.split(": ")[0] for line in lines[1:]] == [f"{file}:19", f"{file}:27"]


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"Reading .* failed"):
        import_sdl(str(tmp_path / "none"), Wish())


PIECES = ["", "~", "[]", "{}", "[1, {a: b}]", "x", "true", "1e3", "&a [*a]", "- -", "{global: 1}"]


@settings(deadline=None)
@given(
    lines=st.lists(st.tuples(st.integers(0, 33), st.sampled_from(PIECES)), max_size=4),
    akt=st.none() | st.just(Decimal(1)),
)
def test_no_mutilated_sdl_makes_it_stumble(
    lines: list[tuple[int, str]], akt: Decimal | None
) -> None:
    """Values are exchanged at random: it answers with a GPUJob or with faults that have a line."""
    text = SDL.splitlines()
    for number, piece in lines:
        head, colon, _ = text[number % len(text)].partition(":")
        text[number % len(text)] = f"{head}{colon} {piece}"
    found = imported("\n".join(text), Wish(akt_usd=akt))
    assert (found.job is None) == bool(found.faults)
    assert all(fault.line >= 1 for fault in found.faults)
    if found.job is not None:
        jsonschema.validate(found.job, SCHEMA)
