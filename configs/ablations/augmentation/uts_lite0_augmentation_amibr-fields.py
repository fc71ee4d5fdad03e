# Figure 9 on AMi-Br fields.
_base_ = './uts_r18_augmentation_tupac16.py'

here = [stage.config.replace('r18', 'lite0').replace('tupac16', 'amibr-fields') for stage in _base_.stages]
stages = [dict(stage, config=config) for stage, config in zip(_base_.stages, here)]
