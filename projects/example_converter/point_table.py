"""A data set of one's own: a table of points beside a folder of images."""

from dataclasses import dataclass
from typing import Annotated, Literal

from mitouts.converters import Converter
from mitouts.errors import AnnotationError
from mitouts.formats.class_names import known_category
from mitouts.formats.source import SourceFigure, SourceImage, SourceSet, check_coordinate, check_file_name
from mitouts.formats.splits import Partition
from mitouts.formats.tables import read_table
from mitouts.registry import CONVERTERS
from mitouts.utils.arguments import Argument

COLUMNS = ('image', 'patient', 'x', 'y', 'class')


@CONVERTERS.register_module('point_table')
@dataclass
class PointTable(Converter):
    """A table of points, a figure a row, beside a folder of images.

        mitouts convert point_table lab --out data/lab.json --import point_table

        SRC/points.csv             image,patient,x,y,class
        SRC/images/P1_a.png

    An image without a figure has one row, whose x, y and class are empty.
    """

    src = 'folder with points.csv and images/'
    partitions = {'point_table': {'lab': Partition(val=frozenset({'P2'}), test=frozenset({'P3'}), source='our lab')}}

    first_pixel: Annotated[Literal[0, 1], Argument('number of the first row and column (default: 0)')] = 0

    def read(self, src, *, image_root=None, mpp=None):
        table = read_table(src / 'points.csv', ', '.join(COLUMNS))
        columns = [table.index(name) for name in COLUMNS]
        images, figures = {}, []
        for line, row in zip(table.lines, table.rows):
            where = f'{table.path}: line {line}'
            name, patient, x, y, kind = (row[column] for column in columns)
            name = check_file_name(name, where)
            images[name] = SourceImage(name, patient)
            if x or y or kind:
                figures.append(self._figure(name, x, y, kind, where))
        return SourceSet('Point table', 'point_table', list(images.values()), figures)

    def images_of(self, src):
        return src / 'images'

    def _figure(self, name, x, y, kind, where):
        category = known_category(kind)
        if category is None:
            raise AnnotationError(f'{where}: expected a class such as mitosis or look-alike, found {kind!r}')
        try:
            x, y = (check_coordinate(float(text), where) - self.first_pixel for text in (x, y))
        except ValueError:
            raise AnnotationError(f'{where}: expected x and y in pixels, found {x!r} and {y!r}') from None
        return SourceFigure(name, x, y, category)
