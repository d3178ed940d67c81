"""What is known of the Secrets a job would take along: whether they exist and how far they may go.

Read for jobs that wait to be placed, and again only after a while; values are not kept.
"""

from collections.abc import Iterable

from overspill.core.errors import OverspillError
from overspill.core.job import Job
from overspill.core.reasons import Reason
from overspill.core.vocabulary import TRUST_ORDER, TrustTier
from overspill.core.workload import SecretEnv
from overspill.engine.context import Engine
from overspill.engine.memory import SecretFacts
from overspill.engine.requests import SecretProblem, allowed_tiers

REREAD_AFTER_S = 15.0


async def learn(engine: Engine, job: Job, references: Iterable[SecretEnv]) -> None:
    """Brings what is known of a job's Secrets up to date."""
    now = engine.clock.monotonic()
    known = engine.memory.secrets.get(job.ref.uid)
    if known is not None and now - known.read_at < REREAD_AFTER_S:
        return
    tiers = frozenset(TRUST_ORDER)
    problem: tuple[Reason, str] | None = None
    for ref in references:
        try:
            tiers &= await _reach(engine, job, ref)
        except SecretProblem as error:
            problem = (Reason.SECRET_MISSING, str(error))
        except OverspillError:
            return  # nothing is known; what was known before stands
    before = known.problem if known else None
    engine.memory.secrets[job.ref.uid] = SecretFacts(now, tiers, problem)
    if problem != before:
        engine.tell(job.ref.uid)


async def _reach(engine: Engine, job: Job, ref: SecretEnv) -> frozenset[TrustTier]:
    """The tiers one Secret may reach. Raises SecretProblem when it cannot be used at all."""
    secret = await engine.read_secret(job.ref.namespace, ref.secret_name)
    if secret is None or ref.key not in (secret.get("data") or {}):
        if ref.optional:
            return frozenset(TRUST_ORDER)
        message = (
            f"Secret {ref.secret_name!r} has no key {ref.key!r} in namespace "
            f"{job.ref.namespace!r}; create it"
        )
        raise SecretProblem(message, is_missing=True)
    return allowed_tiers(secret)
