# Figure 9 on MIDOG21.
_base_ = ['./uts_r18_augmentation_tupac16.py', '../../_base_/options/midog21.py']

stages = [dict(stage, options=stage.get('options', []) + _base_.options) for stage in _base_.stages]
