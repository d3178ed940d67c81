"""What a refused job is told: a sentence from which a person sees what to change."""

from overspill.core.decision import Action
from overspill.testing.placing import decide, make_job, node, rent


def test_a_model_that_nobody_has_is_answered_with_those_that_are_there() -> None:
    found = decide(
        make_job(models=("b300",)),
        node("n1", free=4),
        rent(),
        rent("s1", provider="spots", gpu_model="t4"),
    )
    assert found.action is Action.REFUSE
    assert found.message == ("nobody has what spec.gpu.models asks for; on offer are h100, t4")
