# The Teacher of the paper's text: ResNet-18, three stages. Its ImageNet weights come by URL; without a network give
# --cfg-options model.backbone.weights=FILE, or None.
_base_ = '../_base_/recipes/paper.py'
