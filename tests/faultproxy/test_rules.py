"""Rules strike by name, number and seed, and by nothing else."""

from pathlib import Path

import pytest

from overspill.testing.faultproxy import Action, Lane, Lanes, Rule, rule_sets
from overspill.testing.faultproxy.naming import KubePath, kube_name, market_name

OURS = "/apis/overspill.dev/v1alpha1"

KUBE_NAMES = {
    ("GET", f"{OURS}/gpuleases", ""): "api list gpuleases",
    ("GET", f"{OURS}/gpuleases", "continue=x"): "api page gpuleases",
    ("GET", f"{OURS}/gpuleases", "watch=true"): "api watch gpuleases",
    ("GET", f"{OURS}/namespaces/a/gpujobs/b", ""): "api get gpujobs",
    ("PATCH", f"{OURS}/namespaces/a/gpujobs/b/status", ""): "api patch gpujobs/status",
    ("POST", "/api/v1/namespaces/a/events", ""): "api create events",
    ("DELETE", "/apis/batch/v1/namespaces/a/jobs/b", ""): "api delete jobs",
    ("GET", "/api/v1/namespaces/kube-system", ""): "api get namespaces",
    ("GET", "/apis/overspill.dev/v1alpha1", ""): "discovery",
}


@pytest.mark.parametrize(("asked", "name"), KUBE_NAMES.items(), ids=KUBE_NAMES.values())
def test_names_of_requests_to_the_api_server(asked: tuple[str, str, str], name: str):
    method, path, query = asked
    given = dict([query.split("=")]) if query else {}
    assert kube_name(method, KubePath.of(path), given) == name


def test_names_of_requests_to_a_market_have_no_ids():
    assert market_name("vast", "PUT", "/api/v0/asks/20000001/") == "vast PUT /api/v0/asks/*"


def lane(seed: int, *rules: Rule) -> Lane:
    return Lane(seed, rules)


def fates(one: Lane, names: list[str]) -> list[bool]:
    return [one.strike(name) is not None for name in names]


def test_a_seed_strikes_alike_whatever_comes_between():
    rule = Rule(Action.RESET, "a", share=0.5)
    alone = fates(lane(3, rule), ["a"] * 40)
    mixed = fates(lane(3, rule), ["a", "b"] * 40)[::2]
    assert alone == mixed
    assert 8 < sum(alone) < 32
    assert fates(lane(4, rule), ["a"] * 40) != alone


def test_the_first_rule_that_strikes_wins_and_none_strikes_more_than_it_may():
    one = lane(0, Rule(Action.RESET, "a", most=1), Rule(Action.DELAY, "a.*"))
    found = [one.strike("a"), one.strike("a"), one.strike("b")]
    assert [rule.action if rule else None for rule in found] == [Action.RESET, Action.DELAY, None]


def test_one_occurrence_can_be_named():
    assert fates(lane(0, Rule(Action.DROP_EVENT, "a", at=2)), ["a"] * 4) == [0, 0, 1, 0]


def test_a_case_is_struck_by_its_own_rules_and_what_is_shared_by_all_in_turn():
    lanes = Lanes()
    cases = {
        "case-1": lane(1, Rule(Action.RESET, ".*")),
        "case-2": lane(2, Rule(Action.DELAY, ".*")),
    }
    lanes.use(cases)
    own = {lanes.strike("x", "case-1").action for _ in range(9)}
    shared = {lanes.strike("x", "").action for _ in range(40)}
    assert own == {Action.RESET}
    assert shared == {Action.RESET, Action.DELAY}
    assert lanes.strike("x", "case-0") is None, "a case of an earlier wave"
    lanes.calm()
    assert lanes.strike("x", "case-1") is None
    assert lanes.strike("x", "") is None


def test_the_campaign_s_rule_file_names_every_failure_there_is():
    used = {rule.action for one in rule_sets() for rule in one.rules}
    assert used == set(Action)


def test_an_unknown_word_in_a_rule_file_is_refused(tmp_path: Path):
    file = tmp_path / "rules.yaml"
    file.write_text("x: {rules: [{action: reset, to: a, oftn: 1}]}")
    with pytest.raises(ValueError, match="oftn"):
        rule_sets(file)
