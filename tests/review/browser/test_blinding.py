"""What a blinded rater cannot find out, and what one who is not blinded sees."""

import re

import pytest

NAMES = re.compile('reason|annotat|predict|score|distance|old_label|verdict|rank|teacher|hard negative', re.IGNORECASE)


def recorded(rater):
    """Everything that the server sends, as it comes."""
    bodies = []
    rater.on('response', lambda response: bodies.append(response))
    return bodies


def texts(bodies):
    # A redirection has no body.
    return {body.url: f'{body.headers} {body.body().decode("latin-1")}' for body in bodies if body.status == 200}


def test_a_blinded_page_and_its_requests_hold_no_secret(server, visit):
    rater = visit(server)
    bodies = recorded(rater)
    rater.open().page.wait_for_load_state('networkidle')
    pages = [rater.page.content()]
    rater.look()
    for key in 'mnu' * 8:
        rater.wait_for_crop()
        pages.append(rater.page.content())
        rater.press(key)
    rater.page.locator('#closing[open]').wait_for()
    rater.press('Escape', 'z').wait_until_saved(23).press('?', 'd')
    pages.append(rater.page.content())

    sent = texts(bodies)
    assert sum('/field' in url for url in sent) == sum('/thumb' in url for url in sent) == 24
    for secret in server.secrets:
        assert not [url for url, text in sent.items() if secret in text], secret
        assert not any(secret in page for page in pages), secret
    answers = {url: text for url, text in sent.items() if '/api/' in url and '/crops/' not in url}
    assert len(answers) > 24
    assert {url: NAMES.findall(text) for url, text in answers.items() if NAMES.search(text)} == {}
    assert [NAMES.findall(page) for page in pages if NAMES.search(page)] == []
    assert not any('open_mode' in url for url in sent), 'not even the code that shows them is asked for'
    assert rater.page.locator('#tool-draw').count() == 0


def test_a_blinded_page_draws_nothing_on_d(rater):
    rater.look()
    before = rater.page.locator('#stage').inner_html()
    rater.press('d')
    assert rater.page.locator('#stage').inner_html() == before


def test_an_open_page_shows_labels_on_demand(opened, visit):
    rater = visit(opened).open()
    page = rater.page
    page.locator('select[name=reason]').select_option(label='zebra reason')
    assert rater.text('#shown') == '12 of 24 samples'
    rater.look()
    item = opened.items()[rater.item - 1]
    facts = rater.text('#viewer-facts')
    assert 'zebra reason' in facts
    assert ('annotated as mitotic figure' in facts) == (item.old_label == 'mitotic')
    assert page.locator('.overlay .annotated, .overlay .predicted').count() == 0
    rater.press('d')
    stage, view_px = rater.box('#stage'), 48 / 0.25
    square = page.locator('.overlay .mark-line.annotated').first.bounding_box()
    image_items = [other for other in opened.items() if other.image_id == item.image_id]
    annotated = next(other.annotated_xy_px for other in image_items if other.annotated_xy_px)
    for start, size, axis in (('x', 'width', 0), ('y', 'height', 1)):
        shown = (square[start] + square[size] / 2 - stage[start] - stage[size] / 2) * view_px / stage['width']
        assert shown == pytest.approx(annotated[axis] - item.anchor_px[axis], abs=1)
    assert page.locator('.overlay .mark-text').first.text_content() == '0.74'
    rater.press('ArrowRight').wait_for_crop()
    assert page.locator('.overlay .annotated').count() == 0, 'the next one is first seen without'
    rater.decide('m')
    rater.wait_for_text('#progress-text', 'as annotated|1 of 24')
    rater.press('?')
    assert 'annotated (square)' in rater.text('#help-view')


def test_open_samples_come_by_disagreement(opened, visit):
    rater = visit(opened).open()
    by_rank = [item.item_id for item in sorted(opened.items(), key=lambda item: item.rank)]
    assert list(rater.tile_states()) == by_rank
