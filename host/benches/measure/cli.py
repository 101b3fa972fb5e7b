"""The command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .bench import Bench, MeasureError, split_cores
from .peers import Peer
from .peers.haproxy import HAProxy
from .peers.nginx import Nginx
from .peers.tollgate import REPOSITORY, Tollgate
from .samples import Noise

DATA = REPOSITORY / "host/docs/performance"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except MeasureError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="measure", description="Measures Tollgate, beside other proxies and by itself.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _measurements(commands)
    plot = commands.add_parser("plot", help="draw the pictures from the data")
    plot.set_defaults(run=_plot)
    tables = commands.add_parser("tables", help="print the tables from the data as Markdown")
    tables.set_defaults(run=_tables)
    selftest = commands.add_parser("selftest", help="try every command in its smallest form")
    selftest.add_argument("--tollgate", metavar="PATH", help="the binary; else target/release/tollgate")
    selftest.set_defaults(run=_selftest)
    for command in (plot, tables):
        command.add_argument("--data", type=Path, default=DATA, help="the folder of the JSON files")
    return parser


def _measurements(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    def add(
        name: str, text: str, run: Callable[[argparse.Namespace], None], rounds: int, seconds: float
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        command.add_argument("--tollgate", metavar="PATH", help="the binary; else target/release/tollgate")
        command.add_argument("--haproxy", metavar="PATH", help="another HAProxy than the installed one")
        command.add_argument("--nginx", metavar="PATH", help="another nginx than the installed one, as proxy")
        command.add_argument("--nginx-stream-module", metavar="PATH", help="its module for TCP")
        command.add_argument("--rounds", type=int, default=rounds)
        command.add_argument("--seconds", type=float, default=seconds, help="of one turn")
        command.add_argument("--out", metavar="FILE", type=_data_file, default=DATA / f"{name}.json")
        command.add_argument("--proxy-cores", metavar="N,N", help="else the first ones, as many as workers")
        command.add_argument("--load-cores", metavar="N,N", help="else the others")
        command.add_argument("--noise", type=float, default=0.08, help="cores that others may use in an undisturbed sample")
        command.add_argument("--retries", type=int, default=3, help="of a disturbed sample")
        command.set_defaults(run=run, name=name)
        return command

    def peers(command: argparse.ArgumentParser, default: str) -> None:
        command.add_argument("--peers", default=default)
        command.add_argument("--also", metavar="NAME=PATH", action="append", default=[], help="another Tollgate")

    compared = add("compare", "CPU time of a request beside that of other proxies", _compare, 5, 1.0)
    peers(compared, "haproxy,nginx,tollgate")
    compared.add_argument("--scenarios", default="s1,s2,s3,s4,s5,s6,s7,s8,s9", help="or names of single cells")
    add("reload", "what reloads under load do to requests", _reload, 3, 12.0)
    peers(add("memory", "memory of idle connections", _memory, 1, 0.0), "haproxy,nginx,tollgate")
    scale = add("scale", "cost of a request by number of routes, endpoints, filters and listeners", _scale, 5, 1.0)
    scale.add_argument("--of", default="routes,endpoints,filters,listeners")
    scale.add_argument("--size-max", type=int, default=10_000)
    peers(add("workers", "one worker and two", _workers, 5, 2.0), "tollgate")
    add("startup", "from start to the first answer, with every bundled plugin", _startup, 10, 0.0)
    counted = add("instructions", "instructions of one exchange, counted by callgrind", _instructions, 2, 0.0)
    counted.add_argument("--exchanges", type=int, default=200)
    counted.add_argument("--shapes", default="", help="names of shapes; else all")
    counted.add_argument("--keep", metavar="FOLDER", type=Path, help="keep what callgrind wrote, for callgrind_annotate")
    counted.add_argument("--function", help="count in this one, as `nm -C` calls it; else in the task of a connection")


def _data_file(text: str) -> Path:
    """Refused before anything is measured, not after."""
    path = Path(text)
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no file that can be written")
    return path


def _peers(options: argparse.Namespace) -> list[Peer]:
    known: dict[str, Callable[[], Peer]] = {
        "haproxy": lambda: HAProxy(options.haproxy),
        "nginx": lambda: Nginx(options.nginx, options.nginx_stream_module),
        "tollgate": lambda: Tollgate(options.tollgate),
    }
    chosen = []
    for name in filter(None, options.peers.split(",")):
        if name not in known:
            raise MeasureError(f"no peer {name}: there are {', '.join(known)}")
        chosen.append(known[name]())
    for also in options.also:
        name, separator, path = also.partition("=")
        if not separator or name in known or not name.isidentifier():
            raise MeasureError(f"--also {also}: NAME=PATH is expected, with a name of its own")
        chosen.append(Tollgate(path, name))
    return chosen


def _bench(options: argparse.Namespace, workers: int = 1) -> Bench:
    return Bench(split_cores(workers, options.proxy_cores, options.load_cores))


def _noise(options: argparse.Namespace) -> Noise:
    return Noise(options.noise, options.retries)


def _settings(options: argparse.Namespace, **more: object) -> dict[str, object]:
    common = {"rounds": options.rounds, "seconds": options.seconds, "noise_cores_max": options.noise}
    return {**common, "retries": options.retries, **more}


def _compare(options: argparse.Namespace) -> None:
    from .compare import Plan, compare
    from .results import write_results

    peers = _peers(options)
    with _bench(options) as bench:
        plan = Plan(peers, options.scenarios.split(","), options.rounds, options.seconds, _noise(options))
        cells, failed = compare(bench, plan)
        write_results(options.out, "compare", bench, peers, _settings(options, workers=1), {"cells": cells})
    if failed:
        raise MeasureError("without " + "; ".join(failed))


def _reload(options: argparse.Namespace) -> None:
    from .reload import measure_reloads
    from .results import write_results

    tollgate = Tollgate(options.tollgate)
    with _bench(options) as bench:
        content = measure_reloads(bench, tollgate, options.rounds, options.seconds)
        write_results(options.out, "reload", bench, [tollgate], _settings(options), content)


def _memory(options: argparse.Namespace) -> None:
    from .memory import measure_memory
    from .results import write_results

    peers = _peers(options)
    with _bench(options) as bench:
        content = measure_memory(bench, peers)
        write_results(options.out, "memory", bench, peers, {}, content)


def _scale(options: argparse.Namespace) -> None:
    from .results import write_results
    from .scale import measure_scale

    tollgate = Tollgate(options.tollgate)
    with _bench(options) as bench:
        names, noise = options.of.split(","), _noise(options)
        axes = measure_scale(bench, tollgate, names, options.size_max, options.rounds, options.seconds, noise)
        write_results(options.out, "scale", bench, [tollgate], _settings(options), {"axes": axes})


def _workers(options: argparse.Namespace) -> None:
    from .results import write_results
    from .workers import measure_workers

    peers = _peers(options)
    with _bench(options, workers=2) as bench:
        content = measure_workers(bench, peers, options.rounds, options.seconds, _noise(options))
        write_results(options.out, "workers", bench, peers, _settings(options), content)


def _startup(options: argparse.Namespace) -> None:
    from .results import write_results
    from .startup import measure_startup

    tollgate = Tollgate(options.tollgate)
    # All cores: plugins are compiled beside each other.
    cores = split_cores(os.cpu_count() or 1, options.proxy_cores, options.load_cores)
    with Bench(cores) as bench:
        content = measure_startup(bench, tollgate, options.rounds)
        write_results(options.out, "startup", bench, [tollgate], {"rounds": options.rounds}, content)


def _instructions(options: argparse.Namespace) -> None:
    from .instructions import measure_instructions
    from .results import write_results

    tollgate = Tollgate(options.tollgate)
    names = list(filter(None, options.shapes.split(",")))
    with _bench(options) as bench:
        content = measure_instructions(bench, tollgate, names, options.exchanges, options.rounds, options.function, options.keep)
        write_results(options.out, "instructions", bench, [tollgate], {"rounds": options.rounds}, content)


def _plot(options: argparse.Namespace) -> None:
    from .plot import draw_all

    draw_all(options.data)


def _tables(options: argparse.Namespace) -> None:
    from .tables import all_tables

    print(all_tables(options.data))


def _selftest(options: argparse.Namespace) -> None:
    from .selftest import run_all

    run_all(options.tollgate)
