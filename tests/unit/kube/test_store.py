"""The store never goes back, never resurrects, and counts what its ears missed."""

import pytest

from overspill.kube.resources import Kind
from overspill.kube.store import Store
from overspill.testing.kube_samples import job_json, stored


def job(uid: str, version: int, **meta: object) -> dict:
    return stored(job_json(f"job-{uid}"), uid, version, **meta)


@pytest.fixture
def heard(store: Store) -> list[tuple[Kind, str]]:
    heard: list[tuple[Kind, str]] = []
    store.listen(lambda kind, uid: heard.append((kind, uid)))
    return heard


def test_an_older_version_never_replaces_a_newer_one(store: Store, heard: list):
    assert store.put(Kind.JOB, job("a", 7))
    assert not store.put(Kind.JOB, job("a", 6))
    assert not store.put(Kind.JOB, job("a", 7))
    assert store.view().jobs["a"].resource_version == "7"
    assert heard == [(Kind.JOB, "a")]


def test_a_deleted_object_does_not_come_back_with_a_late_event(store: Store):
    store.put(Kind.JOB, job("a", 7))
    assert store.drop(Kind.JOB, "a")
    assert not store.put(Kind.JOB, job("a", 8))
    assert store.view().jobs == {}


def test_a_recreated_object_is_another_one(store: Store):
    store.put(Kind.JOB, job("a", 7))
    store.drop(Kind.JOB, "a")
    again = job("b", 9)
    again["metadata"]["name"] = "job-a"
    assert store.put(Kind.JOB, again)
    assert list(store.view().jobs) == ["b"]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")], ids="-".join)
def test_of_two_objects_with_one_name_the_older_is_gone_although_nobody_said_so(
    store: Store, order: tuple[str, str]
):
    made = {"a": job("a", 7), "b": stored(job_json("job-a"), "b", 9)}
    for uid in order:
        store.put(Kind.JOB, made[uid])
    assert list(store.view().jobs) == ["b"]
    assert not store.put(Kind.JOB, job("a", 8))
    found = store.find(Kind.JOB, made["b"]["metadata"]["namespace"], "job-a")
    assert found is not None
    assert found.uid == "b"


def test_a_version_with_more_digits_is_newer(store: Store):
    store.put(Kind.JOB, job("a", 99))
    assert store.put(Kind.JOB, job("a", 100))


def test_our_own_write_is_seen_at_once_and_its_echo_changes_nothing(store: Store, heard: list):
    store.note_write(Kind.JOB, job("a", 8))
    assert store.view().jobs["a"].resource_version == "8"
    assert not store.put(Kind.JOB, job("a", 8))
    assert heard == [(Kind.JOB, "a")]


def test_the_write_that_a_deletion_waited_for_removes_the_object(store: Store):
    store.note_write(Kind.JOB, job("a", 8))
    store.note_write(Kind.JOB, job("a", 9, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert store.view().jobs == {}


def test_a_list_deletes_what_it_lacks(store: Store, heard: list):
    store.put(Kind.JOB, job("a", 7))
    store.put(Kind.JOB, job("b", 8))
    store.replace(Kind.JOB, [job("b", 8)], "10")
    assert list(store.view().jobs) == ["b"]
    assert heard[-1] == (Kind.JOB, "a")


def test_a_list_does_not_delete_what_was_written_after_it(store: Store):
    store.replace(Kind.JOB, [], "10")
    store.note_write(Kind.JOB, job("new", 12))
    store.replace(Kind.JOB, [], "11")
    assert list(store.view().jobs) == ["new"]


def test_the_first_list_is_no_find(store: Store):
    assert store.replace(Kind.JOB, [job("a", 7)], "10") == 0
    assert store.settle(Kind.JOB) == 0


def test_a_change_that_an_ear_brings_a_little_later_is_no_find(store: Store):
    store.replace(Kind.JOB, [job("a", 7), job("b", 8)], "10")
    assert store.replace(Kind.JOB, [job("a", 11)], "12") == 2
    store.put(Kind.JOB, job("a", 11))
    store.drop(Kind.JOB, "b")
    assert store.settle(Kind.JOB) == 0


def test_changes_that_no_ear_brings_are_finds(store: Store):
    store.replace(Kind.JOB, [job("a", 7), job("b", 8)], "10")
    store.replace(Kind.JOB, [job("a", 11)], "12")
    assert store.settle(Kind.JOB) == 2
    assert store.settle(Kind.JOB) == 0


def test_an_older_echo_does_not_excuse_a_missed_change(store: Store):
    store.replace(Kind.JOB, [], "10")
    store.replace(Kind.JOB, [job("a", 12)], "13")
    store.put(Kind.JOB, job("a", 11))
    assert store.settle(Kind.JOB) == 1


def test_a_restored_backup_is_believed(store: Store, heard: list):
    store.replace(Kind.JOB, [job("a", 900), job("b", 901)], "1000")
    store.drop(Kind.JOB, "b")
    store.replace(Kind.JOB, [job("a", 400), job("b", 401)], "500")
    assert {u: j.resource_version for u, j in store.view().jobs.items()} == {"a": "400", "b": "401"}


def test_what_a_restored_backup_lacks_is_told_to_listeners(store: Store, heard: list):
    store.replace(Kind.JOB, [job("a", 900)], "1000")
    heard.clear()
    store.replace(Kind.JOB, [], "500")
    assert heard == [(Kind.JOB, "a")]


def test_a_list_that_breaks_off_deletes_nothing(store: Store):
    store.replace(Kind.JOB, [job("a", 7), job("b", 8)], "10")
    store.merge(Kind.JOB, "20").take([job("a", 15)])
    assert sorted(store.view().jobs) == ["a", "b"]
    assert store.view().jobs["a"].resource_version == "15"


def test_what_appears_between_two_pages_is_kept(store: Store):
    merge = store.merge(Kind.JOB, "20")
    merge.take([job("a", 15)])
    store.put(Kind.JOB, job("new", 21))
    store.drop(Kind.JOB, "a")
    merge.take([job("b", 16)])
    merge.finish()
    assert sorted(store.view().jobs) == ["b", "new"]


def test_a_restored_backup_is_not_synced_until_its_list_is_complete(store: Store):
    for kind in Kind:
        store.replace(kind, [], "1000")
    merge = store.merge(Kind.JOB, "500")
    assert not store.view().synced
    merge.finish()
    assert store.view().synced


def test_an_unreadable_object_is_shown_with_its_field_and_not_acted_on(store: Store):
    bad = job("a", 7)
    bad["spec"]["gpu"] = {"count": "many"}
    store.put(Kind.JOB, bad)
    view = store.view()
    assert view.jobs == {}
    assert view.invalid == {"a": "spec.gpu.count is not a whole number"}
    store.put(Kind.JOB, job("a", 8))
    assert store.view().invalid == {}


def test_synced_only_after_every_kind_was_listed(store: Store):
    for kind in Kind:
        assert not store.view().synced
        store.replace(kind, [], "10")
    assert store.view().synced


def test_a_view_stays_as_it_was_while_the_store_goes_on(store: Store):
    store.put(Kind.JOB, job("a", 7))
    before = store.view()
    store.put(Kind.JOB, job("b", 8))
    assert list(before.jobs) == ["a"]
    assert store.view() is store.view()


def test_classes_and_accounts_are_found_by_name(store: Store):
    spec = {"capacityTypes": ["Own"]}
    store.put(Kind.SLA_CLASS, stored({"metadata": {"name": "standard"}, "spec": spec}, "u1", 3))
    market = {"metadata": {"name": "akash"}, "spec": {"type": "Akash"}}
    store.put(Kind.PROVIDER, stored(market, "u2", 4))
    assert list(store.view().classes) == ["standard"]
    assert list(store.view().accounts) == ["akash"]
