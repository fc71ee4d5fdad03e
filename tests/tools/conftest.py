"""Calling a converter as a user does."""

from calling import call as call
from calling import convert as convert
