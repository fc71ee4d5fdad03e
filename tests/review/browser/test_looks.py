"""Legible, reachable, and light at any size and in both colour schemes."""

import os
import re
from pathlib import Path

import pytest

DESK = {'width': 1280, 'height': 800}
PHONE = {'width': 390, 'height': 844}
# WCAG 2.2, success criterion 1.4.3: 4.5, and 3 from 24 px or 18.66 px bold.
TEXTS = """() => {
    const seen = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, element = node.parentElement;
        if (!node.textContent.trim() || !element.checkVisibility()) continue;
        if (element.closest('option, .visually-hidden')) continue;
        const style = getComputedStyle(element);
        const drawn = element instanceof SVGElement;
        const behind = [];
        for (let other = element; other; other = other.parentElement) {
            behind.push(getComputedStyle(other).backgroundColor);
        }
        seen.push({
            text: node.textContent.trim().slice(0, 40),
            behind: drawn ? [style.stroke] : behind, // texts upon a crop have an outline
            colour: drawn ? style.fill : style.color,
            disabled: element.closest(':disabled') !== null,
            large: parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700),
        });
    }
    for (const select of document.querySelectorAll('select')) {
        if (!select.checkVisibility()) continue;
        const { color: colour, backgroundColor } = getComputedStyle(select);
        seen.push({ text: select.name, colour, behind: [backgroundColor], disabled: false, large: false });
    }
    return seen;
}"""


def channels(colour):
    numbers = [float(value) for value in re.findall(r'[\d.]+', colour)]
    return numbers[:3], numbers[3] if len(numbers) > 3 else 1.0


def luminance(rgb):
    """Relative luminance as WCAG defines it."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (c / 255 for c in rgb)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def backdrops(layers):
    """What is behind a text: over a crop, which may be white or black, a half-transparent layer gives two."""
    found = [[255.0] * 3, [0.0] * 3]
    for colour in reversed(layers):
        rgb, alpha = channels(colour)
        found = [[alpha * top + (1 - alpha) * below for top, below in zip(rgb, base)] for base in found]
    return found


def contrast(text):
    ratios = []
    for behind in backdrops(text['behind']):
        low, high = sorted((luminance(channels(text['colour'])[0]), luminance(behind)))
        ratios.append((high + 0.05) / (low + 0.05))
    return min(ratios)


def illegible(page):
    found = page.evaluate(TEXTS)
    assert len(found) > 10
    return [
        (text['text'], round(contrast(text), 2))
        for text in found
        if not text['disabled'] and contrast(text) < (3 if text['large'] else 4.5)
    ]


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_every_text_has_contrast(opened, visit, scheme):
    rater = visit(opened, color_scheme=scheme).open()
    page = rater.page
    rater.look().decide('m')
    rater.wait_until_saved(1).press('g')
    assert illegible(page) == []
    rater.look().press('d', 'p')
    assert illegible(page) == []
    rater.press('Escape', 'ArrowLeft').wait_for_crop()
    assert page.locator('.answer[aria-pressed=true]').count() == 1
    rater.tolerated = re.compile('Failed to load resource')
    page.route('**/api/decisions', lambda route: route.fulfill(status=503, json={'error': 'the disk is full'}))
    rater.press('n').wait_for_text('.banner', 'not saved')
    assert illegible(page) == []
    rater.press('?')
    assert illegible(page) == []


def test_the_switch_overrides_the_scheme_and_is_kept(opened, visit):
    rater = visit(opened, color_scheme='light').open()
    page = rater.page

    def darkness():
        return luminance(channels(page.evaluate('getComputedStyle(document.body).backgroundColor'))[0])

    light = darkness()
    page.locator('#theme').click()
    assert darkness() == light
    page.locator('#theme').click()
    assert rater.text('#theme-name') == 'Dark'
    assert darkness() < 0.05 < light
    page.reload()
    page.wait_for_selector('.tile')
    assert darkness() < 0.05
    assert page.locator('#theme').get_attribute('aria-label') == 'Colours: Dark; change to Auto'


def assert_within(page, width):
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    outside = page.evaluate("""() => Array.from(document.querySelectorAll('body *:not(#stage *):not(.skip)'))
        .filter((node) => node.checkVisibility())
        .filter((node) => node.getBoundingClientRect().right > innerWidth + 1 || node.getBoundingClientRect().left < -1)
        .map((node) => node.outerHTML.slice(0, 80))""")
    assert outside == []


@pytest.mark.parametrize('size', [PHONE, {'width': 360, 'height': 640}])
def test_a_phone_needs_no_sideways_scrolling(opened, visit, size):
    rater = visit(opened, viewport=size, has_touch=True).open()
    page = rater.page
    assert_within(page, size['width'])
    rater.look().press('a', 'Enter')
    assert_within(page, size['width'])
    stage = rater.box('#stage')
    assert stage['width'] >= min(size['width'] - 2, 0.3 * size['height'])
    for answer in page.locator('.answer').all():
        box = answer.bounding_box()
        assert box['y'] + box['height'] <= size['height'], 'on the screen'
        assert box['y'] > 0.75 * size['height'], 'within the reach of a thumb'
    rater.press('Escape', '?')
    assert_within(page, size['width'])


@pytest.mark.parametrize('size', [PHONE, {'width': 360, 'height': 640}, DESK])
def test_the_question_stands_by_its_answers(opened, visit, size):
    rater = visit(opened, viewport=size, **({'has_touch': True} if size != DESK else {})).open()
    rater.look()
    assert rater.text('#question') == 'Is the cell in the centre a mitotic figure?'
    question, answer, stage = rater.box('#question'), rater.box('.answer[data-answer=mitotic]'), rater.box('#stage')
    assert question['y'] > 0
    assert question['y'] + question['height'] <= answer['y'] <= question['y'] + question['height'] + 20
    assert answer['y'] + answer['height'] <= size['height'], 'no scrolling'
    assert stage['y'] + stage['height'] <= question['y'] or stage['x'] + stage['width'] <= question['x']


@pytest.mark.parametrize('size', [DESK, PHONE])
def test_buttons_are_large_enough_for_a_finger(opened, visit, size):
    rater = visit(opened, viewport=size).open()
    small = """() => Array.from(document.querySelectorAll('button, select, .tile'))
        .filter((node) => node.checkVisibility())
        .filter((node) => node.getBoundingClientRect().height < 44 || node.getBoundingClientRect().width < 44)
        .map((node) => node.outerHTML.slice(0, 80))"""
    assert rater.page.evaluate(small) == []
    rater.look()
    assert rater.page.evaluate(small) == []


def test_the_focus_is_visible_everywhere(server, rater):
    page = rater.page
    rater.look()
    stops = 0
    for _ in range(18):
        rater.press('Tab')
        focused = page.evaluate("""() => {
            const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
            const name = document.activeElement.outerHTML.slice(0, 80);
            return [document.activeElement === document.body, outlineStyle, parseFloat(outlineWidth), name];
        }""")
        if not focused[0]:
            stops += 1
            assert focused[1] != 'none', focused
            assert focused[2] >= 2, focused
    assert stops > 12


def test_ten_thousand_samples_are_as_light_as_a_hundred(serve, visit):
    server = serve('--open', images=100, points=50, size_px=96)
    rater = visit(server).open()
    page = rater.page
    assert rater.text('#shown') == '10,000 samples'
    page.wait_for_load_state('networkidle')
    paint = page.evaluate("performance.getEntriesByType('paint').map((entry) => entry.name)")
    assert 'first-contentful-paint' in paint
    assert page.evaluate("document.querySelectorAll('*').length") < 2000
    on_screen = page.locator('.tile').count()
    assert on_screen <= 150
    assert len(rater.crops_asked_for('thumb')) <= on_screen
    rows = -(-10_000 // int(page.locator('#grid').get_attribute('aria-colcount')))
    assert page.locator('#grid').get_attribute('aria-rowcount') == str(rows)

    page.evaluate("""async () => {
        const grid = document.querySelector('#grid');
        const step = grid.scrollHeight / 30;
        for (let frame = 0; frame < 30; frame += 1) {
            grid.scrollTop = frame * step;
            await new Promise(requestAnimationFrame);
        }
        grid.scrollTop = grid.scrollHeight;
    }""")
    last = page.locator(f'[role=row][aria-rowindex="{rows}"] .tile').last
    last.wait_for()
    page.wait_for_function("""() => Array.from(document.querySelectorAll('.tile img'))
        .filter((image) => image.naturalWidth === 128).length > 20""")
    assert page.locator('.tile').count() <= 150
    assert len(rater.crops_asked_for('thumb')) < 1000, 'rows that flew past were not asked for'
    rater.press('End')
    assert page.locator('.tile:focus').count() == 1
    rater.press('Enter').wait_for_crop()
    assert rater.text('#viewer-facts').startswith('10,000 of 10,000')


@pytest.mark.parametrize('size', [DESK, PHONE])
def test_screenshots(server, visit, tmp_path, size):
    """Written to the folder that MITOUTS_SCREENSHOTS names, for the documentation."""
    folder = Path(os.environ.get('MITOUTS_SCREENSHOTS') or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    rater = visit(server, viewport=size, **({'has_touch': True} if size == PHONE else {})).open()
    page = rater.page

    def picture(name):
        page.evaluate('document.activeElement.blur()')
        for scheme in ('dark', 'light'):
            page.emulate_media(color_scheme=scheme)
            path = folder / f'review_{name}_{size["width"]}_{scheme}.png'
            page.screenshot(path=path)
            assert 10_000 < path.stat().st_size < 600_000

    rater.look()
    for key in 'nmmunn':
        rater.decide(key)
    rater.wait_until_saved(6).press('g').wait_for_neighbours()
    picture('gallery')
    page.locator('.tile[tabindex="0"]').click()
    rater.decide('n')
    rater.wait_until_saved(7).wait_for_crop()
    picture('single')
