# Table 4 on MIDOG21 with the hard negatives as positives.
_base_ = ['./r18_aggregators_tupac16.py', '../../_base_/options/midog21_hn.py']

stages = [dict(stage, options=stage.get('options', []) + _base_.options) for stage in _base_.stages]
