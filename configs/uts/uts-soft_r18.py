# The same with weights from the distance instead of discarding.
_base_ = './uts_r18.py'

soft = ["distillation.criterion={'type': 'SoftDisagreement'}"]
stages = [dict(stage, options=soft) if stage.kind == 'distill' else stage for stage in _base_.stages]
