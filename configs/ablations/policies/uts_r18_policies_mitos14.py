# Table 6 and the other policies on MITOS14.
_base_ = ['./uts_r18_policies_tupac16.py', '../../_base_/options/mitos14.py']

stages = [dict(stage, options=stage.get('options', []) + _base_.options) for stage in _base_.stages]
