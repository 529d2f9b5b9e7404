from pathlib import Path

import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings, experiments_folder, load_settings


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without settings: an empty project, an empty home, no variables."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"RDC_SWEEP_{name.upper()}", raising=False)
    for name in ("project", "home", "xdg/rdc-sweep"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_PROFILE", "from-variable")


@pytest.fixture
def project(machine: Path) -> None:
    (machine / "project" / "rdc-sweep.toml").write_text('profile = "from-project"\nwandb_project = "from-project"\n')


@pytest.fixture
def user(machine: Path) -> None:
    (machine / "xdg/rdc-sweep/config.toml").write_text('profile = "from-user"\nwandb_entity = "from-user"\n')


@pytest.mark.usefixtures("variable", "project", "user")
def test_a_flag_wins_over_a_variable() -> None:
    assert load_settings(profile="from-flag").profile == "from-flag"


@pytest.mark.usefixtures("variable", "project", "user")
def test_a_variable_wins_over_the_project() -> None:
    assert load_settings().profile == "from-variable"


@pytest.mark.usefixtures("project", "user")
def test_the_project_wins_over_the_user() -> None:
    assert load_settings().profile == "from-project"


@pytest.mark.usefixtures("user")
def test_the_user_wins_over_the_default() -> None:
    assert load_settings().profile == "from-user"


def test_without_any_source_defaults_apply(machine: Path) -> None:
    settings = load_settings()
    assert settings.profile == "paper"
    assert settings.root == Path("runs")
    assert settings.wandb is None
    assert settings.cache_root == machine / "home/.cache/rdc-sweep"


@pytest.mark.usefixtures("project", "user")
def test_each_setting_comes_from_the_strongest_source_that_has_it() -> None:
    settings = load_settings(max_parallel=3)
    assert (settings.max_parallel, settings.wandb_project, settings.wandb_entity) == (3, "from-project", "from-user")
    assert settings.device == "auto"


@pytest.mark.usefixtures("variable")
def test_a_flag_that_was_not_given_wins_over_nothing() -> None:
    assert load_settings(profile=None).profile == "from-variable"


@pytest.mark.usefixtures("project")
def test_an_empty_variable_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_PROFILE", "")
    assert load_settings().profile == "from-project"


@pytest.mark.usefixtures("project")
def test_the_project_is_found_from_a_folder_below(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "project/a/b").mkdir(parents=True)
    monkeypatch.chdir(machine / "project/a/b")
    assert load_settings().profile == "from-project"


def test_the_user_file_is_in_the_home_without_xdg(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    (machine / "home/.config/rdc-sweep").mkdir(parents=True)
    (machine / "home/.config/rdc-sweep/config.toml").write_text('profile = "from-home"\n')
    assert load_settings().profile == "from-home"


def test_folders_in_a_file_are_relative_to_it(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "project/rdc-sweep.toml").write_text('root = "out"\nnyuv2_root = "~/nyu"\nweights_root = "/w"\n')
    (machine / "project/below").mkdir()
    monkeypatch.chdir(machine / "project/below")
    settings = load_settings()
    assert settings.root == machine / "project/out"
    assert settings.nyuv2_root == machine / "home/nyu"
    assert settings.weights_root == Path("/w")


def test_other_folders_are_relative_to_the_working_folder(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_ROOT", "out")
    monkeypatch.setenv("RDC_SWEEP_NYUV2_ROOT", "~/nyu")
    settings = load_settings(weights_root=Path("w"))
    assert (settings.root, settings.weights_root) == (Path("out"), Path("w"))
    assert settings.nyuv2_root == machine / "home/nyu"


def test_a_bad_flag() -> None:
    with pytest.raises(UsageError, match=r"--max-parallel: max_parallel: must be greater than or equal to 0, found -1"):
        load_settings(max_parallel=-1)


def test_a_bad_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_DEVICE", "gpu")
    with pytest.raises(UsageError, match=r"RDC_SWEEP_DEVICE: device: must be 'auto', 'cpu' or 'cuda', found 'gpu'"):
        load_settings()


def test_all_bad_values_are_reported_together(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_THREADS", "many")
    (machine / "project/rdc-sweep.toml").write_text("workers = -1\n")
    (machine / "xdg/rdc-sweep/config.toml").write_text('profil = "cpu"\n')
    with pytest.raises(UsageError) as caught:
        load_settings(wandb="on")
    project, user = machine / "project/rdc-sweep.toml", machine / "xdg/rdc-sweep/config.toml"
    assert [line.partition("Available settings")[0].strip() for line in str(caught.value).splitlines()] == [
        "RDC_SWEEP_THREADS: threads: must be a valid integer, found 'many'",
        f"{project}: workers: must be greater than or equal to 0, found -1",
        "--wandb: wandb: must be 'online', 'offline' or 'disabled', found 'on'",
        f"{user}: profil: there is no such setting.",
    ]


def test_an_unknown_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_PROFIL", "cpu")
    with pytest.raises(UsageError, match=r"RDC_SWEEP_PROFIL: no such setting. Available variables: .*_PROFILE"):
        load_settings()


@pytest.mark.parametrize("content", [b"profile = ", b"profile = 'a'\nprofile = 'b'\n", b"\xff"])
@pytest.mark.parametrize("name", ["project/rdc-sweep.toml", "xdg/rdc-sweep/config.toml"])
def test_a_damaged_file_is_named(machine: Path, name: str, content: bytes) -> None:
    (machine / name).write_bytes(content)
    with pytest.raises(UsageError, match=rf"{machine / name}: invalid TOML: "):
        load_settings()


def test_the_experiments_are_the_settings_else_the_folder_here_else_the_shipped(machine: Path) -> None:
    assert (experiments_folder(load_settings()) / "table3.yaml").is_file()
    (machine / "project/experiments").mkdir()
    assert experiments_folder(load_settings()) == Path("experiments")
    assert experiments_folder(load_settings(experiments=machine / "mine")) == machine / "mine"


@pytest.mark.parametrize("name", ["~/nyu", "$HOME/nyu", "${HOME}/nyu"])
@pytest.mark.parametrize("source", ["file", "variable", "flag"])
def test_folders_are_expanded_wherever_they_are_set(
    machine: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: str
) -> None:
    flags = {}
    if source == "file":
        (machine / "project/rdc-sweep.toml").write_text(f'nyuv2_root = "{name}"\n')
    elif source == "variable":
        monkeypatch.setenv("RDC_SWEEP_NYUV2_ROOT", name)
    else:
        flags = {"nyuv2_root": Path(name)}
    assert load_settings(**flags).nyuv2_root == machine / "home/nyu"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ('"/a/b"', "without quotation marks"),
        ("'/a/b", "without quotation marks"),
        ("/a/b ", "without spaces around it"),
        ("/a/b\r", "without spaces around it"),
        ("/a\x1b[0m/b", "control characters"),
        ("$NO_SUCH_VARIABLE/runs", r"the variable \$NO_SUCH_VARIABLE is not set"),
        ("${NO_SUCH}/runs", r"the variable \$\{NO_SUCH\} is not set"),
        ("~nosuchuser/runs", "there is no home folder of ~nosuchuser"),
        ("s3://bucket/runs", "not a URL"),
    ],
)
def test_a_text_that_names_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.setenv("RDC_SWEEP_ROOT", name)
    with pytest.raises(UsageError, match=f"RDC_SWEEP_ROOT: root: .*{message}"):
        load_settings()
    monkeypatch.delenv("RDC_SWEEP_ROOT")
    with pytest.raises(UsageError, match=f"--root: root: .*{message}"):
        load_settings(root=Path(name))


def test_folders_of_further_data_sets_are_read_like_others(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_DATASET_ROOTS", '{"mine": "$HOME/mine"}')
    assert load_settings().dataset_roots == {"mine": machine / "home/mine"}
    (machine / "project/rdc-sweep.toml").write_text('[dataset_roots]\nyours = "~nosuchuser"\n')
    with pytest.raises(UsageError, match=r"rdc-sweep.toml: dataset_roots: there is no home folder"):
        load_settings()


def test_a_byte_order_mark_is_no_part_of_a_file(machine: Path) -> None:
    (machine / "project/rdc-sweep.toml").write_bytes(b'\xef\xbb\xbfprofile = "cpu"\r\n')
    assert load_settings().profile == "cpu"


def test_without_a_home_the_remedy_is_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert load_settings().cache_root == machine / "home/.cache/rdc-sweep"
    monkeypatch.delenv("HOME")
    with pytest.raises(UsageError, match=r"HOME is not set, and user .* has no entry in passwd; set HOME"):
        load_settings()


def test_a_working_directory_that_was_removed_is_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "gone").mkdir()
    monkeypatch.chdir(machine / "gone")
    (machine / "gone").rmdir()
    with pytest.raises(UsageError, match="the working directory no longer exists"):
        load_settings()


def test_notifications_are_set_in_a_table_of_a_file_and_by_a_variable(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not load_settings().notify.active
    file = machine / "project/rdc-sweep.toml"
    file.write_text('[notify]\nwebhook_file = "secrets/hook"\ncommand = ["mail", "me"]\noccasions = ["failed"]\n')
    notify = load_settings().notify
    assert notify.webhook_file == machine / "project/secrets/hook"
    assert (notify.command, notify.occasions, notify.active) == (("mail", "me"), ("failed",), True)
    monkeypatch.setenv("RDC_SWEEP_NOTIFY", '{"webhook_file": "~/hook"}')
    notify = load_settings().notify
    assert (notify.webhook_file, notify.command) == (machine / "home/hook", ("mail", "me"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stalled_minutes = 0", "notify.stalled_minutes: must be greater than 0, found 0"),
        ('occasions = ["finished"]', "notify.occasions.0: must be 'ended', 'failed' or 'stalled', found 'finished'"),
        (
            'webhook = "https://h.example/TOKEN"',
            "notify.webhook: there is no such setting. Available settings: occasions",
        ),
        (
            'webhook_file = "https://h.example/TOKEN"',
            "notify.webhook_file: must be the name of a file, which has the URL",
        ),
        ('command = "mail https://h.example/TOKEN"', "notify.command"),
    ],
)
def test_wrong_notifications_are_explained_without_their_secrets(text: str, message: str, machine: Path) -> None:
    (machine / "project/rdc-sweep.toml").write_text(f"[notify]\n{text}\n")
    with pytest.raises(UsageError) as error:
        load_settings()
    assert message in str(error.value)
    assert "rdc-sweep.toml" in str(error.value)
    assert "TOKEN" not in str(error.value)
