# A Student on labels that a rater has corrected (docs/review.md).
_base_ = './lite0_max_weak_phantom.py'

train_dataloader = dict(dataset=dict(ann_file='work_dirs/demo/distill/reviewed.json', data_root=None))
