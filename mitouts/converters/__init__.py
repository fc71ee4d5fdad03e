"""Reads foreign data sets, one class for each, and turns them into annotation files."""

from mitouts.converters.amibr import AMiBr
from mitouts.converters.base import Converter, Exported, ExportingConverter
from mitouts.converters.ccmct import Ccmct
from mitouts.converters.grand_challenge import GrandChallenge
from mitouts.converters.midog import Midog
from mitouts.converters.mitos14 import Mitos14
from mitouts.converters.qupath_geojson import QuPathGeoJson
from mitouts.converters.sliderunner import SlideRunner
from mitouts.converters.tupac16 import Tupac16

__all__ = [
    'AMiBr',
    'Ccmct',
    'Converter',
    'Exported',
    'ExportingConverter',
    'GrandChallenge',
    'Midog',
    'Mitos14',
    'QuPathGeoJson',
    'SlideRunner',
    'Tupac16',
]
