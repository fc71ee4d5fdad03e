# Table 4 on MITOS14.
_base_ = ['./r18_aggregators_tupac16.py', '../../_base_/options/mitos14.py']

stages = [dict(stage, options=stage.get('options', []) + _base_.options) for stage in _base_.stages]
