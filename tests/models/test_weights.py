import http.server
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rdc_sweeps.errors import WeightsError
from rdc_sweeps.models import weights
from rdc_sweeps.models.registry import build_network, check_pretrained
from rdc_sweeps.specs import backbone
from rdc_sweeps.specs.backbone import (
    BackboneSpec,
    EfficientNetLite0Spec,
    FileWeights,
    Hrnet18Spec,
    NoWeights,
    ResNet18Spec,
    TaskExpertSpec,
    TimmWeights,
)

LITE = "tf_efficientnet_lite0"
HUB_FOLDER = f"models--timm--{LITE}.in1k"
REAL = "tf_efficientnet_lite0_imagenet.safetensors"


@pytest.fixture(scope="module")
def lite() -> dict[str, Tensor]:
    """Weights of a whole classification network that nothing else would have."""
    torch.manual_seed(7)
    return dict(timm.create_model(LITE).state_dict())


def from_file(name: str) -> BackboneSpec:
    return EfficientNetLite0Spec(pretrained=FileWeights(file=name))


def load(spec: BackboneSpec, root: Path | None) -> dict[str, Tensor]:
    """The backbone's values after building; checking beforehand must agree with it."""
    check_pretrained(spec, root)
    torch.manual_seed(0)
    network = build_network(spec, ("depth",), 13, weights_root=root)
    return {} if network.backbone is None else dict(network.backbone.body.state_dict())


def failure(spec: BackboneSpec, root: Path | None) -> str:
    with pytest.raises(WeightsError) as checked:
        check_pretrained(spec, root)
    with pytest.raises(WeightsError) as built:
        build_network(spec, ("depth",), 13, weights_root=root)
    assert str(checked.value) == str(built.value)
    return str(built.value)


@pytest.mark.parametrize("name", ["w.safetensors", "deep/w.pth", "old.pth", "nested.pth"])
def test_weights_of_a_file_arrive(tmp_path: Path, lite: dict[str, Tensor], name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(lite, path)
    elif name == "nested.pth":
        torch.save({"state_dict": lite, "epoch": 3}, path)
    else:
        torch.save(lite, path, _use_new_zipfile_serialization=name != "old.pth")
    body = load(from_file(name), tmp_path)
    assert all(torch.equal(value, lite[key]) for key, value in body.items())


def test_hrnet_ignores_its_classification_head(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = timm.create_model("hrnet_w18_small_v2").state_dict()
    save_file(whole, tmp_path / "w.safetensors")
    with caplog.at_level(logging.WARNING):
        body = load(Hrnet18Spec(pretrained=FileWeights(file="w.safetensors")), tmp_path)
    assert all(torch.equal(value, whole[key]) for key, value in body.items())
    assert caplog.text == ""


def test_unknown_keys_are_reported_and_classifiers_are_not(
    tmp_path: Path, lite: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    save_file({**lite, "ema.decay": torch.zeros(1)}, tmp_path / "w.safetensors")
    with caplog.at_level(logging.WARNING):
        load(from_file("w.safetensors"), tmp_path)
    assert "ema.decay" in caplog.text
    assert "classifier" not in caplog.text


def test_a_classifier_of_other_classes_and_absent_counters_do_no_harm(tmp_path: Path, lite: dict[str, Tensor]) -> None:
    content = {key: value for key, value in lite.items() if not key.endswith("num_batches_tracked")}
    save_file({**content, "classifier.weight": torch.zeros(5, 1280)}, tmp_path / "w.safetensors")
    assert torch.equal(load(from_file("w.safetensors"), tmp_path)["conv_stem.weight"], lite["conv_stem.weight"])


def test_without_weights_nothing_is_read() -> None:
    load(EfficientNetLite0Spec(pretrained=NoWeights()), None)


def test_the_folder_must_be_set() -> None:
    message = failure(from_file("w.safetensors"), None)
    assert "RDC_SWEEP_WEIGHTS_ROOT" in message
    assert "w.safetensors" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "w.pth") in failure(from_file("w.pth"), tmp_path)


def test_other_kinds_of_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"")
    assert ".safetensors or .pth" in failure(from_file("w.onnx"), tmp_path)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("damage", ["empty", "truncated", "text"])
def test_a_damaged_file_is_named(tmp_path: Path, lite: dict[str, Tensor], name: str, damage: str) -> None:
    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save(lite, path)
    else:
        save_file(lite, path)
    content = {"empty": b"", "truncated": path.read_bytes()[:-1000], "text": b"<html>not found</html>"}[damage]
    path.write_bytes(content)
    message = failure(from_file(name), tmp_path)
    assert str(path) in message
    assert "Fetch the file again" in message


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"w": Trap()}, tmp_path / "w.pth")
    assert "cannot be read" in failure(from_file("w.pth"), tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_something_else_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"conv": [1, 2]}, tmp_path / "w.pth")
    assert "not a dictionary of tensors" in failure(from_file("w.pth"), tmp_path)


def test_another_architecture_is_refused(tmp_path: Path, lite: dict[str, Tensor]) -> None:
    save_file(lite, tmp_path / "w.safetensors")
    message = failure(Hrnet18Spec(pretrained=FileWeights(file="w.safetensors")), tmp_path)
    assert "hrnet_w18_small_v2" in message
    assert "conv1.weight" in message
    assert "more" in message
    assert len(message) < 1000


def test_another_shape_is_shown(tmp_path: Path, lite: dict[str, Tensor]) -> None:
    save_file({**lite, "conv_stem.weight": torch.zeros(32, 1, 3, 3)}, tmp_path / "w.safetensors")
    assert "conv_stem.weight (32, 1, 3, 3) instead of (32, 3, 3, 3)" in failure(from_file("w.safetensors"), tmp_path)


def test_values_that_are_not_finite_are_refused(tmp_path: Path, lite: dict[str, Tensor]) -> None:
    save_file({**lite, "conv_stem.weight": torch.full((32, 3, 3, 3), torch.nan)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"conv_stem\.weight not finite"):
        build_network(from_file("w.safetensors"), ("depth",), 13, weights_root=tmp_path)


def test_checking_leaves_the_random_state_alone(tmp_path: Path, lite: dict[str, Tensor]) -> None:
    save_file(lite, tmp_path / "w.safetensors")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    check_pretrained(from_file("w.safetensors"), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif("RDC_SHARED" not in os.environ, reason="needs RDC_SHARED")
def test_the_real_imagenet_weights_load_and_see() -> None:
    root = Path(os.environ["RDC_SHARED"]) / "weights"
    body = load(from_file(REAL), root)
    real = load_file(root / REAL)
    assert all(torch.equal(value, real[key]) for key, value in body.items())


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of a model hub as a download needs."""

    content: bytes
    silence: threading.Event | None
    asked: list[str]

    def do_HEAD(self) -> None:
        if self.silence is not None:
            self.silence.wait(20)
        self.asked.append(self.path.split("/resolve/")[0])
        known = self.path.startswith(f"/timm/{LITE}.in1k/resolve/") and self.path.endswith("/model.safetensors")
        self.send_response(200 if known else 404)
        self.send_header("ETag", '"0123"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self.content) if known else 0))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, *_args: object) -> None:
        """Quiet."""


def point_to(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Makes the hub's client ask a port of this machine."""
    endpoint = f"http://127.0.0.1:{port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lite: dict[str, Tensor]) -> Iterator[type[Hub]]:
    """A hub on this machine, and an empty cache."""
    save_file(lite, tmp_path / "w.safetensors")

    class Handler(Hub):
        content = (tmp_path / "w.safetensors").read_bytes()
        silence = None

    handler = Handler
    handler.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    point_to(monkeypatch, server.server_port)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    yield handler
    if handler.silence is not None:
        handler.silence.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.usefixtures("hub")
def test_weights_of_timm_are_downloaded_once(
    tmp_path: Path, lite: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = EfficientNetLite0Spec(pretrained=TimmWeights(tag="in1k"))
    assert torch.equal(load(spec, None)["conv_stem.weight"], lite["conv_stem.weight"])
    assert (tmp_path / "cache" / HUB_FOLDER).is_dir()
    point_to(monkeypatch, 9)
    assert torch.equal(load(spec, None)["conv_stem.weight"], lite["conv_stem.weight"])
    shutil.rmtree(tmp_path / "cache")
    failure(spec, None)


@pytest.mark.parametrize(
    ("spec", "repository"),
    [
        (Hrnet18Spec(), "hrnet_w18_small_v2.ms_in1k"),
        (Hrnet18Spec(pretrained=TimmWeights(tag="gluon_in1k")), "hrnet_w18_small_v2.gluon_in1k"),
        (ResNet18Spec(), "resnet18.tv_in1k"),
        (TaskExpertSpec(vit="tiny"), "vit_tiny_patch16_384.augreg_in21k_ft_in1k"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_the_tag_names_the_repository(hub: type[Hub], spec: BackboneSpec, repository: str) -> None:
    assert f"timm/{repository}" in failure(spec, None)
    # The client of the hub may also ask for something of its own.
    assert {path for path in hub.asked if not path.startswith("/api/")} == {f"/timm/{repository}"}


def test_an_unknown_tag_is_answered_with_the_known_ones(hub: type[Hub]) -> None:
    message = failure(Hrnet18Spec(pretrained=TimmWeights(tag="in1k")), None)
    assert "backbone.pretrained.tag" in message
    assert "'in1k' of hrnet_w18_small_v2; its tags are gluon_in1k, ms_in1k." in message
    assert hub.asked == []


def test_a_source_or_a_tag_alone_keeps_the_other() -> None:
    backbones: TypeAdapter[BackboneSpec] = TypeAdapter(backbone.BackboneSpec)
    for spec in (Hrnet18Spec(), EfficientNetLite0Spec(), ResNet18Spec(), TaskExpertSpec()):
        read = backbones.validate_python({"name": spec.name, "pretrained": {"source": "timm"}})
        assert read == spec
        assert isinstance(read.pretrained, TimmWeights)
        for written in ({"source": "timm", "tag": "other"}, {"tag": "other"}):
            with_tag = backbones.validate_python({"name": spec.name, "pretrained": written})
            assert with_tag.pretrained == TimmWeights(tag="other")
    with pytest.raises(ValidationError, match="source"):
        backbones.validate_python({"name": "hrnet18", "pretrained": {"file": "w.pth"}})


def test_a_hub_that_never_answers_is_given_up(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    hub.silence = threading.Event()
    monkeypatch.setattr(weights, "HUB_SECONDS", 0.2)
    assert "source: file" in failure(EfficientNetLite0Spec(pretrained=TimmWeights(tag="in1k")), None)


@pytest.mark.usefixtures("hub")
def test_offline_mode_contacts_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "source: none" in failure(EfficientNetLite0Spec(pretrained=TimmWeights(tag="in1k")), None)
