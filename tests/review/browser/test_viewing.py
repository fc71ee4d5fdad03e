"""The single view: what is where, at which scale, and which points are logged."""

import re

import pytest

ARROWS = {'ArrowLeft': (-1, 0), 'ArrowRight': (1, 0), 'ArrowUp': (0, -1), 'ArrowDown': (0, 1)}
SIDES_UM = [24, 48, 96]
MPP = 0.25
FIELD_PX = 385


def scale(rater, side_um=48):
    """CSS pixels a level-0 pixel, by the width of the stage."""
    return rater.box('#stage')['width'] / (side_um / MPP)


def click_at(rater, dx, dy, side_um=48):
    """Click at an offset from the middle of the stage, in level-0 pixels."""
    box, factor = rater.box('#stage'), scale(rater, side_um)
    centre = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    rater.page.mouse.click(centre[0] + dx * factor, centre[1] + dy * factor)


def close_to(points):
    return [pytest.approx(point, abs=1) for point in points]


def saved_entry(server, rater, key='m'):
    rater.decide(key)
    rater.wait_for_text('#confirmation', 'saved')
    return server.log(rater.name)[-1]


@pytest.mark.parametrize('size', [(1280, 800), (390, 844), (900, 500)])
def test_the_scale_bar_is_right_at_every_zoom_and_size(server, visit, size):
    rater = visit(server, viewport={'width': size[0], 'height': size[1]}).open().look()
    for side_um in SIDES_UM:
        while rater.text('#zooms [aria-pressed=true]') != f'{side_um} µm':
            rater.press(' ')
        length_um = float(re.fullmatch(r'([\d.]+) µm', rater.text('.scale-text'))[1])
        expected_px = length_um / MPP * scale(rater, side_um)
        assert rater.box('.scale-line')['width'] == pytest.approx(expected_px, abs=0.5)
        crop = rater.box('.crop')
        assert crop['width'] == pytest.approx(FIELD_PX * scale(rater, side_um), rel=1e-3)
        stage = rater.box('#stage')
        assert crop['x'] + crop['width'] / 2 == pytest.approx(stage['x'] + stage['width'] / 2, abs=1)
        assert stage['width'] == pytest.approx(stage['height'], abs=0.5)
    rater.page.set_viewport_size({'width': size[0], 'height': size[1] - 60})
    rater.page.wait_for_timeout(100)
    length_um = float(rater.text('.scale-text').split()[0])
    assert rater.box('.scale-line')['width'] == pytest.approx(length_um / MPP * scale(rater, 96), abs=0.5)


def test_space_goes_through_three_widths_without_a_request(rater):
    rater.look().page.wait_for_load_state('networkidle')
    before = len(rater.requests)
    assert rater.text('#zooms [aria-pressed=true]') == '48 µm'
    seen = []
    for _ in range(3):
        seen.append(rater.press(' ').text('#zooms [aria-pressed=true]'))
    assert seen == ['96 µm', '24 µm', '48 µm']
    assert len(rater.requests) == before
    rater.press(' ', 'ArrowRight').wait_for_crop()
    assert rater.text('#zooms [aria-pressed=true]') == '96 µm', 'the next sample is shown as wide'


def test_panning_by_key_and_mouse_and_back(rater):
    rater.look()
    centred = rater.box('.crop')
    side = rater.box('#stage')['width']
    rater.press('Shift+ArrowRight', 'Shift+ArrowDown', 'Shift+ArrowDown')
    moved = rater.box('.crop')
    assert moved['x'] == pytest.approx(centred['x'] - 0.15 * side, abs=1)
    assert moved['y'] == pytest.approx(centred['y'] - 0.3 * side, abs=1)
    rater.press('0')
    assert rater.box('.crop') == centred
    stage = rater.box('#stage')
    mouse = rater.page.mouse
    mouse.move(stage['x'] + 200, stage['y'] + 200)
    mouse.down()
    mouse.move(stage['x'] + 150, stage['y'] + 230, steps=4)
    mouse.up()
    dragged = rater.box('.crop')
    assert dragged['x'] == pytest.approx(centred['x'] - 50, abs=1)
    assert dragged['y'] == pytest.approx(centred['y'] + 30, abs=1)
    for _ in range(20):
        rater.press('Shift+ArrowRight')
    assert rater.box('.crop')['x'] + centred['width'] == pytest.approx(stage['x'] + stage['width'], abs=1)


def test_pinching_and_the_wheel_zoom_about_their_place(rater):
    rater.look()
    stage = rater.box('#stage')
    centred = rater.box('.crop')
    rater.page.mouse.move(stage['x'] + stage['width'] / 2, stage['y'] + stage['height'] / 2)
    rater.page.mouse.wheel(0, -200)
    rater.page.wait_for_function("document.querySelector('#zooms [aria-pressed=true]') === null")
    closer = rater.box('.crop')
    assert closer['width'] > 1.2 * centred['width']
    assert closer['x'] + closer['width'] / 2 == pytest.approx(stage['x'] + stage['width'] / 2, abs=1)
    rater.page.evaluate("""() => {
        const stage = document.querySelector('#stage');
        stage.setPointerCapture = () => {};
        const box = stage.getBoundingClientRect();
        const send = (type, pointerId, x) => stage.dispatchEvent(new PointerEvent(type, {
            pointerId, pointerType: 'touch', bubbles: true,
            clientX: box.left + box.width / 2 + x, clientY: box.top + box.height / 2,
        }));
        send('pointerdown', 1, -100); send('pointerdown', 2, 100);
        send('pointermove', 1, -50); send('pointermove', 2, 50);
        send('pointerup', 1, -50); send('pointerup', 2, 50);
    }""")
    assert rater.box('.crop')['width'] == pytest.approx(closer['width'] / 2, rel=0.02)
    rater.press(' ')
    assert rater.page.locator('#zooms [aria-pressed=true]').count() == 1


def test_a_point_is_moved_by_mouse(server, rater):
    rater.look().press('p')
    click_at(rater, 20, -12)
    click_at(rater, 12.5, -30)
    rater.wait_for_text('#hint', 'point moved · saved with your decision')
    entry = saved_entry(server, rater)
    assert entry.moved_px == pytest.approx((12.5, -30), abs=1)
    assert entry.added_px == ()
    rater.press('ArrowRight').wait_for_crop().press('ArrowLeft', 'ArrowLeft').wait_for_crop()
    assert rater.text('#hint') == 'point moved'
    assert rater.page.locator('.overlay .moved').count() == 1


def test_figures_are_added_by_mouse_where_it_was_panned_to(server, rater):
    rater.look().press(' ', ' ')
    assert rater.text('#zooms [aria-pressed=true]') == '24 µm'
    stage_px = 24 / MPP
    rater.press('Shift+ArrowRight', 'a')
    click_at(rater, 10, 5, side_um=24)
    click_at(rater, -30, 0, side_um=24)
    click_at(rater, 0, 20, side_um=24)
    rater.press('Backspace', 'Escape')
    click_at(rater, -40, -40, side_um=24)  # no longer in the mode
    rater.wait_for_text('#hint', '2 figures added · saved with your decision')
    entry = saved_entry(server, rater, 'n')
    right = 0.15 * stage_px
    assert entry.moved_px is None
    assert list(entry.added_px) == close_to([(10 + right, 5), (-30 + right, 0)])


def test_a_click_on_the_grey_beside_the_image_marks_its_edge(server, rater):
    item = min(server.items(), key=lambda each: each.anchor_px[0])
    # The outer edge of the image's first column; the crop of 96 um shows grey left of it.
    edge = -0.5 - item.anchor_px[0]
    rater.look(item.item_id).press(' ', 'p')
    click_at(rater, edge - 20, 0, side_um=96)
    entry = saved_entry(server, rater)
    assert entry.item_id == item.item_id
    assert entry.moved_px == (edge, pytest.approx(0, abs=1))


def test_points_by_keyboard(server, rater):
    rater.look().press('p', *['ArrowRight'] * 5, *['ArrowUp'] * 3, 'Enter')
    rater.press('a', *['ArrowDown'] * 7, 'Enter', 'ArrowLeft', 'ArrowLeft', 'Enter', 'Enter', 'Delete')
    assert rater.item == 1, 'the arrows move the crosshair, not the samples'
    rater.press('Escape')
    assert rater.page.locator('#viewer').is_visible(), 'the first Escape leaves the mode only'
    entry = saved_entry(server, rater, 'm')
    assert entry.moved_px == (5, -3)
    assert entry.added_px == ((0, 7), (-2, 7))


def test_unsaved_points_are_kept_until_the_decision(server, rater):
    rater.look().press('a', 'Enter', 'Escape', 'ArrowRight').wait_for_crop()
    assert rater.text('#hint') == ''
    rater.press('ArrowLeft').wait_for_crop()
    assert '1 figure added · saved with your decision' in rater.text('#hint')
    assert saved_entry(server, rater).added_px == ((0, 0),)


def test_the_marks_at_the_edges_point_at_the_anchor(rater):
    rater.look()
    marks = "(lines) => lines.map((line) => ['x1', 'y1', 'x2', 'y2'].map((name) => Number(line.getAttribute(name))))"
    lines = rater.page.locator('.overlay .mark-line').evaluate_all(marks)
    side = rater.page.evaluate("document.querySelector('#stage').clientWidth")
    assert len(lines) == 4
    for x1, y1, x2, y2 in lines:
        assert (x1 == x2 == pytest.approx(side / 2)) or (y1 == y2 == pytest.approx(side / 2))
        assert 10 < max(abs(x1 - x2), abs(y1 - y2)) < 0.1 * side, 'seen, and the cell stays free'
    rater.press('Shift+ArrowRight')
    lines = rater.page.locator('.overlay .mark-line').evaluate_all(marks)
    assert sum(x1 == x2 == pytest.approx(0.35 * side) for x1, _, x2, _ in lines) == 2


def test_whole_images_and_unknown_scales(serve, visit):
    server = serve(images=1, whole=1, mpp=None, size_px=480)
    kinds = {item.item_id: item.kind for item in server.items()}
    rater = visit(server).open()
    whole = next(item for item, kind in kinds.items() if kind == 'image')
    rater.look(whole)
    assert rater.text('#question') == 'Does this image show a mitotic figure?'
    assert rater.page.locator('#zooms button').all_inner_texts() == ['96 px', '192 px', '384 px', 'whole']
    assert rater.text('#zooms [aria-pressed=true]') == 'whole'
    assert re.fullmatch(r'\d+ px', rater.text('.scale-text'))
    assert 'scale unknown' in rater.text('#viewer-facts')
    assert rater.page.locator('.overlay .mark-line').count() == 0
    assert rater.page.locator('#tool-move').is_disabled()
    rater.decide('n')
    rater.wait_for_text('#confirmation', 'has no mitotic figure saved')
    point = next(item for item, kind in kinds.items() if kind == 'point')
    rater.press('g').look(point)
    assert rater.text('#zooms [aria-pressed=true]') == '192 px'
    stage, bar = rater.box('#stage')['width'], rater.box('.scale-line')['width']
    assert bar == pytest.approx(float(rater.text('.scale-text').split()[0]) * stage / 192, abs=0.5)
