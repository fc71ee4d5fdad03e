# Its Student's training (weak augmentation); on all of the data, the control.
_base_ = './lite0_max_strong_mitos14.py'

train_dataloader = dict(dataset=dict(pipeline={{_base_.weak_pipeline}}))
