# Table 6 and the other policies on MIDOG21 with the hard negatives as positives.
_base_ = ['./uts_r18_policies_tupac16.py', '../../_base_/options/midog21_hn.py']

stages = [dict(stage, options=stage.get('options', []) + _base_.options) for stage in _base_.stages]
