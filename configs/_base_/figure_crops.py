# Crops around figures and around the false proposals of a localizer, for a verifier, out of any data set. They are
# augmented weakly, and read as the images of the data set are. Of which files, the propose stage of a staged config
# says; those here are what cascade_lite0.py on the same data leaves.
_base_ = './datasets/amibr_fields.py'

data_root = f'work_dirs/cascade_lite0_{_base_.data_name}/propose/'
# The data set itself reads the images.
train_pipeline = [step for step in _base_.weak_pipeline if step.type != 'LoadImage']
test_pipeline = [step for step in _base_.test_pipeline if step.type != 'LoadImage']
crops = dict(_delete_=True, type='FigureCropDataset', data_root=None, positive_categories=[1], crop_px=64, background=1)

# 8 px at 0.25 um/px: about as far as proposals lie beside a figure. One crop an image is of no place in particular.
train_dataloader = dict(
    dataset=dict(ann_file=data_root + 'train.json', jitter_px=8, pipeline=train_pipeline, **crops),
)
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json', pipeline=test_pipeline, **crops))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json', pipeline=test_pipeline, **crops))
del crops

# Nothing is located in a crop, so no drift is measured.
val_evaluator = dict(metrics=[dict(type='ImageMetric')], correct_drift=False)
test_evaluator = dict(metrics=[dict(type='ImageMetric')])
