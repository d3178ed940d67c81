"""The operator: `kopf run -m overspill.app`. kopf is its shell and its ear, nothing more.

It hosts the process (login, start, end) and delivers events of our kinds; it never writes to our
objects: no create, update or delete handlers, no timers, no daemons, no finalizers of its own.
"""

import dataclasses
import datetime
import logging
import threading
from typing import Any

import kopf

from overspill import handlers
from overspill.core.errors import OverspillError
from overspill.kube.login import login as login_info
from overspill.kube.verbs import connect
from overspill.kube.watchdog import end_process
from overspill.settings import Settings
from overspill.wiring import Process

__all__ = ["handlers"]

LOGIN_LASTS = datetime.timedelta(seconds=60)
"""kopf asks for credentials anew after this time, so that a rotated token is taken up."""

END_S = 15.0
"""How long the process may live on after kopf began its clean-up."""


class NoDiffs(kopf.DiffBaseStorage):
    """Nothing is compared: no handler of ours reacts to differences.

    kopf would copy every object at every event for it, a tenth of the operator's time.
    """

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        """Nothing of the object."""
        return {}

    def fetch(self, *, body: Any) -> Any:
        """Nothing was handled before."""
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Nothing is written to the object."""


RETRY_S = 2.0
"""A start that the API server did not answer is tried again after this time, not after kopf's
minute: a replica that came up during an outage must act as soon as the outage is over."""


@kopf.on.startup(backoff=RETRY_S)
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """Configures kopf and starts everything else; returns at once."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30
    settings.watching.inactivity_timeout = 70
    settings.watching.chunk_size = 500
    # A worker per object that nothing happens to: kopf would keep it for five seconds.
    settings.queueing.idle_timeout = 0.5
    settings.persistence.diffbase_storage = NoDiffs()
    # One line per event, "handler succeeded", tells nobody anything; failures are errors.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    own = Settings()
    process = Process(own, await connect(own.kubeconfig))
    try:
        await process.start()
    except OverspillError:
        await process.verbs.close()
        raise
    memo.process, memo.store = process, process.store


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    """Ends everything; the election lease is given up so that a successor need not wait.

    When one watch of kopf fails for good, another may wait for ever for credentials that nobody
    renews any more, and the process would live on doing nothing: it is ended, and started anew.
    """
    deadline = threading.Timer(END_S, end_process, ["kopf did not end after its clean-up"])
    deadline.daemon = True
    deadline.start()
    process = getattr(memo, "process", None)
    if process is not None:
        await process.stop()


@kopf.on.login()
async def login(**_: Any) -> kopf.ConnectionInfo:
    """The same credentials as our own client's, read afresh."""
    found = await login_info(Settings().kubeconfig)
    until = datetime.datetime.now(datetime.UTC) + LOGIN_LASTS
    return kopf.ConnectionInfo(**dataclasses.asdict(found), expiration=until)
