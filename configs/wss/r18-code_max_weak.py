# Its Student's training (weak augmentation); on all of the data, the control.
_base_ = './r18-code_max_strong.py'

train_dataloader = dict(dataset=dict(pipeline={{_base_.weak_pipeline}}))
