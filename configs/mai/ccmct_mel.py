# The paper's protocol for CCMCT-MEL, all 32 slides as an external test: annotated and predicted figures in a square of
# 1.59 mm2 around the most populated DBSCAN cluster of annotated figures.
count = dict(
    slides='ccmct/WSI',
    checkpoint='work_dirs/uts_r18_tupac16/student/best.pth',
    # The paper does not say whether its tissue model, trained on breast, was used here; without it all figures in the
    # square count.
    tissue=None,
    # None is the checkpoint's own, chosen on TUPAC16's validation cases.
    threshold=None,
    roi_mm2=[1.59],
)
reference = dict(annotations='data/ccmct.json', area_mm2=1.59, category=1)
correlate = dict(x='reference_count', y='predicted_count', num_bootstrap=2000, seed=0)
paper = dict(slides=32, pearson=0.602, pearson_ci95=[0.305, 0.900], spearman=0.580, spearman_ci95=[0.277, 0.779])
