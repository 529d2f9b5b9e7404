"""Pretrained weights of backbones: from timm's hub or from a file, checked before they are used."""

import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from safetensors.torch import load_file
from torch import Tensor, nn

from rdc_sweeps.errors import WeightsError
from rdc_sweeps.models.network import Backbone
from rdc_sweeps.specs.backbone import FileWeights, Pretrained, TimmWeights

logger = logging.getLogger(__name__)

HUB_FILE = "model.safetensors"
HUB_SECONDS = 5.0
"""How long the hub may take to answer before it counts as unreachable."""


def load_weights(
    backbone: Backbone, pretrained: Pretrained, weights_root: Path | None, field: str = "backbone.pretrained"
) -> None:
    """Fill `backbone.body` with the weights that `pretrained` names.

    Keys of the classification head are ignored; other keys without a place in the architecture are logged.

    Args:
        backbone: The network, initialised.
        pretrained: None, timm's hub, or a file with timm's names.
        weights_root: Folder of weight files; only needed for files.
        field: Where a spec has `pretrained`, for messages.

    Raises:
        WeightsError: The tag is unknown, the hub cannot be reached, or the file is missing, damaged or of another
            architecture.
    """
    if pretrained.source == "none":
        return
    if pretrained.source == "file":
        path = _file(pretrained, weights_root, field)
    else:
        path = _hub_file(_repository(backbone.architecture, pretrained, field), field)
    tensors = _read(path)
    _check_fit(tensors, backbone, path, field)
    wanted = backbone.body.state_dict()
    chosen = {key: tensors[key] for key in wanted if key in tensors}
    broken = [key for key, tensor in chosen.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise WeightsError(f"{path}: damaged, {_some(broken)} not finite. Fetch the file again.")
    backbone.body.load_state_dict(chosen, strict=False)


def check_weights(
    backbone: Backbone, pretrained: Pretrained, weights_root: Path | None, field: str = "backbone.pretrained"
) -> None:
    """Raise what `load_weights` would raise, without reading values or downloading.

    Args:
        backbone: The network; its parameters may be on the meta device.
        pretrained: None, timm's hub, or a file with timm's names.
        weights_root: Folder of weight files; only needed for files.
        field: Where a spec has `pretrained`, for messages.

    Raises:
        WeightsError: As `load_weights` would.
    """
    if pretrained.source == "file":
        path = _file(pretrained, weights_root, field)
        _check_fit(_read(path), backbone, path, field)
    elif pretrained.source == "timm":
        _find_on_hub(_repository(backbone.architecture, pretrained, field), field)


def _file(pretrained: FileWeights, weights_root: Path | None, field: str) -> Path:
    if weights_root is None:
        raise WeightsError(
            f"{field}.file: {pretrained.file!r} is relative to the weights folder, which is not set. "
            "Set weights_root (or RDC_SWEEP_WEIGHTS_ROOT) to the folder that holds it."
        )
    path = weights_root / pretrained.file
    if path.suffix not in (".safetensors", ".pth"):
        raise WeightsError(f"{path}: weights are .safetensors or .pth files. Convert it to one of them.")
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file. Put it there, or set weights_root (RDC_SWEEP_WEIGHTS_ROOT) to the folder that "
            f"holds {pretrained.file!r}."
        )
    return path


def _read(path: Path) -> Mapping[str, Tensor]:
    """Tensors of a file by name; their values are mapped, not read, where the format allows it."""
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            # Only the zip format of torch.save can be mapped; the older one is read as a whole.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # A damaged file fails in whatever way its parser does.
        raise WeightsError(f"{path}: cannot be read ({_first_line(error)}). Fetch the file again.") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path}: not a dictionary of tensors. Save the state_dict of the timm model alone.")
    return content


def _check_fit(tensors: Mapping[str, Tensor], backbone: Backbone, path: Path, field: str) -> None:
    wanted = {key: tuple(tensor.shape) for key, tensor in backbone.body.state_dict().items()}
    # Counters of seen batches change nothing here, and older files lack them.
    missing = [key for key in wanted if key not in tensors and not key.endswith("num_batches_tracked")]
    reshaped = [
        f"{key} {tuple(tensors[key].shape)} instead of {shape}"
        for key, shape in wanted.items()
        if key in tensors and tuple(tensors[key].shape) != shape
    ]
    unknown = sorted(tensors.keys() - wanted.keys() - _classifier_keys(backbone.architecture))
    if missing or reshaped:
        problems = {"missing": missing, "of another shape": reshaped, "unknown": unknown}
        listed = "; ".join(f"{what}: {_some(keys)}" for what, keys in problems.items() if keys)
        raise WeightsError(
            f"{path}: not weights of {backbone.architecture} ({listed}). Give a file with timm's names for "
            f"{backbone.architecture}, or set {field} to {{source: none}}."
        )
    if unknown:
        logger.warning("%s: not used: %s", path, _some(unknown))


def _classifier_keys(architecture: str) -> set[str]:
    """Names in the whole timm model; those that a backbone lacks belong to its classification head."""
    with torch.device("meta"):
        whole: nn.Module = timm.create_model(architecture)
    return set(whole.state_dict())


def _repository(architecture: str, pretrained: TimmWeights, field: str) -> str:
    """The repository on the hub that holds the weights of a tag."""
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
    if pretrained.tag not in tags:
        known = f"its tags are {', '.join(tags)}" if tags else "it has none"
        raise WeightsError(
            f"{field}.tag: timm has no weights {pretrained.tag!r} of {architecture}; {known}. Choose one "
            "of them, or another source."
        )
    repository: str = timm.get_pretrained_cfg(f"{architecture}.{pretrained.tag}").hf_hub_id
    return repository


def _hub_file(repository: str, field: str) -> Path:
    """timm's weights in the hub's cache, downloaded if they are not there."""
    found = _find_on_hub(repository, field)
    if isinstance(found, Path):
        return found
    try:
        return Path(hf_hub_download(found, HUB_FILE))
    except Exception as error:
        raise _unreachable(found, error, field) from error


def _find_on_hub(repository: str, field: str) -> Path | str:
    """The cached file, or else the repository after one answered request for it."""
    cached = try_to_load_from_cache(repository, HUB_FILE)
    if isinstance(cached, str):
        return Path(cached)
    try:
        # A download alone retries for the better part of a minute before it admits that there is no network.
        get_hf_file_metadata(hf_hub_url(repository, HUB_FILE), timeout=HUB_SECONDS)
    except Exception as error:  # The HTTP client's errors depend on which client the hub library uses.
        raise _unreachable(repository, error, field) from error
    return repository


def _unreachable(repository: str, error: Exception, field: str) -> WeightsError:
    return WeightsError(
        f"{field}: {HUB_FILE} of {repository} is not in the cache and cannot be downloaded "
        f"({_first_line(error)}). Run once where there is a network, put the file into the weights folder and set "
        f"{field} to {{source: file, file: NAME}}, or to {{source: none}}."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _some(keys: list[str], shown: int = 3) -> str:
    more = f" and {len(keys) - shown} more" if len(keys) > shown else ""
    return ", ".join(keys[:shown]) + more
