# The Teacher of the authors' code.
_base_ = '../_base_/recipes/code.py'
