# The paper's text; Maximum of probabilities, centroids weighted by the score (Eq. 2),
# alpha and beta, both classes alike in every epoch. Points are not moved by a measured drift: the paper knows none.
# The text leaves the rule of the threshold open; another one is val_evaluator.image_threshold.type=YoudenThreshold.
_base_ = [
    '../models/r18_max.py',
    '../datasets/tupac16.py',
    '../schedules/paper.py',
    '../distillation.py',
    '../default_runtime.py',
]

val_evaluator = dict(centroid='score_weighted', correct_drift=False)
