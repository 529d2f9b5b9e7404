from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.dispatch.slurm.nodes import NodeProfile, node_profile, node_profiles, shipped_profiles
from rdc_sweeps.errors import UsageError


def test_shipped_profiles_are_valid_and_say_what_they_are() -> None:
    profiles = node_profiles({})
    assert set(profiles) == {"a100", "a100-preemptible", "cpu"} == set(shipped_profiles())
    assert all(profile.description for profile in profiles.values())
    assert profiles["a100-preemptible"].gpu == "a100"
    assert profiles["cpu"].gpu is None


def test_fields_say_what_they_are() -> None:
    assert all(field.description for field in NodeProfile.model_fields.values())


def test_a_table_of_the_same_name_is_laid_over_the_shipped_one() -> None:
    profile = node_profile("a100", {"a100": {"partition": "gpu", "time_limit": 90}})
    assert (profile.partition, profile.time_limit, profile.seconds) == ("gpu", "01:30:00", 5400)
    assert profile.gpu == "a100"


def test_a_new_table_may_extend_another() -> None:
    own: dict[str, dict[str, Any]] = {
        "a100": {"account": "vision", "sbatch": {"nice": 5, "contiguous": True}},
        "night": {"extends": "a100", "cpus": 2, "sbatch": {"nice": 9}},
        "bare": {},
    }
    profile = node_profile("night", own)
    assert (profile.account, profile.cpus, profile.memory) == ("vision", 2, "64G")
    assert profile.sbatch == {"nice": 9, "contiguous": True}
    assert node_profile("bare", own) == NodeProfile()


def test_names_that_do_not_exist_are_answered_with_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"no node profile 'v100'.* Available: a100, a100-preemptible, cpu"):
        node_profile("v100", {})
    with pytest.raises(UsageError, match=r"nodes\.mine\.extends: no node profile 'v100'"):
        node_profile("mine", {"mine": {"extends": "v100"}})
    with pytest.raises(UsageError, match="a -> b -> a"):
        node_profile("a", {"a": {"extends": "b"}, "b": {"extends": "a"}})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"partion": "gpu"}, r"nodes\.mine\.partion"),
        ({"time_limit": "a day"}, "HH:MM:SS"),
        ({"time_limit": "10:61:00"}, "HH:MM:SS"),
        ({"time_limit": True}, "HH:MM:SS"),
        ({"time_limit": 1, "signal_seconds": 60}, "must be less than time_limit"),
        ({"memory": "64 GB"}, r"nodes\.mine\.memory"),
        ({"cpus": 0}, r"nodes\.mine\.cpus"),
        ({"gpu": "a100:2"}, r"nodes\.mine\.gpu"),
        ({"partition": "a\nrm -rf /"}, "one line"),
        ({"partition": "a b"}, "one word"),
        ({"account": "$(id)"}, "one word"),
        ({"sbatch": {"array": "0-3"}}, "array: these options are set by rdc-sweep"),
        ({"sbatch": {"mail user": "me"}}, r"nodes\.mine\.sbatch"),
        ({"sbatch": {"mail-user": "me\nid"}}, "one line"),
        ({"setup": ["export WANDB_API_KEY=abc"]}, "netrc"),
        ({"container": {"engine": "docker", "image": "x"}}, r"nodes\.mine\.container\.engine"),
        ({"container": {"engine": "pyxis", "image": ""}}, "one line"),
        ({"container": {"engine": "pyxis", "image": "i", "mounts": ["/a b:/c"]}}, "one word"),
        ({"python": "python 'x"}, "python: No closing quotation"),
        ({"offline": "perhaps"}, r"nodes\.mine\.offline"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        node_profile("mine", {"mine": values})
    assert "abc" not in str(raised.value)


@given(st.integers(1, 99999))
def test_minutes_become_a_time_limit_of_as_many_seconds(minutes: int) -> None:
    assert NodeProfile(time_limit=minutes, signal_seconds=30).seconds == minutes * 60


def test_days_count() -> None:
    assert NodeProfile(time_limit="2-01:00:00").seconds == 49 * 3600


def test_amounts_are_for_each_gpu() -> None:
    profile = node_profile("a100", {})
    assert (profile.gpus(4), profile.total_memory(4)) == (4, "256G")
    assert (node_profile("cpu", {}).gpus(2), node_profile("cpu", {}).total_memory(0)) == (0, "16G")
    with pytest.raises(UsageError, match="whole"):
        profile.gpus(0.5)
