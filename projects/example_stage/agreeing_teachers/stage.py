"""A stage that keeps the images that two distillations keep both: two Teachers must agree."""

from mmengine.dist import is_main_process

from mitouts.engine.distill import DISTILLED_NAME
from mitouts.engine.stages import Stage
from mitouts.formats.coco import read_coco, write_json
from mitouts.registry import STAGES
from mitouts.utils.ranks import together


@STAGES.register_module(name='agree')
class AgreeStage(Stage):
    """Writes the annotation file of the images that two earlier distillations have kept.

    Args:
        name: Name of the stage.
        config: Its config; that of one of the Teachers.
        first_from: A distillation.
        second_from: Another one, of the same images.
    """

    kind = 'agree'
    labels_name = 'agreed.json'
    section = 'agreements'

    def __init__(self, name, config, first_from=None, second_from=None):
        super().__init__(name, config)
        self.sources = {'first_from': first_from, 'second_from': second_from}

    def check(self, earlier):
        for key, source in self.sources.items():
            self.need(key, source, earlier, lambda stage: stage.kind == 'distill', 'distill stage')

    def input_files(self, config, run):
        return {key: str(run.made_by(self, source, DISTILLED_NAME)) for key, source in self.sources.items()}

    def work(self, config, folder, run, *, go_on):
        first, second = (read_coco(file) for file in self.input_files(config, run).values())
        kept = {image['id'] for image in second['images']}
        images = [image for image in first['images'] if image['id'] in kept]
        chosen = {image['id'] for image in images}
        annotations = [each for each in first['annotations'] if each['image_id'] in chosen]
        # Of several processes the first one writes; where it fails, all of them do.
        with together():
            if is_main_process():
                write_json(folder / self.labels_name, {**first, 'images': images, 'annotations': annotations})
        return {'kind': self.kind, 'kept': len(images), 'first': len(first['images']), 'second': len(kept)}
