"""The golden list of metrics: docs/metrics.md, and what a scrape says."""
import collections
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
Metric = collections.namedtuple("Metric", "name kind labels")


def golden():
    """Every metric of docs/metrics.md by its name."""
    metrics = {}
    for line in (ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `merpati_") or len(cells) != 5:
            continue
        name = cells[0].strip("`")
        assert name not in metrics, f"{name} is listed twice"
        metrics[name] = Metric(name, cells[1], frozenset(re.findall("`([a-z0-9_]+)`", cells[2])))
    return metrics


def known_labels():
    """The labels of the second table of docs/metrics.md."""
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8").split("## Labels")[1]
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", text, re.M))


def in_source():
    """Names that the C++ code makes metrics of: every literal that looks like one."""
    names = set()
    for folder in ("libs", "services"):
        for path in sorted((ROOT / folder).rglob("*.cpp")):
            for name in re.findall(r'"(merpati_[a-z0-9_]+)"', path.read_text(encoding="utf-8")):
                names.add(name)
    return names


def base_name(name):
    """Of a series of a histogram the histogram's."""
    return re.sub("_(bucket|sum|count)$", "", name)


def parse(text):
    """{name: (kind, [labels of each series])} of Prometheus's text format."""
    kinds, series = {}, collections.defaultdict(list)
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            kinds[name] = kind
        elif line and not line.startswith("#"):
            found = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$", line)
            assert found, line
            labels = dict(re.findall(r'([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
            name = found[1]
            if name not in kinds:
                name = base_name(name)
                labels.pop("le", None)
            series[name].append(labels)
    return {name: (kind, series[name]) for name, kind in kinds.items()}
