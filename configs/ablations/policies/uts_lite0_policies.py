# Table 6 and the other policies with EfficientNet-Lite0.
_base_ = './uts_r18_policies.py'

here = [stage.config.replace('r18', 'lite0') for stage in _base_.stages]
stages = [dict(stage, config=config) for stage, config in zip(_base_.stages, here)]
