# A Student's training (weak augmentation); on all of the data it is the control that tells distillation from
# augmentation.
_base_ = './lite0_max_strong.py'

train_dataloader = dict(dataset=dict(pipeline={{_base_.weak_pipeline}}))
