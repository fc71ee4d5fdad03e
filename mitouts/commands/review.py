"""Have hard samples reviewed in the browser, and turn what the raters say into corrected labels.

    mitouts review serve work_dirs/demo/distill/hard_samples.json --annotations data/fields/train.json \\
        --rater anna ben --tiebreaker carl
    mitouts review apply review.sqlite --annotations data/fields/train.json --out reviewed.json
    mitouts review report review.sqlite --out report.json --markdown report.md
    mitouts review export review.sqlite --annotations data/fields/train.json --csv now.csv --geojson DIR
    mitouts review simulate review.sqlite --annotations data/fields/train.json --accuracy 0.9

Decisions go into the database; the annotation file and the hard samples are never written to.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mitouts.errors import ReviewError
from mitouts.formats.coco import image_root, read_coco, write_json
from mitouts.formats.provenance import check_out
from mitouts.review.items import Item
from mitouts.review.labels import Role
from mitouts.review.records import check_entry
from mitouts.review.store import ReviewStore
from mitouts.utils.arguments import Gather, add_image_root, at_least, share
from mitouts.utils.defaults import NUM_BOOTSTRAP, RULES, UNDECIDED
from mitouts.utils.files import write_folder
from mitouts.utils.words import plural

DATABASE_NAME = 'review.sqlite'
DEFAULT_RATER = 'rater'
DEFAULT_HOST = '127.0.0.1'
DEFAULT_PORT = 8760


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)
    args.command(args)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(title='commands', required=True, dest='COMMAND')
    _add_serve(commands)
    _add_apply(commands)
    _add_report(commands)
    _add_export(commands)
    _add_simulate(commands)
    return parser


def serve(args: argparse.Namespace) -> None:
    """Open or make the database, and serve it."""
    from mitouts.review.opening import open_or_create

    start, crop_source = _application()
    raters = _raters(args.rater, args.tiebreaker)
    database = args.db or args.hard_samples.parent / DATABASE_NAME
    document = read_coco(args.annotations)
    root = args.image_root or image_root(args.annotations, document)
    store = open_or_create(
        database,
        args.hard_samples,
        args.annotations,
        include='all' if args.all else None,
        num_controls=args.controls,
        seed=args.seed,
    )
    with store:
        _check_tiebreaker(store, args.tiebreaker)
        crops = crop_source(root, store.items, **_around_patches(args, document, root, store.items))
        print(
            f'{plural(len(store.items), "item")}, {"open" if args.open else "blinded"}; decisions go to {database}',
            flush=True,
        )
        start(store, crops, raters, blinded=not args.open, host=args.host, port=args.port)


def apply(args: argparse.Namespace) -> None:
    """Write the corrected annotation file."""
    from mitouts.review.apply import apply_review

    with ReviewStore.open(args.database) as store:
        root = None if args.image_root is None else str(args.image_root)
        summary = apply_review(
            store, args.annotations, args.out, rule=args.rule, undecided=args.undecided, data_root=root
        )
    print(', '.join(f'{key}: {value}' for key, value in summary.items()))
    print(f'written to {args.out}')


def report(args: argparse.Namespace) -> None:
    """Print the report of a review, and write it to files."""
    from mitouts.review.report import build_report
    from mitouts.review.report_text import print_report, report_markdown

    _check_report_files(args)
    with ReviewStore.open(args.database) as store:
        content = build_report(store, rule=args.rule, num_bootstrap=args.bootstrap, seed=args.seed)
    print_report(content, Console(soft_wrap=True, highlight=False))
    if args.out is not None:
        write_json(args.out, content)
        print(f'written to {args.out}')
    if args.markdown is not None:
        args.markdown.parent.mkdir(parents=True, exist_ok=True)
        args.markdown.write_text(report_markdown(content), encoding='utf-8')
        print(f'written to {args.markdown}')


def export(args: argparse.Namespace) -> None:
    """Write tables and GeoJSON."""
    from mitouts.review.export import write_decisions, write_log

    if args.csv is None and args.log_csv is None and args.geojson is None:
        raise ReviewError('nothing to export: give --csv FILE, --log-csv FILE or --geojson DIR')
    if args.geojson is not None and args.annotations is None:
        raise ReviewError('--geojson needs --annotations, the annotation file that was reviewed')
    with ReviewStore.open(args.database) as store:
        if args.csv is not None:
            print(f'{plural(write_decisions(store, args.csv, rule=args.rule), "decision")} written to {args.csv}')
        if args.log_csv is not None:
            print(f'{write_log(store, args.log_csv)} log entries written to {args.log_csv}')
        if args.geojson is not None:
            _export_geojson(store, args)


def simulated(args: argparse.Namespace) -> None:
    """Let a simulated rater decide every item."""
    from mitouts.review.apply import check_annotations
    from mitouts.review.simulate import simulate

    with ReviewStore.open(args.database) as store:
        check_annotations(store, args.annotations)
        document = read_coco(args.annotations)
        summary = simulate(store, document, rater=args.rater, accuracy=args.accuracy, seed=args.seed)
    print(', '.join(f'{key}: {value}' for key, value in summary.items()))


def _add_serve(commands: Any) -> None:
    parser = _command(commands, 'serve', serve, 'review hard samples in the browser')
    parser.add_argument('hard_samples', type=Path, metavar='HARD_SAMPLES.json', help='what a distillation wrote')
    parser.add_argument(
        '--annotations', type=Path, required=True, metavar='ANN.json', help='the annotation file that was distilled'
    )
    add_image_root(parser)
    parser.add_argument(
        '--source-root',
        type=Path,
        metavar='DIR',
        help='folder of the images that patches were cut from, to show what lies around (default: as ANN.json says)',
    )
    parser.add_argument(
        '--db',
        type=Path,
        metavar='FILE',
        help=f'database of the review, made where there is none (default: {DATABASE_NAME} beside HARD_SAMPLES.json)',
    )
    parser.add_argument(
        '--rater',
        nargs='+',
        action=Gather,
        default=[],
        metavar='NAME',
        help=f'who reviews; an address is printed for each (default: {DEFAULT_RATER})',
    )
    parser.add_argument('--tiebreaker', metavar='NAME', help='who decides where the raters tie, and sees nothing else')
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        '--blinded', action='store_true', help='show neither label nor prediction, in random order (default)'
    )
    shown.add_argument('--open', action='store_true', help='show both, the largest disagreement first')
    parser.add_argument(
        '--port', type=at_least(0), default=DEFAULT_PORT, help=f'default: {DEFAULT_PORT}; 0: a free one'
    )
    parser.add_argument('--host', default=DEFAULT_HOST, help=f'address to listen at (default: {DEFAULT_HOST})')
    parser.add_argument('--all', action='store_true', help='review every sample, not just those that were dropped')
    parser.add_argument(
        '--controls', type=at_least(0), metavar='N', help='mix in N samples that were not dropped (default: 0)'
    )
    parser.add_argument('--seed', type=at_least(0), help='of the order and the controls (default: 0)')


def _add_apply(commands: Any) -> None:
    parser = _command(commands, 'apply', apply, 'write the corrected annotation file')
    _add_review(parser, required=True)
    parser.add_argument('--out', type=Path, required=True, metavar='REVIEWED.json', help='annotation file to write')
    add_image_root(parser)
    _add_rule(parser)
    _add_undecided(parser)


def _add_report(commands: Any) -> None:
    parser = _command(commands, 'report', report, 'counts, old and new labels, kappas with intervals, cases')
    _add_database(parser)
    parser.add_argument('--out', type=Path, metavar='REPORT.json', help='write it as JSON')
    parser.add_argument('--markdown', type=Path, metavar='REPORT.md', help='write it as Markdown')
    parser.add_argument(
        '--bootstrap',
        type=at_least(0),
        default=NUM_BOOTSTRAP,
        metavar='N',
        help=f'replicates of the intervals (default: {NUM_BOOTSTRAP})',
    )
    parser.add_argument('--seed', type=at_least(0), default=0, help='of the replicates (default: 0)')
    _add_rule(parser)


def _add_export(commands: Any) -> None:
    parser = _command(commands, 'export', export, 'decisions as CSV, the corrected labels for QuPath')
    _add_review(parser, required=False)
    parser.add_argument('--csv', type=Path, metavar='FILE', help='what raters say now, a decision a row')
    parser.add_argument('--log-csv', type=Path, metavar='FILE', help='the whole log, with what was taken back')
    parser.add_argument('--geojson', type=Path, metavar='DIR', help='the corrected labels, a QuPath file an image')
    add_image_root(parser, 'folder of slides that QuPath crops: their offset is read there')
    parser.add_argument('--overwrite', action='store_true', help='with --geojson, replace existing files')
    _add_rule(parser)
    _add_undecided(parser)


def _add_simulate(commands: Any) -> None:
    parser = _command(commands, 'simulate', simulated, 'a rater who is right with a given probability')
    _add_review(parser, required=True)
    parser.add_argument('--accuracy', type=share, default=0.9, help='probability of a right answer (default: 0.9)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='of the errors (default: 0)')
    parser.add_argument('--rater', default='simulated', metavar='NAME', help='who decides (default: simulated)')


def _command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], None], what: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=what, description=f'{what[0].upper()}{what[1:]}.')
    parser.set_defaults(command=function)
    return parser


def _add_database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('database', type=Path, metavar='REVIEW.sqlite', help='what serve has made')


def _add_review(parser: argparse.ArgumentParser, *, required: bool) -> None:
    _add_database(parser)
    parser.add_argument(
        '--annotations',
        type=Path,
        required=required,
        metavar='ANN.json',
        help='the annotation file that was reviewed' + ('' if required else '; needed for --geojson'),
    )


def _add_rule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--rule',
        choices=RULES,
        default='majority',
        help='majority: the label of more than half of the votes, unsure being none; the tiebreaker counts where the '
        'raters tie. unanimous: the label that all have given. last: that of the latest decision (default: majority)',
    )


def _add_undecided(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--undecided',
        choices=UNDECIDED,
        default='keep',
        help='an image with an item that has no label: keep leaves that item as it was annotated, drop leaves out the '
        'image. An item that nobody has decided on has none either, so drop leaves out what the distillation had '
        'dropped and nobody has reviewed yet (default: keep)',
    )


def _application() -> tuple[Callable[..., None], Callable[..., Any]]:
    """Import the server and what cuts crops; both need packages that the other commands do without."""
    try:
        from mitouts.review.crops import CropSource
        from mitouts.review.serving import serve as start
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith('mitouts'):
            raise
        raise ReviewError(
            f"serving needs {error.name}, which is not installed: pip install 'mitouts[review]'"
        ) from error
    return start, CropSource


def _around_patches(
    args: argparse.Namespace, document: Mapping[str, Any], root: Path, items: Sequence[Item]
) -> dict[str, Any]:
    """Return the crops' argument for showing what lies around patches; empty if the images are not patches."""
    if all(item.source_xy_px is None for item in items):
        return {}
    # Most reviews need neither, and both take a while to load.
    from mitouts.review.surroundings import Surroundings, source_roots
    from mitouts.stain import from_description

    description = (document.get('info', {}).get('mitouts') or {}).get('stain_reference')
    roots = source_roots(root, args.annotations, document, args.source_root)
    surroundings = Surroundings(roots, items, from_description(description))
    if surroundings.missing:
        print(
            f'{len(surroundings.missing)} images that patches were cut from are not at hand, such as '
            f'{surroundings.missing[0]}: around these patches it stays grey; --source-root DIR names their folder',
            flush=True,
        )
    return {'surroundings': surroundings}


def _raters(names: list[str], tiebreaker: str | None) -> dict[str, Role]:
    if not names and tiebreaker is None:
        names = [DEFAULT_RATER]
    raters: dict[str, Role] = dict.fromkeys(names, 'rater')
    if len(raters) < len(names):
        raise ReviewError(f'two raters have the same name: {", ".join(names)}; give each another')
    if tiebreaker is not None:
        if tiebreaker in raters:
            raise ReviewError(f'{tiebreaker} is a rater; the tiebreaker must be somebody else')
        raters[tiebreaker] = 'tiebreaker'
    for name, role in raters.items():
        check_entry('name', name, role, 'unsure', (), None)
    return raters


def _check_tiebreaker(store: ReviewStore, tiebreaker: str | None) -> None:
    if tiebreaker is not None and any(each.role == 'rater' for each in store.states(tiebreaker).values()):
        raise ReviewError(f'{tiebreaker} has decided as a rater in {store.path}; the tiebreaker must be somebody else')


def _check_report_files(args: argparse.Namespace) -> None:
    from mitouts.review.report import TOOL
    from mitouts.review.report_text import TITLE

    if args.out is not None:
        check_out(args.out, TOOL)
    if args.markdown is not None and args.markdown.exists():
        with args.markdown.open('rb') as file:
            if file.readline().rstrip() != TITLE.encode():
                raise ReviewError(f'{args.markdown} is not a report of a review and is not touched; name another file')


def _export_geojson(store: ReviewStore, args: argparse.Namespace) -> None:
    from mitouts.converters.qupath import export_geojson, read_bounds
    from mitouts.review.apply import check_annotations, reviewed_document

    check_annotations(store, args.annotations)
    document = read_coco(args.annotations, keep_outside=True)
    reviewed, _ = reviewed_document(document, store, rule=args.rule, undecided=args.undecided)
    bounds = read_bounds(args.image_root, [image['file_name'] for image in reviewed['images']])
    files = export_geojson(reviewed, bounds_xy_px=bounds)
    write_folder(args.geojson, files, write_json, overwrite=args.overwrite)
    print(
        f'{plural(len(files), "file")} with {plural(len(reviewed["annotations"]), "point")} written to {args.geojson}'
    )
