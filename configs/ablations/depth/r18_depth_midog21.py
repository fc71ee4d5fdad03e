# Figure 6 on MIDOG21.
_base_ = ['./r18_depth_tupac16.py', '../../_base_/options/midog21.py']

stages = [dict(stage, options=stage.get('options', []) + _base_.options) for stage in _base_.stages]
