"""Stands before GeomLoss on the path: its names on monge, and its own helpers of arrays, which its tests use."""

from importlib.metadata import distribution

from . import ot as ot

from monge.compat.geomloss import SamplesLoss as SamplesLoss  # isort: skip

__path__.append(str(distribution("geomloss").locate_file("geomloss")))  # _backends
