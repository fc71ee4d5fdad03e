from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch
from mmengine.dist import all_gather_object
from two_processes import End, in_two_processes

from mitouts.engine.hooks import NonFiniteLossHook
from mitouts.errors import AnnotationError
from mitouts.registry import UnknownComponentError
from mitouts.utils.ranks import on_main_process, peers_explained, together


@pytest.mark.parametrize(
    ('error', 'own', 'others'),
    [
        (
            AnnotationError('a.json: no image'),
            ('AnnotationError', 'a.json: no image'),
            ('AnnotationError', 'process 2 of 2 failed: a.json: no image'),
        ),
        (
            OSError(28, 'No space left on device'),
            ('OSError', '[Errno 28] No space left on device'),
            ('MitoutsError', 'process 2 of 2 failed: [Errno 28] No space left on device'),
        ),
        (
            TypeError('no such argument'),
            ('TypeError', 'no such argument'),
            ('MitoutsError', 'process 2 of 2 failed: TypeError: no such argument'),
        ),
    ],
)
def test_what_one_process_raises_ends_both(error, own, others, tmp_path) -> None:
    def work(rank: int) -> None:
        with together():
            if rank == 1:
                raise error
        raise AssertionError('it went on')

    assert in_two_processes(work, tmp_path) == [End(error=others), End(error=own)]


def test_each_process_raises_its_own_error_where_both_fail(tmp_path) -> None:
    def work(rank: int) -> None:
        with together():
            raise AnnotationError(f'seen by {rank}')

    assert [end.error[1] for end in in_two_processes(work, tmp_path)] == ['seen by 0', 'seen by 1']


def test_an_error_of_a_component_reaches_the_other_process(tmp_path) -> None:
    def work(rank: int) -> None:
        with together():
            if rank == 0:
                raise UnknownComponentError('Nope', 'mitouts::model', ['Yes'])

    first, second = in_two_processes(work, tmp_path)
    assert first.error[0] == 'UnknownComponentError'
    assert second.error[0] == 'MitoutsError'
    assert "'Nope' is not in the mitouts::model registry" in second.error[1]


def test_both_go_on_where_neither_fails_and_neither_is_ahead(tmp_path) -> None:
    def work(rank: int) -> list[bool]:
        with together():
            if rank == 0:
                (tmp_path / 'written').touch()
        return all_gather_object((tmp_path / 'written').exists())

    assert [end.value for end in in_two_processes(work, tmp_path)] == [[True, True]] * 2


def test_a_process_that_vanishes_leaves_the_other_a_plain_word(tmp_path) -> None:
    def work(rank: int) -> None:
        with together():
            if rank == 1:
                os._exit(1)

    first, second = in_two_processes(work, tmp_path)
    assert second is None
    assert first.error == ('TrainingError', 'another process of this run has ended, its own message says why')


def test_another_error_is_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match=r'^shapes differ$'), peers_explained():
        raise RuntimeError('shapes differ')


def test_one_process_alone_raises_what_it_raises() -> None:
    error = KeyError('a')
    with pytest.raises(KeyError) as caught, together():
        raise error
    assert caught.value is error


def test_a_loss_that_is_not_finite_in_one_process_ends_both(tmp_path) -> None:
    runner = SimpleNamespace(epoch=2, message_hub=SimpleNamespace(runtime_info={}))
    batch = {'data_samples': [SimpleNamespace(img_path='broken.png')]}

    def work(rank: int) -> None:
        hook = NonFiniteLossHook()
        hook.after_train_iter(runner, 6, batch, {'loss': torch.tensor(0.7)})
        hook.after_train_iter(runner, 7, batch, {'loss': torch.tensor(float('nan') if rank == 1 else 0.7)})

    first, second = in_two_processes(work, tmp_path)
    words = 'the loss is nan in epoch 3, batch 8; its images: broken.png'
    assert first.error[0] == second.error[0] == 'TrainingError'
    assert first.error[1].startswith(f'process 2 of 2 failed: {words}')
    assert second.error[1].startswith(words)


def test_what_the_main_process_finds_both_have(tmp_path) -> None:
    def work(rank: int) -> list[object]:
        called: list[int] = []

        def compute() -> dict[str, list[int]]:
            called.append(rank)
            return {'a': [1, 2]}

        return [on_main_process(compute), called]

    assert in_two_processes(work, tmp_path) == [End([{'a': [1, 2]}, [0]]), End([{'a': [1, 2]}, []])]


def test_what_the_main_process_raises_both_raise(tmp_path) -> None:
    def work(rank: int) -> None:
        def fail() -> None:
            raise AnnotationError('a.json: no figure')

        on_main_process(fail)

    own, others = 'a.json: no figure', 'process 1 of 2 failed: a.json: no figure'
    assert in_two_processes(work, tmp_path) == [End(error=('AnnotationError', text)) for text in (own, others)]
