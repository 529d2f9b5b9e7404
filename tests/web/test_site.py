"""What the pages say, against goldens that `RDC_WRITE_GOLDENS=1 pytest tests/web` rewrites, and how they are built."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.reporting.formats import render_json
from rdc_sweeps.reporting.report import build_report
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Origin, Status
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.training.scores import ImageScores, scores_file
from rdc_sweeps.web.site import INDEX, Site
from tests.pages import Page
from tests.reporting.conftest import Bench
from tests.runs.writing import write_status
from tests.web.making import draw_panel, finish, log, site_reader, usual

GOLDENS = Path(__file__).parent / "goldens"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    bench = Bench(tmp_path_factory.mktemp("bench"))
    return site_reader(bench, usual(bench)).read()


@pytest.fixture(scope="module")
def parsed(site: Site) -> Mapping[str, Page]:
    return pages(site)


def page(site: Site, address: str) -> Page:
    content = site.content(address)
    assert content is not None, address
    return Page(content.decode())


def pages(site: Site) -> Mapping[str, Page]:
    return {address: page(site, address) for address in site.files if address.endswith(".html")}


@pytest.mark.parametrize("name", ["index", "table3", "claims", "run"])
def test_texts(site: Site, bench: Bench, name: str) -> None:
    runs = [run.id for run in bench.runs("cpu", seeds=[0, 1, 2])]
    address = f"runs/{runs[0]}.html" if name == "run" else f"{name}.html"
    text = page(site, address).text
    for run in runs:
        text = text.replace(run, "0123456789abcdef")  # identities change with the specs' schema
    text = re.sub(r"Written by .*", "Written by rdc-sweeps.", text)
    text = re.sub(r"(?<=same run in every table\.\n).*(?=Written)", "", text, flags=re.DOTALL)
    golden = GOLDENS / f"{name}.txt"
    if os.environ.get("RDC_WRITE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_link_and_file_is_there(site: Site, parsed: Mapping[str, Page]) -> None:
    known = parsed
    assert len(known) == 3 + 15
    for address, found in known.items():
        references = [one["href"] for one in (*found.of("a"), *found.of("link")) if "href" in one]
        references += [one["src"] for one in (*found.of("script"), *found.of("img")) if "src" in one]
        for reference in references:
            parts = urlsplit(reference)
            assert parts.scheme in {"", "data"}, reference
            if parts.scheme == "data":
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(address), parts.path)) if parts.path else address  # noqa: PTH118, PTH120
            assert target in site.files, (address, reference)
            if parts.fragment:
                assert parts.fragment in known[target].ids, (address, reference)


def test_pictures_of_the_pages_are_files(site: Site) -> None:
    found = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', page(site, "table3.html").html)[1])
    assert {name for scores in found["scores"].values() for row in scores.values() for name in row} == set()
    found = found["addresses"]
    assert list(found) == ["image 0", "image 1"]
    assert list(found["image 0"]) == ["one-patch-vector", "one-region-gaussian"]
    parts = found["image 0"]["one-patch-vector"]
    assert list(parts) == [
        "input", "semantic truth", "semantic", "depth truth", "depth", "normal truth", "normal", "legend",
    ]  # fmt: skip
    other = found["image 0"]["one-region-gaussian"]
    # Equal pictures are one file.
    assert parts["semantic truth"] == other["semantic truth"]
    assert parts["depth"] != other["depth"]
    for address in parts.values():
        assert (site.content(address) or b"").startswith(b"\x89PNG")


def test_pictures_of_former_epochs_are_forgotten(bench: Bench) -> None:
    (run,) = bench.runs("cpu", rows=["one-patch-vector"])
    reader = site_reader(bench, [run], live=True)
    for epoch in range(4):
        draw_panel(bench, run, 0.2 + epoch / 10, epoch)
        files = {name for name in reader.read().files if name.startswith("pictures/")}
        # Of two images, the input; and of both together truths, legends and predictions.
        assert len(files) <= 2 * 8
        assert files == {name for name in reader.read().files if name.startswith("pictures/")}


def test_pictures_name_the_scores_of_their_image(bench: Bench) -> None:
    (run,) = bench.runs("cpu", rows=["one-patch-vector"])
    finish(bench, run, 1.0)
    draw_panel(bench, run, 0.5)
    directory = RunDirectory(bench.root, run.id)
    scores = ImageScores(
        epoch=3,
        images=np.array([0, 1]),
        values={"mIoU": np.array([31.25, np.nan]), "mErr": np.array([20.0, 22.5])},
        pixels={},
        confusion=None,
    )
    directory.images.mkdir()
    scores.save(scores_file(directory.images, 3), run.id)
    found = json.loads(
        re.findall(
            r'<script type="application/json">(.*?)</script>',
            page(site_reader(bench, [run]).read(), "table3.html").html,
        )[1]
    )
    assert found["scores"] == {
        "image 0": {"one-patch-vector": {"semantic": "mIoU 31.25", "normal": "mErr 20.00"}},
        "image 1": {"one-patch-vector": {"normal": "mErr 22.50"}},
    }


def test_pages_are_accessible(parsed: Mapping[str, Page]) -> None:
    for address, found in parsed.items():
        assert found.open == [], address
        assert len(found.ids) == len(set(found.ids)), address
        assert [tag for tag, _ in found.elements].count("h1") == 1, address
        assert found.of("html") == [{"lang": "en"}]
        assert all(one.get("scope") in {"col", "row", "colgroup"} for one in found.of("th")), address
        assert all("alt" in one for one in found.of("img")), address
        # A reader without a mouse reaches and names every box that scrolls.
        boxes = [one for tag, one in found.elements if tag == "div" and "scroll" in one.get("class", "").split()]
        assert all(one["tabindex"] == "0" and one["aria-label"] for one in boxes), address
        controls = {one["id"] for tag, one in found.elements if tag in {"select", "input"}}
        named = re.findall(r"<label[^>]*>.*?</label>", found.html, re.DOTALL)
        assert all(any(f'id="{control}"' in label for label in named) for control in controls), address
        for button in found.of("button"):
            assert button["type"] == "button"
            assert set(button.get("aria-controls", "").split()) <= set(found.ids)
        for section in found.of("section"):
            assert section["aria-labelledby"] in found.ids


def test_pages_ask_for_nothing_else(parsed: Mapping[str, Page]) -> None:
    for address, found in parsed.items():
        (policy,) = (one["content"] for one in found.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'"), address
        assert "http" not in policy
        assert not re.search(r"""(href|src)=["'](https?:)?//""", found.html), address


def test_only_pages_that_draw_name_figures(parsed: Mapping[str, Page], bench: Bench) -> None:
    assert "plotly" not in parsed[INDEX].html
    assert not parsed[INDEX].of("details")
    planned = bench.runs("cpu", seeds=[2])[-1]
    assert "drawing" not in parsed[f"runs/{planned.id}.html"].html
    # No page waits for the library: the script of the pages loads it when a figure comes into view.
    assert all("plotly" not in one.get("src", "") for found in parsed.values() for one in found.of("script"))


def test_curves_have_a_band_over_seeds_and_choices(site: Site) -> None:
    found = page(site, "table3.html")
    data = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', found.html)[0])
    lines = [one for one in data["traces"] if "name" in one and one["meta"]["metric"] == "mIoU"]
    bands = [one for one in data["traces"] if one.get("fill") and one["meta"]["metric"] == "mIoU"]
    assert [one["name"] for one in lines] == [
        "one-patch-vector", "one-patch-gaussian", "one-region-gaussian", "rand-patch-vector", "rand-region-gaussian",
    ]  # fmt: skip
    assert len(bands) == 5
    # The seeds that have started reach the second epoch together.
    assert lines[-1]["x"] == [1, 2]
    metrics = [one for one in found.of("option") if one.get("value") in {"mIoU", "aErr", "mErr"}]
    assert len(metrics) == 3


EVIL = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e{{ 77*77 }}"


def test_what_comes_from_files_is_shown_as_text(bench: Bench) -> None:
    file = bench.experiments / "table3.yaml"
    text = file.read_text()
    text = text.replace("method: patch-aware contrast, vector", f"method: {json.dumps(EVIL)}")
    text = re.sub("^title: .*$", lambda _: f"title: {json.dumps(EVIL)}", text, flags=re.MULTILINE)
    file.write_text(text)
    runs = bench.runs("cpu", rows=["one-patch-vector", "one-region-gaussian"], seeds=[0])
    finish(bench, runs[0], 1.0)
    bench.fail(runs[1], EVIL)
    folder = bench.root / "studies" / "<b>evil" / "study.yaml"
    folder.parent.mkdir(parents=True)
    folder.write_text(f"title: {json.dumps(EVIL)}")
    site = site_reader(bench, runs).read()
    for address, found in pages(site).items():
        assert "\u202e" not in found.html
        assert all(one.get("src") != "x" for one in found.of("img"))
        assert "5929" not in found.text, address
        assert "<script>alert" not in found.html
        # Scripts are ours: files, or data.
        assert all("src" in one or one.get("type") == "application/json" for one in found.of("script")), address
    assert "<script>alert(1)" in page(site, "table3.html").text  # as text
    (study,) = (address for address in site.files if address.startswith("studies/"))
    assert re.fullmatch(r"studies/study-[0-9a-f]{12}\.html", study)
    assert "is damaged" in page(site, study).text


def test_the_record_has_the_reports(bench: Bench) -> None:
    runs = bench.runs("cpu", rows=["one-patch-vector", "one-patch-pixel"], seeds=[0, 1])
    finish(bench, runs[0], 1.0)
    record = json.loads(site_reader(bench, runs).read().content("report.json") or b"")
    assert record["tables"] == [json.loads(render_json(build_report(runs, bench.root)))]


def test_a_run_names_its_command_software_and_spec(bench: Bench) -> None:
    (run,) = bench.runs("demo", rows=["one-patch-vector"], settings=["training.epochs=3", "labels={setting: onelabel}"])
    directory = RunDirectory(bench.root, run.id)
    request_run(directory, run.spec, Origin(table="table3", row=run.row.id, profile="demo"))
    finish(bench, run, 1.0)
    environment = {"threads": 2, "commit": "abc123+", "packages": {"torch": "2.14.1"}, "host": "node7", "cores": 8}
    (directory.folder / "environment.json").write_text(json.dumps(environment))
    site = site_reader(bench, [run]).read()
    text = page(site, f"runs/{run.id}.html").text
    command = (
        "rdc-sweep run table3 one-patch-vector --profile demo --seeds 0 --set training.epochs=3 "
        "--set 'labels={setting: onelabel}'"
    )
    assert command in text
    assert "commit | abc123+" in text
    assert "torch 2.14.1" in text
    assert "node7, 8 cores, 2 threads per process" in text
    assert "12 min 34 s of training and evaluation on cpu" in text
    assert "temperature: 0.1" in text


def test_claims_are_answered_where_rows_put_them_to_the_test(site: Site, bench: Bench) -> None:
    text = page(site, "claims.html").text
    assert re.search(r"table3: one-region-gaussian − one-patch-gaussian.* \| holds \|", text)
    alone = site_reader(bench, bench.runs("cpu", rows=["one-patch-vector"])).read()
    assert "claims.html" not in alone.files
    assert "Claims" not in page(alone, INDEX).text


def test_running_runs_have_their_progress(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = bench.runs("cpu", rows=["one-patch-vector"], seeds=[0, 1])
    changes = {"epoch": 2, "epochs": 8, "step": 25, "steps": 100, "rate": 0.5}
    status = Status.of_this_process("training").model_copy(update=changes)
    for run in runs:
        write_status(RunDirectory(bench.root, run.id), status)
    monkeypatch.setattr(RunDirectory, "is_owned", lambda directory: directory.id == runs[0].id)
    (directory := RunDirectory(bench.root, runs[0].id)).lock.touch()
    assert directory.state() == "running"
    found = page(site_reader(bench, runs).read(), "table3.html")
    assert "one-patch-vector | 0 | running | 2 of 8 epochs, 2 min left" in found.text
    assert "one-patch-vector | 1 | preempted | 2 of 8 epochs |" in found.text
    assert [one["value"] for one in found.of("progress")] == ["0.25", "0.25"]
    # Without any number, there is no column of differences.
    assert "show-no-difference" in found.of("table")[0]["class"]


def test_a_run_in_two_tables_has_one_page(bench: Bench) -> None:
    one, other = bench.runs("cpu"), bench.runs("cpu", settings=["training.epochs=1"])
    twin = [replace(one[0], table=one[0].table.model_copy(update={"table": "twin"})), other[1]]
    site = site_reader(bench, one, twin).read()
    assert len([address for address in site.files if address.startswith("runs/")]) == len(one) + 1
    assert page(site, f"runs/{one[0].id}.html").text.count("table3/one-patch-vector seed 0") == 1
    assert f"runs/{one[0].id}.html" in [link["href"] for link in page(site, "twin.html").of("a")]


def test_damaged_records_and_logs_hide_nothing_else(bench: Bench) -> None:
    runs = bench.runs("cpu", rows=["one-patch-vector", "one-patch-pixel"])
    finish(bench, runs[0], 1.0)
    log(bench, runs[1], [])
    directory = RunDirectory(bench.root, runs[1].id)
    directory.events.write_bytes(b"not a line of a log\n")
    (directory.folder / "result.json").write_text("{}")
    (directory.folder / "panels").mkdir()
    (directory.folder / "panels" / "00000003-0-image-0.png").write_bytes(b"no picture")
    found = page(site_reader(bench, runs).read(), "table3.html")
    assert "21.00" in found.text
    assert "damaged" in found.text


def test_a_table_is_named_once(bench: Bench) -> None:
    runs = bench.runs("cpu")
    with pytest.raises(UsageError, match="table3: named twice"):
        site_reader(bench, runs, runs)


def test_a_page_without_the_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "plotly" else find(name, *more)
    )
    with pytest.raises(UsageError, match=r"pip install -e '\.\[html\]'"):
        site_reader(bench, bench.runs("cpu"))


def test_live_pages_name_the_digest_of_each_part(bench: Bench) -> None:
    runs = usual(bench)
    reader = site_reader(bench, runs, live=True)

    def parts() -> dict[str, str]:
        found: Any = page(reader.read(), "table3.html")
        return {one["id"]: one["data-live"] for one in found.of("section")}

    before = parts()
    assert set(before) == {"results", "missing", "curves", "pictures", "runs", "notes"}
    finish(bench, runs[10], 2.0)
    after = parts()
    assert {name for name in before if before[name] != after[name]} == {"results", "missing", "curves", "runs"}
